#include "gateway/common/plant.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/common/json.h"
#include "gateway/common/plant_write.h"

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

const char *const plant_bus_kind_words[] = {"modbus-tcp", "modbus-rtu", "modbus-rtu-tcp", "serial", "serial-tcp", NULL};
const char *const plant_flow_words[] = {"none", "rtscts", "xonxoff", NULL};
const char *const plant_rs485_rts_words[] = {"on-send", "after-send", NULL};
const char *const plant_parity_words[] = {"none", "even", "odd", NULL};
const char *const plant_table_words[] = {"coil", "discrete", "input", "holding", NULL};
const char *const plant_type_words[] = {"bit",     "int16",   "uint16", "int32", "uint32", "int64", "uint64",
                                        "float32", "float64", "bcd16",  "bcd32", "text",   NULL};
const char *const plant_word_order_words[] = {"abcd", "cdab", "badc", "dcba", NULL};

static const unsigned type_registers[] = {1, 1, 1, 2, 2, 4, 4, 2, 4, 1, 2, 1};

void plant_done(struct plant *plant) {
    for (size_t i = 0; i < plant->instrument_count; i++) {
        free(plant->instruments[i].tags);
        free(plant->instruments[i].writes);
    }
    free(plant->instruments);
    free(plant->buses);
    *plant = (struct plant){0};
}

bool plant_name_valid(const char *name) {
    const size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return length > 0 && length < PLANT_NAME_MAX && name[length] == '\0' && name[0] != '-';
}

unsigned plant_type_registers(enum plant_type type) {
    return type_registers[type];
}

unsigned plant_tag_registers(const struct plant_tag *tag) {
    return tag->type == PLANT_TEXT ? tag->length : plant_type_registers(tag->type);
}

bool plant_bus_is_lines(enum plant_bus_kind kind) {
    return kind == PLANT_SERIAL || kind == PLANT_SERIAL_TCP;
}

bool plant_table_is_bits(enum plant_table table) {
    return table == PLANT_COIL || table == PLANT_DISCRETE;
}

bool plant_tag_has_status(const struct plant_tag *tag) {
    return tag->status.fault != 0 || tag->status.maintenance != 0;
}

void plant_tag_extent(const struct plant_tag *tag, uint32_t *ret_address, uint32_t *ret_count) {
    uint32_t begin = tag->address;
    uint32_t end = begin + (plant_table_is_bits(tag->table) ? 1 : plant_tag_registers(tag));
    if (plant_tag_has_status(tag)) {
        begin = tag->status.address < begin ? tag->status.address : begin;
        end = tag->status.address >= end ? tag->status.address + 1u : end;
    }
    *ret_address = begin;
    *ret_count = end - begin;
}

static enum fb_error check_bit_field(const struct plant_tag *tag, struct fb_cause *cause) {
    const unsigned bits = plant_type_registers(tag->type) * 16;
    const bool field = tag->type == PLANT_BIT || tag->type == PLANT_UINT16 || tag->type == PLANT_UINT32;
    if (tag->bit_count == 0 && tag->bit_first == 0)
        return FB_OK;
    if (!field || plant_table_is_bits(tag->table))
        return fb_fail(cause, FB_INVALID,
                       "bits: only a register of type bit, uint16 or uint32 has bits to choose from");
    if (tag->bit_count == 0 || tag->bit_first + tag->bit_count > bits)
        return fb_fail(cause, FB_INVALID, "bits: a %s has the bits 0..%u, the first before the last",
                       plant_type_word(tag->type), bits - 1);
    if (tag->type == PLANT_BIT && tag->bit_count != 1)
        return fb_fail(cause, FB_INVALID, "bits: a bit is one bit; give one, or type uint16");
    return FB_OK;
}

static enum fb_error check_length(const struct plant_tag *tag, struct fb_cause *cause) {
    if (tag->type != PLANT_TEXT && tag->length != 0)
        return fb_fail(cause, FB_INVALID, "length: is for type text");
    if (tag->type == PLANT_TEXT && (tag->length < 1 || tag->length > PLANT_TEXT_REGISTERS_MOST))
        return fb_fail(cause, FB_INVALID, "length: a text has 1 to %d registers", PLANT_TEXT_REGISTERS_MOST);
    return FB_OK;
}

