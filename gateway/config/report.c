#include "gateway/config/report.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LISTED_MAX 10

/* Longer words are nobody's slip of one of ours. */
#define NEAREST_LENGTH_MAX 40

static void replace_controls(char *text) {
    for (char *at = text; *at != '\0'; at++) {
        const unsigned char byte = (unsigned char)*at;
        if (byte < ' ' || byte == 0x7f)
            *at = '?';
        else if (byte == 0xc2 && (unsigned char)at[1] >= 0x80 && (unsigned char)at[1] < 0xa0)
            at[0] = at[1] = '?'; /* U+0080 to U+009F: terminals obey some of them */
    }
}

/* Cut to less than size bytes, "..." included, at the border of a UTF-8 character. */
static void cut(char *text, size_t size) {
    static const char mark[] = "...";
    size_t length = size - sizeof mark;
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--;
    memcpy(text + length, mark, sizeof mark);
}

void report_add(struct config_report *report, unsigned line, unsigned column, const char *format, ...) {
    if (report->count == CONFIG_ERRORS_MAX)
        return;
    struct config_error *error = &report->errors[report->count++];
    *error = (struct config_error){.line = line, .column = column};
    char text[2 * FB_CAUSE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (strlen(text) >= sizeof error->text)
        cut(text, sizeof error->text);
    replace_controls(text);
    memcpy(error->text, text, strlen(text) + 1);
}

static int place_order(const struct config_error *a, const struct config_error *b) {
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return a->column < b->column ? -1 : a->column > b->column;
}

/* By insertion: few, and those of one place keep their order. */
void report_sort(struct config_report *report) {
    for (size_t i = 1; i < report->count; i++) {
        const struct config_error moving = report->errors[i];
        size_t at = i;
        for (; at > 0 && place_order(&moving, &report->errors[at - 1]) < 0; at--)
            report->errors[at] = report->errors[at - 1];
        report->errors[at] = moving;
    }
}

const char *report_quote(const char *text, char quote[static REPORT_QUOTE_MAX]) {
    if ((size_t)snprintf(quote, REPORT_QUOTE_MAX, "%s", text) < REPORT_QUOTE_MAX)
        return quote;
    snprintf(quote, REPORT_QUOTE_MAX, "%.*s", REPORT_QUOTE_MAX - 1, text);
    cut(quote, REPORT_QUOTE_MAX);
    return quote;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static bool same(char a, char b) {
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Edits (insert, delete, replace, swap of neighbours) from a to b; case and beyond NEAREST_LENGTH_MAX do not count. */
static size_t distance(const char *a, const char *b) {
    const size_t rows = strnlen(a, NEAREST_LENGTH_MAX), columns = strnlen(b, NEAREST_LENGTH_MAX);
    size_t edits[NEAREST_LENGTH_MAX + 1][NEAREST_LENGTH_MAX + 1];
    for (size_t i = 0; i <= rows; i++)
        edits[i][0] = i;
    for (size_t j = 0; j <= columns; j++)
        edits[0][j] = j;
    for (size_t i = 1; i <= rows; i++)
        for (size_t j = 1; j <= columns; j++) {
            const size_t replaced = edits[i - 1][j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1);
            edits[i][j] = least(replaced, 1 + least(edits[i - 1][j], edits[i][j - 1]));
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
                edits[i][j] = least(edits[i][j], edits[i - 2][j - 2] + 1);
        }
    return edits[rows][columns];
}

const char *report_nearest(const char *text, const char *const *words, size_t count) {
    const size_t length = strlen(text);
    const char *nearest = NULL;
    size_t fewest = length / 3 + 1;
    for (size_t i = 0; i < count && length <= NEAREST_LENGTH_MAX; i++) {
        const size_t edits = distance(text, words[i]);
        if (edits < fewest) {
            fewest = edits;
            nearest = words[i];
        }
    }
    return nearest;
}

const char *report_hint(const char *text, const char *const *words, size_t count, const char *allowed, char *ret_hint,
                        size_t size) {
    const char *nearest = report_nearest(text, words, count);
    if (nearest != NULL) {
        snprintf(ret_hint, size, "; did you mean %s?", nearest);
        return ret_hint;
    }
    size_t used = (size_t)snprintf(ret_hint, size, "; %s", allowed);
    for (size_t i = 0; i < count && i <= LISTED_MAX && used < size; i++) {
        const char *word = i < LISTED_MAX ? words[i] : "...";
        used += (size_t)snprintf(ret_hint + used, size - used, "%s %s", i == 0 ? "" : ",", word);
    }
    return ret_hint;
}
