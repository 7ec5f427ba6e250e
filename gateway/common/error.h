/* error.h - how every call of Forebay says that it failed. Used by all programs.
 *
 * A call that can fail returns enum fb_error and, where the reader may be a person, fills a struct fb_cause.
 * The cause is fixed in size, so failing never allocates; callers prepend context on its way up:
 * "bus line-1: unit 7: no reply in 500 ms". Only the programs' own files log it. */
#ifndef FB_COMMON_ERROR_H
#define FB_COMMON_ERROR_H

#include <stddef.h>

#define FB_MUST_USE __attribute__((warn_unused_result))
#define FB_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define FB_CLEANUP(function) __attribute__((cleanup(function)))

enum fb_error {
    FB_OK = 0,
    FB_INVALID,   /* input that breaks its own rules: a message, a file, an argument */
    FB_LIMIT,     /* input larger than its stated maximum */
    FB_NOT_FOUND, /* the thing asked for does not exist */
    FB_DENIED,    /* not permitted, or the key does not fit */
    FB_CORRUPT,   /* stored data that fails its own check */
    FB_FULL,      /* no room: disk, quota, queue */
    FB_IO,        /* the system refused; the cause holds errno's text */
    FB_TIMEOUT,   /* no answer in time */
    FB_CLOSED,    /* the other side is gone */
    FB_AGAIN,     /* not now; nothing was done */
    FB_VERSION,   /* made by a version this one cannot read */
    FB_MEMORY,    /* allocation failed */
};

#define FB_CAUSE_MAX 512

struct fb_cause {
    char text[FB_CAUSE_MAX]; /* UTF-8, one line, ends with NUL; cut with "..." when longer */
};

/* A word for the error ("invalid", "timeout"), for logs and JSON. Static storage. */
const char *fb_error_word(enum fb_error error);

/* Write the cause and return error, so that a failure is one statement: return fb_fail(cause, FB_IO, "%s", path).
 * cause may be NULL. A macro, so that readers and analysers of the caller see which error comes back. */
static inline enum fb_error fb_same(enum fb_error error) {
    return error;
}
#define fb_fail(cause, error, ...) (fb_cause_write(cause, __VA_ARGS__), fb_same(error))
/* The same, with ": " and the text of errno_value behind it. */
#define fb_fail_errno(cause, error, errno_value, ...)                                                                  \
    (fb_cause_write_errno(cause, errno_value, __VA_ARGS__), fb_same(error))
/* Put "context: " in front of the cause and return error. */
#define fb_context(cause, error, ...) (fb_cause_prepend(cause, __VA_ARGS__), fb_same(error))

void fb_cause_write(struct fb_cause *cause, const char *format, ...) FB_PRINTF(2, 3);
void fb_cause_write_errno(struct fb_cause *cause, int errno_value, const char *format, ...) FB_PRINTF(3, 4);
void fb_cause_prepend(struct fb_cause *cause, const char *format, ...) FB_PRINTF(2, 3);

#endif
