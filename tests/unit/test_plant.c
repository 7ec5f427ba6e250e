// links: gateway/common/plant.c gateway/common/link_settings.c gateway/common/json.c gateway/common/error.c gateway/common/plant_lines.c gateway/common/pin.c gateway/common/plant_write.c gateway/common/cloud_profile.c
/* What programs tell each other about the plant and the link survives the way there, and nothing else gets in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/common/link_settings.h"
#include "gateway/common/plant.h"

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static const struct plant_bus tcp_bus = {
    .name = "hall-1", .kind = PLANT_MODBUS_TCP, .host = "192.0.2.20", .port = 502, .timeout_ms = 500};
static const struct plant_bus rtu_bus = {.name = "line-1",
                                         .kind = PLANT_MODBUS_RTU,
                                         .device = "/dev/ttyS1",
                                         .baud = 9600,
                                         .parity = PLANT_PARITY_ODD,
                                         .stop_bits = 2,
                                         .timeout_ms = 1000,
                                         .pause_ms = 7};
static const struct link_settings settings = {.gateway = "north",
                                              .host = "broker.example",
                                              .port = 5671,
                                              .address = "/queues/readings",
                                              .ca = "/pki/ca.pem",
                                              .certificate = "/pki/gateway.pem",
                                              .key = "/pki/gateway.key",
                                              .token_life_ms = 3600000,
                                              .window_messages = 256,
                                              .window_bytes = 4 * 1024 * 1024,
                                              .connect_timeout_ms = 10000,
                                              .open_timeout_ms = 15000,
                                              .idle_timeout_ms = 60000,
                                              .ack_timeout_ms = 60000,
                                              .return_after_ms = 1800000,
                                              .spares = {{"other.example", 5671, "/queues/readings"}},
                                              .spare_count = 1,
                                              .retry_first_ms = 1000,
                                              .retry_most_ms = 300000};

static struct plant_tag make_tag(uint32_t number) {
    return (struct plant_tag){.number = number,
                              .name = "flow",
                              .unit = "m\302\263/h",
                              .table = PLANT_INPUT,
                              .address = 65532,
                              .type = PLANT_FLOAT64,
                              .word_order = PLANT_BADC,
                              .no_value_count = 2,
                              .no_value = {UINT64_MAX, 0x7fc00000},
                              .status = {65530, 0x8001, 2},
                              .scale = {-123456789012345, -12},
                              .offset = {25, -1},
                              .has_max = true,
                              .max = 0.1,
                              .interval_ms = 86400000};
}

/* Through text, as it travels. */
static json_t *travel(json_t *json) {
    assert_non_null(json);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    json_t *arrived = json_loads(text, 0, NULL);
    free(text);
    assert_non_null(arrived);
    return arrived;
}

static void add_bus(struct plant *plant, const struct plant_bus *bus) {
    json_t *json = travel(plant_bus_to_json(bus));
    assert_int_equal(plant_add_bus_json(plant, json, NULL), FB_OK);
    json_decref(json);
}

static void assert_buses_equal(const struct plant_bus *left, const struct plant_bus *right) {
    assert_string_equal(left->name, right->name);
    assert_int_equal(left->kind, right->kind);
    assert_string_equal(left->host, right->host);
    assert_int_equal(left->port, right->port);
    assert_string_equal(left->device, right->device);
    assert_int_equal(left->baud, right->baud);
    assert_int_equal(left->parity, right->parity);
    assert_int_equal(left->stop_bits, right->stop_bits);
    assert_int_equal(left->timeout_ms, right->timeout_ms);
    assert_int_equal(left->pause_ms, right->pause_ms);
}

static void buses_arrive_as_they_left(void **state) {
    (void)state;
    struct plant plant = {0};
    add_bus(&plant, &tcp_bus);
    add_bus(&plant, &rtu_bus);
    assert_int_equal(plant.bus_count, 2);
    assert_buses_equal(&plant.buses[0], &tcp_bus);
    assert_buses_equal(&plant.buses[1], &rtu_bus);
    plant_done(&plant);
    assert_null(plant.buses);
    assert_int_equal(plant.bus_count, 0);
}

