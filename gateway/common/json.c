#include "gateway/common/json.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static uint32_t number_load(const struct json_field *field, const void *source) {
    uint8_t byte;
    uint16_t half;
    uint32_t word;
    const char *member = (const char *)source + field->offset;
    switch (field->size) {
    case sizeof byte:
        memcpy(&byte, member, sizeof byte);
        return byte;
    case sizeof half:
        memcpy(&half, member, sizeof half);
        return half;
    default:
        assert(field->size == sizeof word);
        memcpy(&word, member, sizeof word);
        return word;
    }
}

static void number_store(const struct json_field *field, void *target, uint32_t number) {
    const uint8_t byte = (uint8_t)number;
    const uint16_t half = (uint16_t)number;
    char *member = (char *)target + field->offset;
    switch (field->size) {
    case sizeof byte:
        memcpy(member, &byte, sizeof byte);
        break;
    case sizeof half:
        memcpy(member, &half, sizeof half);
        break;
    default:
        assert(field->size == sizeof number);
        memcpy(member, &number, sizeof number);
    }
}

static json_t *write_field(const struct json_field *field, const void *source) {
    switch (field->type) {
    case JSON_FIELD_TEXT:
        return json_string((const char *)source + field->offset);
    case JSON_FIELD_NUMBER:
        return json_integer(number_load(field, source));
    case JSON_FIELD_WORD:
        return json_string(field->words[number_load(field, source)]);
    case JSON_FIELD_OTHER:
        break;
    }
    return NULL;
}

json_t *json_write_fields(const struct json_field *fields, size_t count, const void *source) {
    json_t *json = json_object();
    for (size_t i = 0; i < count && json != NULL; i++) {
        if (fields[i].type == JSON_FIELD_OTHER)
            continue;
        if (json_object_set_new(json, fields[i].name, write_field(&fields[i], source)) < 0) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

static enum fb_error read_text(const json_t *value, const struct json_field *field, void *target,
                               struct fb_cause *cause) {
    const char *text = json_string_value(value);
    if (text == NULL)
        return fb_fail(cause, FB_INVALID, "%s: not a text", field->name);
    const size_t length = json_string_length(value);
    if (length < field->min || length >= field->size)
        return fb_fail(cause, FB_INVALID, "%s: %zu bytes long, allowed are %" PRIu32 " to %zu", field->name, length,
                       field->min, field->size - 1);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return fb_fail(cause, FB_INVALID, "%s: has a control character", field->name);
    /* The rest is cleared too, so that equal structs are equal bytes. */
    memset((char *)target + field->offset, 0, field->size);
    memcpy((char *)target + field->offset, text, length);
    return FB_OK;
}

static enum fb_error read_number(const json_t *value, const struct json_field *field, void *target,
                                 struct fb_cause *cause) {
    int64_t number;
    const enum fb_error error = json_read_integer(value, field->name, field->min, field->max, &number, cause);
    if (error == FB_OK)
        number_store(field, target, (uint32_t)number);
    return error;
}

static enum fb_error read_word(const json_t *value, const struct json_field *field, void *target,
                               struct fb_cause *cause) {
    const char *text = json_string_value(value);
    for (uint32_t i = 0; text != NULL && field->words[i] != NULL; i++)
        if (strcmp(text, field->words[i]) == 0) {
            number_store(field, target, i);
            return FB_OK;
        }
    return fb_fail(cause, FB_INVALID, "%s: not one of its words", field->name);
}

static enum fb_error read_field(const json_t *value, const struct json_field *field, void *target,
                                struct fb_cause *cause) {
    switch (field->type) {
    case JSON_FIELD_TEXT:
        return read_text(value, field, target, cause);
    case JSON_FIELD_NUMBER:
        return read_number(value, field, target, cause);
    case JSON_FIELD_WORD:
        return read_word(value, field, target, cause);
    case JSON_FIELD_OTHER:
        break;
    }
    return FB_OK;
}

enum fb_error json_read_fields(const json_t *json, const struct json_field *fields, size_t count, void *target,
                               struct fb_cause *cause) {
    if (!json_is_object(json))
        return fb_fail(cause, FB_INVALID, "not an object");
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(json, fields[i].name);
        if (value == NULL)
            return fb_fail(cause, FB_INVALID, "%s: missing", fields[i].name);
        const enum fb_error error = read_field(value, &fields[i], target, cause);
        if (error != FB_OK)
            return error;
    }
    /* All of ours are there, and keys are unique: any more are unknown. */
    if (json_object_size(json) != count)
        return fb_fail(cause, FB_INVALID, "has an unknown field");
    return FB_OK;
}

enum fb_error json_read_integer(const json_t *value, const char *name, int64_t min, int64_t max, int64_t *ret_integer,
                                struct fb_cause *cause) {
    if (!json_is_integer(value))
        return fb_fail(cause, FB_INVALID, "%s: not an integer", name);
    const int64_t integer = json_integer_value(value);
    if (integer < min || integer > max)
        return fb_fail(cause, FB_INVALID, "%s: %" PRId64 ", allowed are %" PRId64 " to %" PRId64, name, integer, min,
                       max);
    *ret_integer = integer;
    return FB_OK;
}