enum fb_error plant_tag_check(const struct plant_tag *tag, unsigned registers_most, struct fb_cause *cause) {
    const unsigned registers = plant_tag_registers(tag);
    const bool bits = plant_table_is_bits(tag->table);
    if (check_length(tag, cause) != FB_OK)
        return FB_INVALID;
    if (bits && tag->type != PLANT_BIT)
        return fb_fail(cause, FB_INVALID, "type: a %s holds one bit", plant_table_word(tag->table));
    if (tag->address + registers - 1 > UINT16_MAX)
        return fb_fail(cause, FB_INVALID, "address: its %u registers run past the table's last", registers);
    if (!bits && registers > registers_most)
        return fb_fail(cause, FB_INVALID, "type: takes %u registers, more than the %u the instrument sends", registers,
                       registers_most);
    if (bits && plant_tag_has_status(tag))
        return fb_fail(cause, FB_INVALID, "status: is for values in registers");
    uint32_t address, count;
    plant_tag_extent(tag, &address, &count);
    if (!bits && count > registers_most)
        return fb_fail(cause, FB_INVALID,
                       "status: value and status lie %u registers apart, but the instrument sends %u at once", count,
                       registers_most);
    return check_bit_field(tag, cause);
}

static bool decimal_whole(struct plant_decimal decimal) {
    int64_t mantissa = decimal.mantissa;
    for (int exponent = decimal.exponent; exponent < 0 && mantissa != 0; exponent++) {
        if (mantissa % 10 != 0)
            return false;
        mantissa /= 10;
    }
    return true;
}

static bool decimal_is(struct plant_decimal decimal, int64_t mantissa) {
    return decimal.mantissa == mantissa && (decimal.exponent == 0 || mantissa == 0);
}

enum reading_kind plant_tag_kind(const struct plant_tag *tag) {
    if (tag->type == PLANT_BIT)
        return READING_BOOLEAN;
    if (tag->type == PLANT_TEXT)
        return READING_TEXT;
    if (tag->type == PLANT_FLOAT32)
        return decimal_is(tag->scale, 1) && decimal_is(tag->offset, 0) ? READING_REAL32 : READING_REAL64;
    const bool whole = decimal_whole(tag->scale) && decimal_whole(tag->offset);
    return whole && tag->type != PLANT_FLOAT64 && tag->type != PLANT_UINT64 ? READING_INTEGER : READING_REAL64;
}

static const char *word(const char *const *words, size_t count, unsigned value) {
    return value < count ? words[value] : NULL;
}

const char *plant_bus_kind_word(enum plant_bus_kind kind) {
    return word(plant_bus_kind_words, COUNT(plant_bus_kind_words), kind);
}

const char *plant_parity_word(enum plant_parity parity) {
    return word(plant_parity_words, COUNT(plant_parity_words), parity);
}

const char *plant_table_word(enum plant_table table) {
    return word(plant_table_words, COUNT(plant_table_words), table);
}

const char *plant_type_word(enum plant_type type) {
    return word(plant_type_words, COUNT(plant_type_words), type);
}

const char *plant_word_order_word(enum plant_word_order order) {
    return word(plant_word_order_words, COUNT(plant_word_order_words), order);
}

#define BUS(member) JSON_FIELD_MEMBER(struct plant_bus, member)
#define INSTRUMENT(member) JSON_FIELD_MEMBER(struct plant_instrument, member)
#define TAG(member) JSON_FIELD_MEMBER(struct plant_tag, member)