static void assert_tags_equal(const struct plant_tag *left, const struct plant_tag *right) {
    assert_int_equal(left->number, right->number);
    assert_string_equal(left->name, right->name);
    assert_string_equal(left->unit, right->unit);
    assert_int_equal(left->table, right->table);
    assert_int_equal(left->address, right->address);
    assert_int_equal(left->type, right->type);
    assert_int_equal(left->word_order, right->word_order);
    assert_int_equal(left->bit_first, right->bit_first);
    assert_int_equal(left->bit_count, right->bit_count);
    assert_int_equal(left->length, right->length);
    assert_int_equal(left->no_value_count, right->no_value_count);
    assert_memory_equal(left->no_value, right->no_value, sizeof left->no_value);
    assert_memory_equal(&left->status, &right->status, sizeof left->status);
    assert_int_equal(left->scale.mantissa, right->scale.mantissa);
    assert_int_equal(left->scale.exponent, right->scale.exponent);
    assert_int_equal(left->offset.mantissa, right->offset.mantissa);
    assert_int_equal(left->offset.exponent, right->offset.exponent);
    assert_int_equal(left->has_min, right->has_min);
    assert_int_equal(left->has_max, right->has_max);
    assert_true(left->min == right->min && left->max == right->max);
    assert_int_equal(left->interval_ms, right->interval_ms);
}

static void an_instrument_arrives_in_pieces(void **state) {
    (void)state;
    struct plant_tag tags[] = {make_tag(1), make_tag(2), make_tag(3)};
    struct plant_instrument instrument = {.name = "turbidity",
                                          .bus = 1,
                                          .unit = 247,
                                          .registers_most = 125,
                                          .tags = tags,
                                          .tag_count = 3,
                                          .heartbeat = {PLANT_INPUT, 9, 0xffff, 1000},
                                          .service = {PLANT_COIL, 65535, 1, 60000}};
    tags[2].type = PLANT_UINT32;
    tags[2].bit_first = 4;
    tags[2].bit_count = 28;
    tags[1].type = PLANT_TEXT;
    tags[1].length = 3;
    struct plant_write writes[] = {{.name = "setpoint",
                                    .table = PLANT_HOLDING,
                                    .address = 9,
                                    .type = PLANT_FLOAT32,
                                    .word_order = PLANT_DCBA,
                                    .min = -0.5,
                                    .max = 14},
                                   {.name = "start", .table = PLANT_COIL, .address = 65535, .max = 1}};
    instrument.writes = writes;
    instrument.write_count = 2;
    struct plant_bus buses[] = {tcp_bus, rtu_bus};
    const struct plant sent = {buses, 2, &instrument, 1};
    struct plant plant = {0};
    add_bus(&plant, &tcp_bus);
    add_bus(&plant, &rtu_bus);
    for (size_t first = 0; first < 3; first += 2) {
        json_t *json = travel(plant_instrument_to_json(&sent, &instrument, first, first == 0 ? 2 : 1));
        assert_int_equal(plant_add_instrument_json(&plant, json, NULL), FB_OK);
        json_decref(json);
    }
    assert_int_equal(plant.instrument_count, 1);
    assert_int_equal(plant.instruments[0].write_count, 2);
    assert_memory_equal(plant.instruments[0].writes, writes, sizeof writes);
    assert_string_equal(plant.instruments[0].name, "turbidity");
    assert_int_equal(plant.instruments[0].bus, 1);
    assert_int_equal(plant.instruments[0].unit, 247);
    assert_int_equal(plant.instruments[0].registers_most, 125);
    assert_int_equal(plant.instruments[0].tag_count, 3);
    assert_memory_equal(&plant.instruments[0].heartbeat, &instrument.heartbeat, sizeof instrument.heartbeat);
    assert_memory_equal(&plant.instruments[0].service, &instrument.service, sizeof instrument.service);
    for (size_t i = 0; i < 3; i++)
        assert_tags_equal(&plant.instruments[0].tags[i], &tags[i]);
    plant_done(&plant);
}

/* Set the member at the path to a value of JSON text, or remove it when text is NULL. */
static void change(json_t *json, const char *key, const char *text) {
    json_t *value = text == NULL ? NULL : json_loads(text, JSON_DECODE_ANY, NULL);
    assert_true(text == NULL || value != NULL);
    if (value == NULL)
        assert_int_equal(json_object_del(json, key), 0);
    else
        assert_int_equal(json_object_set_new(json, key, value), 0);
}

struct refusal {
    const char *key;
    const char *value; /* NULL: without the key */
    const char *cause;
};

