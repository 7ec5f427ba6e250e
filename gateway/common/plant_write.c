#include "gateway/common/plant_write.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/json.h"

#define COUNT(list) (sizeof(list) / sizeof(list)[0])
#define WRITE(member) JSON_FIELD_MEMBER(struct plant_write, member)

static const struct json_field fields[] = {
    {"name", JSON_FIELD_TEXT, WRITE(name), .min = 1},
    {"table", JSON_FIELD_WORD, WRITE(table), .words = plant_table_words},
    {"address", JSON_FIELD_NUMBER, WRITE(address), 0, UINT16_MAX},
    {"type", JSON_FIELD_WORD, WRITE(type), .words = plant_type_words},
    {"word_order", JSON_FIELD_WORD, WRITE(word_order), .words = plant_word_order_words},
    {"min", JSON_FIELD_OTHER},
    {"max", JSON_FIELD_OTHER},
};

/* What a type can hold. */
static const struct {
    enum plant_type type;
    double least, most;
} types[] = {
    {PLANT_INT16, INT16_MIN, INT16_MAX},
    {PLANT_UINT16, 0, UINT16_MAX},
    {PLANT_INT32, INT32_MIN, INT32_MAX},
    {PLANT_UINT32, 0, UINT32_MAX},
    {PLANT_FLOAT32, -0x1.fffffep+127, 0x1.fffffep+127},
};

json_t *plant_writes_to_json(const struct plant_write *writes, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *json = json_write_fields(fields, COUNT(fields), &writes[i]);
        json_object_set_new(json, "min", json_real(writes[i].min));
        json_object_set_new(json, "max", json_real(writes[i].max));
        json_array_append_new(list, json);
    }
    if (json_array_size(list) == count)
        return list;
    json_decref(list);
    return NULL;
}

static enum fb_error read_write(const json_t *json, struct plant_write *ret_write, struct fb_cause *cause) {
    const json_t *min = json_object_get(json, "min"), *max = json_object_get(json, "max");
    enum fb_error error = json_read_fields(json, fields, COUNT(fields), ret_write, cause);
    if (error == FB_OK && (!json_is_number(min) || !json_is_number(max)))
        error = fb_fail(cause, FB_INVALID, "min, max: not numbers");
    ret_write->min = json_number_value(min);
    ret_write->max = json_number_value(max);
    return error == FB_OK ? plant_write_check(ret_write, cause) : error;
}

enum fb_error plant_writes_from_json(const json_t *list, struct plant_write **ret_writes, size_t *ret_count,
                                     struct fb_cause *cause) {
    const size_t count = json_array_size(list);
    if (!json_is_array(list) || count > PLANT_WRITES_MAX)
        return fb_fail(cause, FB_LIMIT, "writes: not a list of at most %d", PLANT_WRITES_MAX);
    struct plant_write *writes = count > 0 ? calloc(count, sizeof *writes) : NULL;
    if (count > 0 && writes == NULL)
        return fb_fail(cause, FB_MEMORY, "writes: out of memory");
    for (size_t i = 0; i < count; i++) {
        const enum fb_error error = read_write(json_array_get(list, i), &writes[i], cause);
        if (error == FB_OK)
            continue;
        free(writes);
        return fb_context(cause, error, "writes[%zu]", i);
    }
    *ret_writes = writes;
    *ret_count = count;
    return FB_OK;
}

const struct plant_write *plant_write_find(const struct plant_instrument *instrument, const char *name) {
    for (size_t i = 0; i < instrument->write_count; i++)
        if (strcmp(instrument->writes[i].name, name) == 0)
            return &instrument->writes[i];
    return NULL;
}

static size_t find_type(enum plant_type type) {
    size_t i = 0;
    while (i < COUNT(types) && types[i].type != type)
        i++;
    return i;
}

static enum fb_error check_register(const struct plant_write *write, struct fb_cause *cause) {
    const size_t type = find_type(write->type);
    if (type == COUNT(types))
        return fb_fail(cause, FB_INVALID, "type: only int16, uint16, int32, uint32 and float32 can be written");
    if (write->address + plant_type_registers(write->type) - 1 > UINT16_MAX)
        return fb_fail(cause, FB_INVALID, "address: its registers run past the table's last");
    if (!(write->min >= types[type].least && write->max <= types[type].most))
        return fb_fail(cause, FB_INVALID, "min, max: beyond what %s holds", plant_type_word(write->type));
    return FB_OK;
}

enum fb_error plant_write_check(const struct plant_write *write, struct fb_cause *cause) {
    if (!plant_name_valid(write->name))
        return fb_fail(cause, FB_INVALID, "name: only a-z, 0-9 and - are allowed");
    if (write->table != PLANT_COIL && write->table != PLANT_HOLDING)
        return fb_fail(cause, FB_INVALID, "table: only coil and holding can be written");
    if (!(write->min <= write->max))
        return fb_fail(cause, FB_INVALID, "max: must not be below min");
    if (write->table == PLANT_HOLDING)
        return check_register(write, cause);
    if (write->type != PLANT_BIT || write->min != 0 || write->max != 1)
        return fb_fail(cause, FB_INVALID, "type: a coil is a bit, 0 or 1");
    return FB_OK;
}

enum fb_error plant_write_check_value(const struct plant_write *write, double value, struct fb_cause *cause) {
    if (!isfinite(value) || value < write->min || value > write->max)
        return fb_fail(cause, FB_DENIED, "%s: %.15g is not allowed; the configuration opens it for %.15g to %.15g",
                       write->name, value, write->min, write->max);
    if (write->type != PLANT_FLOAT32 && value != rint(value))
        return fb_fail(cause, FB_INVALID, "%s: %.15g is no whole number", write->name, value);
    return FB_OK;
}