static const struct json_field bus_fields[] = {
    {"name", JSON_FIELD_TEXT, BUS(name), .min = 1},
    {"kind", JSON_FIELD_WORD, BUS(kind), .words = plant_bus_kind_words},
    {"host", JSON_FIELD_TEXT, BUS(host)},
    {"port", JSON_FIELD_NUMBER, BUS(port), 0, UINT16_MAX},
    {"device", JSON_FIELD_TEXT, BUS(device)},
    {"baud", JSON_FIELD_NUMBER, BUS(baud), 0, PLANT_BAUD_MAX},
    {"parity", JSON_FIELD_WORD, BUS(parity), .words = plant_parity_words},
    {"stop_bits", JSON_FIELD_NUMBER, BUS(stop_bits), 0, 2},
    {"data_bits", JSON_FIELD_NUMBER, BUS(data_bits), 0, 8},
    {"flow", JSON_FIELD_WORD, BUS(flow), .words = plant_flow_words},
    {"rs485", JSON_FIELD_NUMBER, BUS(rs485), 0, 1},
    {"rs485_rts", JSON_FIELD_WORD, BUS(rs485_rts), .words = plant_rs485_rts_words},
    {"rs485_delay_before_ms", JSON_FIELD_NUMBER, BUS(rs485_delay_before_ms), 0, PLANT_RS485_DELAY_MAX_MS},
    {"rs485_delay_after_ms", JSON_FIELD_NUMBER, BUS(rs485_delay_after_ms), 0, PLANT_RS485_DELAY_MAX_MS},
    {"timeout_ms", JSON_FIELD_NUMBER, BUS(timeout_ms), PLANT_TIMEOUT_MIN_MS, PLANT_TIMEOUT_MAX_MS},
    {"pause_ms", JSON_FIELD_NUMBER, BUS(pause_ms), 0, PLANT_PAUSE_MAX_MS},
};

static const struct json_field instrument_fields[] = {
    {"name", JSON_FIELD_TEXT, INSTRUMENT(name), .min = 1},
    {"bus", JSON_FIELD_OTHER},
    {"unit", JSON_FIELD_NUMBER, INSTRUMENT(unit), 0, UINT8_MAX},
    {"registers_most", JSON_FIELD_NUMBER, INSTRUMENT(registers_most), 1, PLANT_REGISTERS_MOST},
    {"heartbeat", JSON_FIELD_OTHER},
    {"service", JSON_FIELD_OTHER},
    {"lines", JSON_FIELD_OTHER},
    {"writes", JSON_FIELD_OTHER},
    {"tags", JSON_FIELD_OTHER},
};

#define WATCH(member) JSON_FIELD_MEMBER(struct plant_watch, member)

static const struct json_field watch_fields[] = {
    {"table", JSON_FIELD_WORD, WATCH(table), .words = plant_table_words},
    {"address", JSON_FIELD_NUMBER, WATCH(address), 0, UINT16_MAX},
    {"mask", JSON_FIELD_NUMBER, WATCH(mask), 1, UINT16_MAX},
    {"interval_ms", JSON_FIELD_NUMBER, WATCH(interval_ms), PLANT_INTERVAL_MIN_MS, PLANT_INTERVAL_MAX_MS},
};

static const struct json_field tag_fields[] = {
    {"number", JSON_FIELD_NUMBER, TAG(number), 0, UINT32_MAX},
    {"name", JSON_FIELD_TEXT, TAG(name), .min = 1},
    {"unit", JSON_FIELD_TEXT, TAG(unit)},
    {"table", JSON_FIELD_WORD, TAG(table), .words = plant_table_words},
    {"address", JSON_FIELD_NUMBER, TAG(address), 0, UINT16_MAX},
    {"type", JSON_FIELD_WORD, TAG(type), .words = plant_type_words},
    {"word_order", JSON_FIELD_WORD, TAG(word_order), .words = plant_word_order_words},
    {"bit_first", JSON_FIELD_NUMBER, TAG(bit_first), 0, 31},
    {"bit_count", JSON_FIELD_NUMBER, TAG(bit_count), 0, 32},
    {"length", JSON_FIELD_NUMBER, TAG(length), 0, PLANT_TEXT_REGISTERS_MOST},
    {"no_value", JSON_FIELD_OTHER},
    {"status", JSON_FIELD_OTHER},
    {"scale", JSON_FIELD_OTHER},
    {"offset", JSON_FIELD_OTHER},
    {"min", JSON_FIELD_OTHER},
    {"max", JSON_FIELD_OTHER},
    {"interval_ms", JSON_FIELD_NUMBER, TAG(interval_ms), PLANT_INTERVAL_MIN_MS, PLANT_INTERVAL_MAX_MS},
    {"line", JSON_FIELD_TEXT, TAG(line)},
    {"field", JSON_FIELD_NUMBER, TAG(field), 0, PLANT_LINES_FIELD_MOST},
};

json_t *plant_bus_to_json(const struct plant_bus *bus) {
    return json_write_fields(bus_fields, COUNT(bus_fields), bus);
}

static json_t *limit_to_json(bool has_limit, double limit) {
    return has_limit ? json_real(limit) : json_null();
}