static void wrong_buses_are_refused(void **state) {
    (void)state;
    static const struct refusal refusals[] = {
        {"name", NULL, "bus: name: missing"},
        {"name", "\"Hall\"", "bus: name: only a-z, 0-9 and - are allowed"},
        {"name", "\"\"", "bus: name: 0 bytes long, allowed are 1 to 63"},
        {"name", "\"line-1\"", "bus line-1: is there already"},
        {"kind", "\"profibus\"", "bus: kind: not one of its words"},
        {"kind", "0", "bus: kind: not one of its words"},
        {"kind", "\"modbus-rtu\"", "bus: lacks what a modbus-rtu bus needs"},
        {"host", "\"\"", "bus: lacks what a modbus-tcp bus needs"},
        {"host", "\"a\\nb\"", "bus: host: has a control character"},
        {"port", "0", "bus: lacks what a modbus-tcp bus needs"},
        {"port", "65536", "bus: port: 65536, allowed are 0 to 65535"},
        {"port", "-1", "bus: port: -1, allowed are 0 to 65535"},
        {"port", "502.0", "bus: port: not an integer"},
        {"port", "\"502\"", "bus: port: not an integer"},
        {"timeout_ms", "9", "bus: timeout_ms: 9, allowed are 10 to 30000"},
        {"pause_ms", "1001", "bus: pause_ms: 1001, allowed are 0 to 1000"},
        {"colour", "1", "bus: has an unknown field"},
    };
    struct plant plant = {0};
    add_bus(&plant, &rtu_bus);
    for (size_t i = 0; i < COUNT(refusals); i++) {
        struct fb_cause cause;
        json_t *json = plant_bus_to_json(&tcp_bus);
        change(json, refusals[i].key, refusals[i].value);
        assert_int_equal(plant_add_bus_json(&plant, json, &cause), FB_INVALID);
        assert_string_equal(cause.text, refusals[i].cause);
        assert_int_equal(plant.bus_count, 1);
        json_decref(json);
    }
    plant_done(&plant);
}

static const struct refusal tag_refusals[] = {
    {"number", "4294967296", "number: 4294967296, allowed are 0 to 4294967295"},
    {"name", "\"-\"", "name: only a-z, 0-9 and - are allowed"},
    {"unit", "7", "unit: not a text"},
    {"unit", "\"a unit far too long to be one\"", "unit: 29 bytes long, allowed are 0 to 23"},
    {"table", "\"coils\"", "table: not one of its words"},
    {"table", "\"coil\"", "type: a coil holds one bit"},
    {"address", "65533", "address: its 4 registers run past the table's last"},
    {"address", "true", "address: not an integer"},
    {"type", "\"real\"", "type: not one of its words"},
    {"word_order", "null", "word_order: not one of its words"},
    {"bit_first", "4", "bits: only a register of type bit, uint16 or uint32 has bits to choose from"},
    {"no_value", "[0, 1, 2, 3, 4]", "no_value: not a list of at most 4"},
    {"no_value", "[0.5]", "no_value: not an integer"},
    {"status", "[1, 2]", "status: not [address, fault, maintenance]"},
    {"status", "[0, 1, 65536]", "status: 65536, allowed are 0 to 65535"},
    {"status", "[7, 1, 0]", "status: value and status lie 65529 registers apart, but the instrument sends 125 at once"},
    {"scale", "1", "scale: not [mantissa, exponent]"},
    {"scale", "[1, 13]", "scale: 13, allowed are -12 to 12"},
    {"scale", "[1.5, 0]", "scale: not an integer"},
    {"offset", "[1, 0, 0]", "offset: not [mantissa, exponent]"},
    {"min", "\"low\"", "min: neither a number nor null"},
    {"max", NULL, "max: missing"},
    {"length", "1", "length: is for type text"},
    {"length", "65", "length: 65, allowed are 0 to 64"},
    {"type", "\"text\"", "length: a text has 1 to 64 registers"},
    {"interval_ms", "99", "interval_ms: 99, allowed are 100 to 86400000"},
    {"colour", "1", "has an unknown field"},
};

static void wrong_tags_leave_the_plant_as_it_was(void **state) {
    (void)state;
    struct plant_tag tags[] = {make_tag(1), make_tag(2)};
    struct plant_instrument instrument = {.name = "i", .unit = 1, .registers_most = 125, .tags = tags, .tag_count = 2};
    struct plant plant = {0};
    add_bus(&plant, &tcp_bus);
    for (size_t i = 0; i < COUNT(tag_refusals); i++) {
        struct fb_cause cause;
        json_t *json = plant_instrument_to_json(&plant, &instrument, 0, 2);
        change(json_array_get(json_object_get(json, "tags"), 1), tag_refusals[i].key, tag_refusals[i].value);
        assert_int_equal(plant_add_instrument_json(&plant, json, &cause), FB_INVALID);
        const char context[] = "instrument i: tags[1]: ";
        assert_memory_equal(cause.text, context, strlen(context));
        assert_string_equal(cause.text + strlen(context), tag_refusals[i].cause);
        assert_int_equal(plant.instrument_count, 0);
        json_decref(json);
    }
    plant_done(&plant);
}

