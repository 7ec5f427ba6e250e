#include "gateway/common/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const words[] = {
    [FB_OK] = "ok",           [FB_INVALID] = "invalid", [FB_LIMIT] = "limit", [FB_NOT_FOUND] = "not-found",
    [FB_DENIED] = "denied",   [FB_CORRUPT] = "corrupt", [FB_FULL] = "full",   [FB_IO] = "io",
    [FB_TIMEOUT] = "timeout", [FB_CLOSED] = "closed",   [FB_AGAIN] = "again", [FB_VERSION] = "version",
    [FB_MEMORY] = "memory",
};

const char *fb_error_word(enum fb_error error) {
    if ((size_t)error >= sizeof words / sizeof words[0])
        return "unknown";
    return words[error];
}

/* Cut in front of a character, not inside one: JSON takes only whole UTF-8. */
static void mark_cut(struct fb_cause *cause, int wanted) {
    if (wanted < (int)sizeof cause->text)
        return;
    size_t end = sizeof cause->text - 4;
    while (end > 0 && ((unsigned char)cause->text[end] & 0xc0) == 0x80)
        end--;
    memcpy(cause->text + end, "...", 4);
}

void fb_cause_write(struct fb_cause *cause, const char *format, ...) {
    if (cause == NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    mark_cut(cause, vsnprintf(cause->text, sizeof cause->text, format, arguments));
    va_end(arguments);
}

void fb_cause_write_errno(struct fb_cause *cause, int errno_value, const char *format, ...) {
    if (cause == NULL)
        return;
    char what[FB_CAUSE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    char reason[128];
    mark_cut(cause,
             snprintf(cause->text, sizeof cause->text, "%s: %s", what, strerror_r(errno_value, reason, sizeof reason)));
}

void fb_cause_prepend(struct fb_cause *cause, const char *format, ...) {
    if (cause == NULL)
        return;
    char context[FB_CAUSE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
    struct fb_cause inner = *cause;
    mark_cut(cause, snprintf(cause->text, sizeof cause->text, "%s: %s", context, inner.text));
}