static json_t *no_value_to_json(const struct plant_tag *tag) {
    json_t *list = json_array();
    for (unsigned i = 0; i < tag->no_value_count; i++)
        json_array_append_new(list, json_integer((json_int_t)tag->no_value[i]));
    return list;
}

static json_t *watch_to_json(const struct plant_watch *watch) {
    return watch->mask != 0 ? json_write_fields(watch_fields, COUNT(watch_fields), watch) : json_null();
}

static json_t *tag_to_json(const struct plant_tag *tag) {
    json_t *json = json_write_fields(tag_fields, COUNT(tag_fields), tag);
    json_t *others =
        json_pack("{s:[I,i], s:[I,i], s:o, s:o, s:o, s:[i,i,i]}", "scale", (json_int_t)tag->scale.mantissa,
                  tag->scale.exponent, "offset", (json_int_t)tag->offset.mantissa, tag->offset.exponent, "min",
                  limit_to_json(tag->has_min, tag->min), "max", limit_to_json(tag->has_max, tag->max), "no_value",
                  no_value_to_json(tag), "status", tag->status.address, tag->status.fault, tag->status.maintenance);
    if (json == NULL || others == NULL || json_object_update(json, others) < 0) {
        json_decref(json);
        json = NULL;
    }
    json_decref(others);
    return json;
}

json_t *plant_instrument_to_json(const struct plant *plant, const struct plant_instrument *instrument, size_t first,
                                 size_t count) {
    json_t *tags = json_array();
    bool good = tags != NULL;
    for (size_t i = first; i < first + count && good; i++)
        good = json_array_append_new(tags, tag_to_json(&instrument->tags[i])) == 0;
    json_t *json = json_write_fields(instrument_fields, COUNT(instrument_fields), instrument);
    if (good && json_object_set_new(json, "bus", json_string(plant->buses[instrument->bus].name)) == 0 &&
        json_object_set_new(json, "heartbeat", watch_to_json(&instrument->heartbeat)) == 0 &&
        json_object_set_new(json, "service", watch_to_json(&instrument->service)) == 0 &&
        json_object_set_new(json, "lines", plant_lines_to_json(&instrument->lines)) == 0 &&
        json_object_set_new(json, "writes", plant_writes_to_json(instrument->writes, instrument->write_count)) == 0 &&
        json_object_set(json, "tags", tags) == 0) {
        json_decref(tags);
        return json;
    }
    json_decref(tags);
    json_decref(json);
    return NULL;
}

static enum fb_error check_name(const char *name, struct fb_cause *cause) {
    return plant_name_valid(name) ? FB_OK : fb_fail(cause, FB_INVALID, "name: only a-z, 0-9 and - are allowed");
}

static bool has_endpoint(const struct plant_bus *bus) {
    return bus->host[0] != '\0' && bus->port != 0;
}

static enum fb_error check_bus(const struct plant_bus *bus, struct fb_cause *cause) {
    bool whole = false;
    switch (bus->kind) {
    case PLANT_MODBUS_TCP:
        whole = has_endpoint(bus);
        break;
    case PLANT_MODBUS_RTU:
        whole = bus->device[0] != '\0' && bus->baud >= PLANT_BAUD_MIN && (bus->stop_bits == 1 || bus->stop_bits == 2);
        break;
    case PLANT_MODBUS_RTU_TCP:
        whole = has_endpoint(bus) && bus->baud >= PLANT_BAUD_MIN;
        break;
    case PLANT_SERIAL:
        whole = bus->device[0] != '\0' && bus->baud >= PLANT_BAUD_MIN && (bus->stop_bits == 1 || bus->stop_bits == 2) &&
                (bus->data_bits == 7 || bus->data_bits == 8);
        break;
    case PLANT_SERIAL_TCP:
        whole = has_endpoint(bus);
        break;
    }
    if (!whole)
        return fb_fail(cause, FB_INVALID, "lacks what a %s bus needs", plant_bus_kind_word(bus->kind));
    return check_name(bus->name, cause);
}

/* The index of the named bus, bus_count if there is none. */
static size_t find_bus(const struct plant *plant, const char *name) {
    size_t i = 0;
    while (i < plant->bus_count && strcmp(plant->buses[i].name, name) != 0)
        i++;
    return i;
}