static void wrong_instruments_are_refused(void **state) {
    (void)state;
    static const struct refusal refusals[] = {
        {"name", "\"\"", "instrument: name: 0 bytes long, allowed are 1 to 63"},
        {"bus", "\"line-2\"", "instrument: bus: unknown"},
        {"bus", "1", "instrument: bus: unknown"},
        {"unit", "0", "instrument: unit: 0, allowed are 1 to 247"},
        {"unit", "256", "instrument: unit: 256, allowed are 0 to 255"},
        {"unit", "2", "instrument i: is not what it was in the message before"},
        {"registers_most", "0", "instrument: registers_most: 0, allowed are 1 to 125"},
        {"tags", "{}", "instrument i: tags: not a list of at most 8192"},
        {"tags", "[1]", "instrument i: tags[0]: not an object"},
    };
    struct plant_tag tags[] = {make_tag(1)};
    struct plant_instrument instrument = {.name = "i", .unit = 1, .registers_most = 125, .tags = tags, .tag_count = 1};
    struct plant plant = {0};
    add_bus(&plant, &rtu_bus);
    json_t *json = plant_instrument_to_json(&plant, &instrument, 0, 1);
    assert_int_equal(plant_add_instrument_json(&plant, json, NULL), FB_OK);
    json_decref(json);
    for (size_t i = 0; i < COUNT(refusals); i++) {
        struct fb_cause cause;
        json = plant_instrument_to_json(&plant, &instrument, 0, 1);
        change(json, refusals[i].key, refusals[i].value);
        assert_int_equal(plant_add_instrument_json(&plant, json, &cause), FB_INVALID);
        assert_string_equal(cause.text, refusals[i].cause);
        assert_int_equal(plant.instruments[0].tag_count, 1);
        json_decref(json);
    }
    plant_done(&plant);
}

static void the_plant_has_a_limit(void **state) {
    (void)state;
    struct plant_tag *tags = calloc(PLANT_TAGS_MAX, sizeof *tags);
    for (uint32_t i = 0; i < PLANT_TAGS_MAX; i++)
        tags[i] = make_tag(i + 1);
    struct plant_instrument instrument = {.name = "i", .unit = 1, .registers_most = 125, .tags = tags};
    struct plant plant = {0};
    add_bus(&plant, &tcp_bus);
    json_t *all = plant_instrument_to_json(&plant, &instrument, 0, PLANT_TAGS_MAX);
    json_t *one = plant_instrument_to_json(&plant, &instrument, 0, 1);
    assert_int_equal(plant_add_instrument_json(&plant, all, NULL), FB_OK);
    assert_int_equal(plant_add_instrument_json(&plant, one, NULL), FB_LIMIT);
    assert_int_equal(plant.instruments[0].tag_count, PLANT_TAGS_MAX);
    json_decref(all);
    json_decref(one);
    free(tags);
    plant_done(&plant);
}

static void link_settings_arrive_as_they_left(void **state) {
    (void)state;
    struct link_settings arrived;
    json_t *json = travel(link_settings_to_json(&settings));
    assert_int_equal(link_settings_from_json(json, &arrived, NULL), FB_OK);
    assert_memory_equal(&arrived, &settings, sizeof settings);
    json_decref(json);
}

static void wrong_link_settings_are_refused(void **state) {
    (void)state;
    static const struct refusal refusals[] = {
        {"host", NULL, "host: missing"},
        {"host", "\"\"", "host: 0 bytes long, allowed are 1 to 255"},
        {"port", "0", "port: 0, allowed are 1 to 65535"},
        {"window_messages", "1025", "window_messages: 1025, allowed are 1 to 1024"},
        {"window_bytes", "262143", "window_bytes: 262143, allowed are 262144 to 16777216"},
        {"open_timeout_ms", "999", "open_timeout_ms: 999, allowed are 1000 to 600000"},
        {"retry_first_ms", "99", "retry_first_ms: 99, allowed are 100 to 60000"},
        {"colour", "1", "has an unknown field"},
    };
    for (size_t i = 0; i < COUNT(refusals); i++) {
        struct link_settings arrived;
        struct fb_cause cause;
        json_t *json = link_settings_to_json(&settings);
        change(json, refusals[i].key, refusals[i].value);
        assert_int_equal(link_settings_from_json(json, &arrived, &cause), FB_INVALID);
        assert_string_equal(cause.text, refusals[i].cause);
        json_decref(json);
    }
}

