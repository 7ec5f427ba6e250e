/* json.h - structs to JSON objects and back by one table of their members, strictly. Used by plant and link_settings.
 * Pure; a table row states what both directions and the check need. */
#ifndef FB_COMMON_JSON_H
#define FB_COMMON_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"

enum json_field_type {
    JSON_FIELD_TEXT,   /* char[size], UTF-8 without control characters; min: least length in bytes */
    JSON_FIELD_NUMBER, /* unsigned integer of size 1, 2 or 4 bytes, min..max */
    JSON_FIELD_WORD,   /* enum, written as one of words */
    JSON_FIELD_OTHER,  /* must be there, but the caller writes and reads it */
};

struct json_field {
    const char *name;
    enum json_field_type type;
    size_t offset, size; /* of the member in the struct, bytes; JSON_FIELD_MEMBER() gives both */
    uint32_t min, max;
    const char *const *words; /* in the order of the enum, NULL at the end */
};

#define JSON_FIELD_MEMBER(type, member) offsetof(type, member), sizeof(((type *)0)->member)

/* A new object with all fields of source but those of type JSON_FIELD_OTHER; NULL when out of memory. */
json_t *json_write_fields(const struct json_field *fields, size_t count, const void *source);

/* Read json into target. FB_INVALID: not an object, a field that is missing, unknown, of the wrong type or out of
 * range; target may then be partly written. */
enum fb_error json_read_fields(const json_t *json, const struct json_field *fields, size_t count, void *target,
                               struct fb_cause *cause) FB_MUST_USE;

/* One integer in min..max. name: for the cause. */
enum fb_error json_read_integer(const json_t *value, const char *name, int64_t min, int64_t max, int64_t *ret_integer,
                                struct fb_cause *cause) FB_MUST_USE;

#endif