static size_t find_instrument(const struct plant *plant, const char *name) {
    size_t i = 0;
    while (i < plant->instrument_count && strcmp(plant->instruments[i].name, name) != 0)
        i++;
    return i;
}

enum fb_error plant_add_bus_json(struct plant *plant, const json_t *json, struct fb_cause *cause) {
    struct plant_bus bus = {0};
    enum fb_error error = json_read_fields(json, bus_fields, COUNT(bus_fields), &bus, cause);
    if (error == FB_OK)
        error = check_bus(&bus, cause);
    if (error != FB_OK)
        return fb_context(cause, error, "bus");
    if (find_bus(plant, bus.name) < plant->bus_count)
        return fb_fail(cause, FB_INVALID, "bus %s: is there already", bus.name);
    if (plant->bus_count == PLANT_BUSES_MAX)
        return fb_fail(cause, FB_LIMIT, "bus %s: more than %d buses", bus.name, PLANT_BUSES_MAX);
    struct plant_bus *buses = reallocarray(plant->buses, plant->bus_count + 1, sizeof *buses);
    if (buses == NULL)
        return fb_fail(cause, FB_MEMORY, "bus %s: out of memory", bus.name);
    plant->buses = buses;
    plant->buses[plant->bus_count++] = bus;
    return FB_OK;
}

static enum fb_error read_decimal(const json_t *json, const char *name, struct plant_decimal *ret_decimal,
                                  struct fb_cause *cause) {
    const json_t *value = json_object_get(json, name);
    int64_t mantissa, exponent;
    if (json_array_size(value) != 2)
        return fb_fail(cause, FB_INVALID, "%s: not [mantissa, exponent]", name);
    enum fb_error error = json_read_integer(json_array_get(value, 0), name, INT64_MIN, INT64_MAX, &mantissa, cause);
    if (error == FB_OK)
        error = json_read_integer(json_array_get(value, 1), name, -PLANT_EXPONENT_MOST, PLANT_EXPONENT_MOST, &exponent,
                                  cause);
    if (error == FB_OK)
        *ret_decimal = (struct plant_decimal){.mantissa = mantissa, .exponent = (int8_t)exponent};
    return error;
}

static enum fb_error read_limit(const json_t *json, const char *name, bool *ret_has_limit, double *ret_limit,
                                struct fb_cause *cause) {
    const json_t *value = json_object_get(json, name);
    if (!json_is_number(value) && !json_is_null(value))
        return fb_fail(cause, FB_INVALID, "%s: neither a number nor null", name);
    *ret_has_limit = json_is_number(value);
    *ret_limit = json_number_value(value);
    return FB_OK;
}

static enum fb_error read_no_value(const json_t *json, struct plant_tag *tag, struct fb_cause *cause) {
    const json_t *list = json_object_get(json, "no_value");
    if (!json_is_array(list) || json_array_size(list) > PLANT_NO_VALUE_MAX)
        return fb_fail(cause, FB_INVALID, "no_value: not a list of at most %d", PLANT_NO_VALUE_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        int64_t bits;
        const enum fb_error error =
            json_read_integer(json_array_get(list, i), "no_value", INT64_MIN, INT64_MAX, &bits, cause);
        if (error != FB_OK)
            return error;
        tag->no_value[tag->no_value_count++] = (uint64_t)bits;
    }
    return FB_OK;
}

static enum fb_error read_status(const json_t *json, struct plant_status *ret_status, struct fb_cause *cause) {
    const json_t *list = json_object_get(json, "status");
    int64_t parts[3];
    if (json_array_size(list) != COUNT(parts))
        return fb_fail(cause, FB_INVALID, "status: not [address, fault, maintenance]");
    for (size_t i = 0; i < COUNT(parts); i++) {
        const enum fb_error error =
            json_read_integer(json_array_get(list, i), "status", 0, UINT16_MAX, &parts[i], cause);
        if (error != FB_OK)
            return error;
    }
    *ret_status = (struct plant_status){(uint16_t)parts[0], (uint16_t)parts[1], (uint16_t)parts[2]};
    return FB_OK;
}

