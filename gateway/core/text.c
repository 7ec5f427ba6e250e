#include "gateway/core/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(struct text *text, size_t length) {
    if (text->failed || length > TEXT_BYTES_MAX - text->used) {
        text->failed = true;
        return false;
    }
    if (text->used + length <= text->capacity)
        return true;
    size_t capacity = text->capacity < 4096 ? 4096 : text->capacity;
    while (capacity < text->used + length)
        capacity *= 2;
    char *data = realloc(text->data, capacity);
    if (data == NULL) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void text_add(struct text *text, const char *bytes, size_t length) {
    if (length == 0 || !make_room(text, length))
        return;
    memcpy(text->data + text->used, bytes, length);
    text->used += length;
}

void text_add_string(struct text *text, const char *string) {
    text_add(text, string, strlen(string));
}

void text_add_format(struct text *text, const char *format, ...) {
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof line)
        text->failed = true;
    else
        text_add(text, line, (size_t)length);
}

static int add_piece(const char *piece, size_t length, void *user) {
    struct text *text = user;
    text_add(text, piece, length);
    return text->failed ? -1 : 0;
}

void text_add_json(struct text *text, json_t *json) {
    if (json == NULL || json_dump_callback(json, add_piece, text, JSON_COMPACT | JSON_REAL_PRECISION(15)) < 0)
        text->failed = true;
    json_decref(json);
}

void text_consume(struct text *text, size_t length) {
    text->used -= length;
    memmove(text->data, text->data + length, text->used);
}

void text_done(struct text *text) {
    free(text->data);
    *text = (struct text){0};
}