static void the_longest_wait_is_not_shorter_than_the_first(void **state) {
    (void)state;
    struct link_settings arrived, wrong = settings;
    wrong.retry_first_ms = 2000;
    wrong.retry_most_ms = 1000;
    json_t *json = link_settings_to_json(&wrong);
    assert_int_equal(link_settings_from_json(json, &arrived, NULL), FB_INVALID);
    json_decref(json);
}

static void kinds_of_readings_follow_type_and_scale(void **state) {
    (void)state;
    static const struct {
        enum plant_type type;
        struct plant_decimal scale, offset;
        enum reading_kind kind;
    } kinds[] = {
        {PLANT_BIT, {1, 0}, {0, 0}, READING_BOOLEAN},      {PLANT_INT16, {1, 0}, {0, 0}, READING_INTEGER},
        {PLANT_UINT16, {10, 0}, {-5, 0}, READING_INTEGER}, {PLANT_UINT32, {100, -1}, {0, 0}, READING_INTEGER},
        {PLANT_INT32, {1, -1}, {0, 0}, READING_REAL64},    {PLANT_INT16, {1, 0}, {25, -1}, READING_REAL64},
        {PLANT_INT64, {1, 0}, {0, 0}, READING_INTEGER},    {PLANT_UINT64, {1, 0}, {0, 0}, READING_REAL64},
        {PLANT_FLOAT32, {1, 0}, {0, 0}, READING_REAL32},   {PLANT_FLOAT32, {1, -1}, {0, 0}, READING_REAL64},
        {PLANT_FLOAT32, {1, 0}, {1, 0}, READING_REAL64},   {PLANT_FLOAT64, {1, 0}, {0, 0}, READING_REAL64},
    };
    for (size_t i = 0; i < COUNT(kinds); i++) {
        const struct plant_tag tag = {.type = kinds[i].type, .scale = kinds[i].scale, .offset = kinds[i].offset};
        assert_int_equal(plant_tag_kind(&tag), kinds[i].kind);
    }
}

static void words_end_where_the_enums_end(void **state) {
    (void)state;
    assert_string_equal(plant_bus_kind_word(PLANT_MODBUS_RTU), "modbus-rtu");
    assert_null(plant_bus_kind_word((enum plant_bus_kind)(PLANT_SERIAL_TCP + 1)));
    assert_string_equal(plant_parity_word(PLANT_PARITY_ODD), "odd");
    assert_null(plant_parity_word((enum plant_parity)(PLANT_PARITY_ODD + 1)));
    assert_string_equal(plant_table_word(PLANT_HOLDING), "holding");
    assert_null(plant_table_word((enum plant_table)(PLANT_HOLDING + 1)));
    assert_string_equal(plant_type_word(PLANT_BCD32), "bcd32");
    assert_null(plant_type_word((enum plant_type)(PLANT_TEXT + 1)));
    assert_string_equal(plant_word_order_word(PLANT_DCBA), "dcba");
    assert_null(plant_word_order_word((enum plant_word_order)(PLANT_DCBA + 1)));
}

static void names_are_lower_case_words(void **state) {
    (void)state;
    static const char *const bad[] = {"", "-a", "A", "a_b", "a b", "a.b", "\303\251"};
    char longest[PLANT_NAME_MAX + 1];
    memset(longest, 'a', sizeof longest);
    longest[PLANT_NAME_MAX] = '\0';
    assert_false(plant_name_valid(longest));
    assert_true(plant_name_valid(longest + 1));
    assert_true(plant_name_valid("0-a-"));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(plant_name_valid(bad[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buses_arrive_as_they_left),
        cmocka_unit_test(an_instrument_arrives_in_pieces),
        cmocka_unit_test(wrong_buses_are_refused),
        cmocka_unit_test(wrong_tags_leave_the_plant_as_it_was),
        cmocka_unit_test(wrong_instruments_are_refused),
        cmocka_unit_test(the_plant_has_a_limit),
        cmocka_unit_test(link_settings_arrive_as_they_left),
        cmocka_unit_test(wrong_link_settings_are_refused),
        cmocka_unit_test(the_longest_wait_is_not_shorter_than_the_first),
        cmocka_unit_test(kinds_of_readings_follow_type_and_scale),
        cmocka_unit_test(words_end_where_the_enums_end),
        cmocka_unit_test(names_are_lower_case_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