/* null: there is none. */
static enum fb_error read_watch(const json_t *json, const char *name, struct plant_watch *ret_watch,
                                struct fb_cause *cause) {
    struct plant_watch watch = {0};
    const json_t *value = json_object_get(json, name);
    enum fb_error error = FB_OK;
    if (!json_is_null(value))
        error = json_read_fields(value, watch_fields, COUNT(watch_fields), &watch, cause);
    if (error == FB_OK && plant_table_is_bits(watch.table) && watch.mask > 1)
        error = fb_fail(cause, FB_INVALID, "mask: a %s holds one bit", plant_table_word(watch.table));
    if (error != FB_OK)
        return fb_context(cause, error, "%s", name);
    *ret_watch = watch;
    return FB_OK;
}

static enum fb_error check_tag(const struct plant_tag *tag, struct fb_cause *cause) {
    const enum fb_error error = plant_tag_check(tag, PLANT_REGISTERS_MOST, cause);
    return error != FB_OK ? error : check_name(tag->name, cause);
}

static enum fb_error read_tag(const json_t *json, struct plant_tag *ret_tag, struct fb_cause *cause) {
    struct plant_tag tag = {0};
    enum fb_error error = json_read_fields(json, tag_fields, COUNT(tag_fields), &tag, cause);
    if (error == FB_OK)
        error = read_no_value(json, &tag, cause);
    if (error == FB_OK)
        error = read_status(json, &tag.status, cause);
    if (error == FB_OK)
        error = read_decimal(json, "scale", &tag.scale, cause);
    if (error == FB_OK)
        error = read_decimal(json, "offset", &tag.offset, cause);
    if (error == FB_OK)
        error = read_limit(json, "min", &tag.has_min, &tag.min, cause);
    if (error == FB_OK)
        error = read_limit(json, "max", &tag.has_max, &tag.max, cause);
    if (error == FB_OK)
        error = check_tag(&tag, cause);
    if (error == FB_OK)
        *ret_tag = tag;
    return error;
}

static enum fb_error read_instrument(const struct plant *plant, const json_t *json,
                                     struct plant_instrument *ret_instrument, struct fb_cause *cause) {
    enum fb_error error = json_read_fields(json, instrument_fields, COUNT(instrument_fields), ret_instrument, cause);
    if (error == FB_OK)
        error = check_name(ret_instrument->name, cause);
    if (error == FB_OK)
        error = read_watch(json, "heartbeat", &ret_instrument->heartbeat, cause);
    if (error == FB_OK)
        error = read_watch(json, "service", &ret_instrument->service, cause);
    if (error == FB_OK)
        error = plant_lines_from_json(json_object_get(json, "lines"), &ret_instrument->lines, cause);
    if (error != FB_OK)
        return error;
    const char *bus_name = json_string_value(json_object_get(json, "bus"));
    const size_t bus = bus_name == NULL ? plant->bus_count : find_bus(plant, bus_name);
    if (bus == plant->bus_count)
        return fb_fail(cause, FB_INVALID, "bus: unknown");
    const uint8_t unit = ret_instrument->unit;
    const enum plant_bus_kind kind = plant->buses[bus].kind;
    if (plant_bus_is_lines(kind) != (ret_instrument->lines.protocol != PLANT_REGISTERS))
        return fb_fail(cause, FB_INVALID, "lines: does not fit a %s bus", plant_bus_kind_word(kind));
    if (ret_instrument->lines.protocol == PLANT_SDI12 && plant_lines_address(unit) == '\0')
        return fb_fail(cause, FB_INVALID, "unit: %u is no address of SDI-12", unit);
    if (!plant_bus_is_lines(kind) && kind != PLANT_MODBUS_TCP &&
        (unit < PLANT_RTU_UNIT_MIN || unit > PLANT_RTU_UNIT_MAX))
        return fb_fail(cause, FB_INVALID, "unit: %u, allowed are %d to %d", unit, PLANT_RTU_UNIT_MIN,
                       PLANT_RTU_UNIT_MAX);
    ret_instrument->bus = (uint16_t)bus;
    return plant_writes_from_json(json_object_get(json, "writes"), &ret_instrument->writes,
                                  &ret_instrument->write_count, cause);
}

