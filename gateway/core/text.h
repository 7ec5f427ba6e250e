/* text.h - a byte buffer that grows up to a limit, for answers that are built and then sent. */
#ifndef FB_CORE_TEXT_H
#define FB_CORE_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* An answer with every tag of the largest plant stays below this. */
#define TEXT_BYTES_MAX (4u * 1024 * 1024)

struct text {
    char *data; /* malloc, used bytes */
    size_t used;
    size_t capacity;
    bool failed; /* out of memory or over the limit; nothing more is added */
};

void text_add(struct text *text, const char *bytes, size_t length);
void text_add_string(struct text *text, const char *string);
void text_add_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds json in compact form, real numbers with 15 digits, and drops the reference; NULL fails the text. */
void text_add_json(struct text *text, json_t *json);
/* Remove the first length bytes, which have been sent. */
void text_consume(struct text *text, size_t length);
/* Frees the bytes; text is then empty and usable again. */
void text_done(struct text *text);

#endif