/* Make place for one more instrument, if index is a new one, and for count more tags of it. */
static enum fb_error make_room(struct plant *plant, size_t index, size_t count, struct fb_cause *cause) {
    size_t tags = count;
    for (size_t i = 0; i < plant->instrument_count; i++)
        tags += plant->instruments[i].tag_count;
    if (index == PLANT_INSTRUMENTS_MAX || tags > PLANT_TAGS_MAX)
        return fb_fail(cause, FB_LIMIT, "more than %d instruments or %d tags", PLANT_INSTRUMENTS_MAX, PLANT_TAGS_MAX);
    if (index == plant->instrument_count) {
        struct plant_instrument *instruments = reallocarray(plant->instruments, index + 1, sizeof *instruments);
        if (instruments == NULL)
            return fb_fail(cause, FB_MEMORY, "out of memory");
        plant->instruments = instruments;
    }
    return FB_OK;
}

/* ret_tags: malloc, ret_count of them. */
static enum fb_error read_tags(const json_t *list, struct plant_tag **ret_tags, size_t *ret_count,
                               struct fb_cause *cause) {
    if (!json_is_array(list) || json_array_size(list) > PLANT_TAGS_MAX)
        return fb_fail(cause, FB_INVALID, "tags: not a list of at most %d", PLANT_TAGS_MAX);
    const size_t count = json_array_size(list);
    struct plant_tag *tags = calloc(count + 1, sizeof *tags);
    if (tags == NULL)
        return fb_fail(cause, FB_MEMORY, "tags: out of memory");
    for (size_t i = 0; i < count; i++) {
        const enum fb_error error = read_tag(json_array_get(list, i), &tags[i], cause);
        if (error != FB_OK) {
            free(tags);
            return fb_context(cause, error, "tags[%zu]", i);
        }
    }
    *ret_tags = tags;
    *ret_count = count;
    return FB_OK;
}

/* Put the tags behind those of the instrument with the given index, which is fresh when there is none yet. */
static enum fb_error append_tags(struct plant *plant, size_t index, struct plant_instrument fresh,
                                 const struct plant_tag *tags, size_t count, struct fb_cause *cause) {
    const enum fb_error error = make_room(plant, index, count, cause);
    if (error != FB_OK)
        return error;
    const bool is_new = index == plant->instrument_count;
    struct plant_instrument *instrument = &plant->instruments[index];
    const size_t before = is_new ? 0 : instrument->tag_count;
    struct plant_tag *all = reallocarray(is_new ? NULL : instrument->tags, before + count + 1, sizeof *all);
    if (all == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    memcpy(all + before, tags, count * sizeof *all);
    *instrument = fresh;
    instrument->tags = all;
    instrument->tag_count = before + count;
    plant->instrument_count += is_new ? 1 : 0;
    return FB_OK;
}

static bool same_watch(const struct plant_watch *left, const struct plant_watch *right) {
    return left->table == right->table && left->address == right->address && left->mask == right->mask &&
           left->interval_ms == right->interval_ms;
}

static bool same_instrument(const struct plant_instrument *left, const struct plant_instrument *right) {
    return left->bus == right->bus && left->unit == right->unit && left->registers_most == right->registers_most &&
           same_watch(&left->heartbeat, &right->heartbeat) && same_watch(&left->service, &right->service) &&
           left->write_count == right->write_count &&
           (left->write_count == 0 ||
            memcmp(left->writes, right->writes, left->write_count * sizeof *left->writes) == 0);
}

enum fb_error plant_add_instrument_json(struct plant *plant, const json_t *json, struct fb_cause *cause) {
    struct plant_instrument fresh = {0};
    enum fb_error error = read_instrument(plant, json, &fresh, cause);
    if (error != FB_OK)
        return fb_context(cause, error, "instrument");
    const size_t index = find_instrument(plant, fresh.name);
    const struct plant_instrument *known = index < plant->instrument_count ? &plant->instruments[index] : &fresh;
    struct plant_write *const writes = fresh.writes;
    struct plant_tag *tags = NULL;
    size_t count = 0;
    if (!same_instrument(known, &fresh))
        error = fb_fail(cause, FB_INVALID, "is not what it was in the message before");
    else
        error = read_tags(json_object_get(json, "tags"), &tags, &count, cause);
    fresh.writes = known->writes;
    if (error == FB_OK)
        error = append_tags(plant, index, fresh, tags, count, cause);
    if (error != FB_OK || fresh.writes != writes)
        free(writes);
    free(tags);
    return error == FB_OK ? FB_OK : fb_context(cause, error, "instrument %s", fresh.name);
}
