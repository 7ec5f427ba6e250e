// links: drivers/decode.c drivers/text_value.c gateway/common/plant.c gateway/common/json.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c gateway/common/plant_lines.c gateway/common/plant_write.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "drivers/decode.h"
#include "gateway/common/quality.h"

#define TIME_MS INT64_C(1795293200000)
#define AS_IT_IS {1, 0}
#define NOTHING {0, 0}

static struct plant_tag make_tag(enum plant_type type) {
    return (struct plant_tag){
        .number = 7, .table = PLANT_HOLDING, .type = type, .scale = AS_IT_IS, .offset = NOTHING, .interval_ms = 1000};
}

static struct reading decode(const struct plant_tag *tag, const uint8_t *bytes) {
    const struct reading reading = decode_tag(tag, bytes, TIME_MS);
    assert_int_equal(reading.kind, plant_tag_kind(tag));
    assert_int_equal(reading.tag, 7);
    assert_true(reading_valid(&reading));
    return reading;
}

static void every_type_in_every_order(void **state) {
    (void)state;
    static const struct {
        enum plant_type type;
        unsigned registers;
        const char *orders[4]; /* ABCD, CDAB, BADC, DCBA as on the wire */
        double value;
    } rows[] = {
        {PLANT_BIT, 1, {"\x00\x01", "\x00\x01", "\x01\x00", "\x01\x00"}, 1},
        {PLANT_INT16, 1, {"\xff\xfe", "\xff\xfe", "\xfe\xff", "\xfe\xff"}, -2},
        {PLANT_UINT16, 1, {"\xff\xfe", "\xff\xfe", "\xfe\xff", "\xfe\xff"}, 65534},
        {PLANT_INT32, 2, {"\xfe\xdc\xba\x98", "\xba\x98\xfe\xdc", "\xdc\xfe\x98\xba", "\x98\xba\xdc\xfe"}, -19088744},
        {PLANT_UINT32, 2, {"\xfe\xdc\xba\x98", "\xba\x98\xfe\xdc", "\xdc\xfe\x98\xba", "\x98\xba\xdc\xfe"}, 4275878552},
        {PLANT_FLOAT32,
         2,
         {"\x40\x49\x0f\xdb", "\x0f\xdb\x40\x49", "\x49\x40\xdb\x0f", "\xdb\x0f\x49\x40"},
         0x1.921fb6p+1},
        {PLANT_INT64,
         4,
         {"\xff\xff\xff\xff\xfe\xdc\xba\x98", "\xba\x98\xfe\xdc\xff\xff\xff\xff", "\xff\xff\xff\xff\xdc\xfe\x98\xba",
          "\x98\xba\xdc\xfe\xff\xff\xff\xff"},
         -19088744},
        {PLANT_UINT64,
         4,
         {"\x00\x01\x02\x03\x04\x05\x06\x07", "\x06\x07\x04\x05\x02\x03\x00\x01", "\x01\x00\x03\x02\x05\x04\x07\x06",
          "\x07\x06\x05\x04\x03\x02\x01\x00"},
         283686952306183},
        {PLANT_FLOAT64,
         4,
         {"\x40\x09\x21\xfb\x54\x44\x2d\x18", "\x2d\x18\x54\x44\x21\xfb\x40\x09", "\x09\x40\xfb\x21\x44\x54\x18\x2d",
          "\x18\x2d\x44\x54\xfb\x21\x09\x40"},
         0x1.921fb54442d18p+1},
        {PLANT_BCD16, 1, {"\x12\x34", "\x12\x34", "\x34\x12", "\x34\x12"}, 1234},
        {PLANT_BCD32, 2, {"\x12\x34\x56\x78", "\x56\x78\x12\x34", "\x34\x12\x78\x56", "\x78\x56\x34\x12"}, 12345678},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (unsigned order = 0; order < 4; order++) {
            struct plant_tag tag = make_tag(rows[i].type);
            tag.word_order = (enum plant_word_order)order;
            uint8_t bytes[8] = {0};
            memcpy(bytes, rows[i].orders[order], rows[i].registers * 2u);
            const struct reading reading = decode(&tag, bytes);
            assert_int_equal(reading.quality, QUALITY_GOOD);
            assert_true(reading_number(&reading) == rows[i].value);
        }
    }
}

static void decimal_scales_are_exact(void **state) {
    (void)state;
    static const struct {
        enum plant_type type;
        uint64_t raw; /* most significant byte first */
        struct plant_decimal scale, offset;
        double value;
    } rows[] = {
        {PLANT_UINT16, 7, {1, -2}, NOTHING, 0.07},
        {PLANT_UINT16, 3, {1, -1}, NOTHING, 0.3},
        {PLANT_UINT16, 65535, {1, -3}, NOTHING, 65.535},
        {PLANT_UINT16, 7, {1, -2}, {-40, 0}, -39.93},
        {PLANT_UINT16, 1, {1, -1}, {2, -1}, 0.3},
        {PLANT_UINT16, 5, {25, -2}, {1, -12}, 1.250000000001},
        {PLANT_INT16, 0xffff, {1, -3}, NOTHING, -0.001},
        {PLANT_UINT16, 5, {1, 3}, NOTHING, 5000},
        {PLANT_UINT16, 5, {2, 0}, {-1, 1}, 0},
        {PLANT_UINT16, 5, {100, -2}, NOTHING, 5},
        {PLANT_UINT32, 0x12345678, {1, -12}, NOTHING, 0.000305419896},
        /* an offset of nothing must not cost digits, whatever its exponent */
        {PLANT_UINT32, 4000000001, {1, -1}, {0, -12}, 400000000.1},
        {PLANT_UINT64, UINT64_MAX, AS_IT_IS, NOTHING, 0x1p64},
        {PLANT_INT64, INT64_MAX, {1, -1}, NOTHING, 922337203685477580.7},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct plant_tag tag = make_tag(rows[i].type);
        tag.scale = rows[i].scale;
        tag.offset = rows[i].offset;
        uint8_t bytes[8];
        const unsigned size = plant_type_registers(tag.type) * 2;
        for (unsigned j = 0; j < size; j++)
            bytes[j] = (uint8_t)(rows[i].raw >> 8 * (size - 1 - j));
        const struct reading reading = decode(&tag, bytes);
        assert_int_equal(reading.quality, QUALITY_GOOD);
        assert_true(reading_number(&reading) == rows[i].value);
    }
}

static void every_hundredth_is_the_nearest_double(void **state) {
    (void)state;
    struct plant_tag tag = make_tag(PLANT_UINT16);
    tag.scale = (struct plant_decimal){1, -2};
    for (unsigned raw = 0; raw <= UINT16_MAX; raw++) {
        const uint8_t bytes[] = {(uint8_t)(raw >> 8), (uint8_t)raw};
        assert_true(decode(&tag, bytes).value.real64 == raw / 100.0);
    }
}

static void floats_are_scaled_in_double(void **state) {
    (void)state;
    struct plant_tag tag = make_tag(PLANT_FLOAT32);
    tag.scale = (struct plant_decimal){1, -1};
    tag.offset = (struct plant_decimal){5, -1};
    assert_true(decode(&tag, (const uint8_t *)"\x40\x40\x00\x00").value.real64 == 0.8);
}

static void what_is_no_number_has_no_value(void **state) {
    (void)state;
    static const struct {
        enum plant_type type;
        const char *bytes;
        struct plant_decimal scale;
    } rows[] = {
        {PLANT_FLOAT32, "\x7f\xc0\x00\x00", AS_IT_IS},
        {PLANT_FLOAT32, "\x7f\x80\x00\x00", AS_IT_IS},
        {PLANT_FLOAT32, "\xff\x80\x00\x00", {1, -1}},
        {PLANT_FLOAT64, "\x7f\xf8\x00\x00\x00\x00\x00\x00", AS_IT_IS},
        {PLANT_FLOAT64, "\x7f\xef\xff\xff\xff\xff\xff\xff", {10, 0}},
        {PLANT_INT64, "\x7f\xff\xff\xff\xff\xff\xff\xff", {2, 0}},
        {PLANT_INT64, "\x7f\xff\xff\xff\xff\xff\xff\xff", {INT64_MAX, 12}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct plant_tag tag = make_tag(rows[i].type);
        tag.scale = rows[i].scale;
        const struct reading reading = decode(&tag, (const uint8_t *)rows[i].bytes);
        assert_int_equal(reading.quality, QUALITY_NOT_A_NUMBER);
        assert_true(reading.value.bits == 0);
    }
}

static void the_range_makes_uncertain_and_keeps_the_value(void **state) {
    (void)state;
    static const struct {
        uint8_t raw;
        uint8_t quality;
    } rows[] = {{9, QUALITY_BELOW_RANGE}, {10, QUALITY_GOOD}, {20, QUALITY_GOOD}, {21, QUALITY_ABOVE_RANGE}};
    struct plant_tag tag = make_tag(PLANT_UINT16);
    tag.has_min = true;
    tag.has_max = true;
    tag.min = 10;
    tag.max = 20;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const uint8_t bytes[] = {0, rows[i].raw};
        const struct reading reading = decode(&tag, bytes);
        assert_int_equal(reading.quality, rows[i].quality);
        assert_int_equal(reading.value.integer, rows[i].raw);
    }
}

static void each_tag_finds_its_place_in_the_reply(void **state) {
    (void)state;
    struct plant_tag registers[] = {make_tag(PLANT_UINT16), make_tag(PLANT_UINT32)};
    struct plant_tag bits[] = {make_tag(PLANT_BIT), make_tag(PLANT_BIT)};
    registers[0].address = 100;
    registers[1].address = 103;
    bits[0].table = bits[1].table = PLANT_COIL;
    bits[0].address = 20;
    bits[1].address = 29;
    const struct plant_tag *register_tags[] = {&registers[0], &registers[1]};
    const struct plant_tag *bit_tags[] = {&bits[0], &bits[1]};
    const struct plan_request words = {
        .table = PLANT_HOLDING, .address = 100, .count = 5, .tags = register_tags, .tag_count = 2};
    const struct plan_request coils = {
        .table = PLANT_COIL, .address = 20, .count = 10, .tags = bit_tags, .tag_count = 2};
    struct reading readings[2];
    decode_reply(&words, (const uint8_t *)"\x00\x01\x00\x02\x00\x03\x00\x04\x00\x05", TIME_MS, CLOCK_SYNCHRONISED,
                 readings);
    assert_int_equal(readings[0].value.integer, 1);
    assert_int_equal(readings[1].value.integer, 0x40005);
    assert_int_equal(decode_data_bytes(coils.table, coils.count), 2);
    decode_reply(&coils, (const uint8_t *)"\xfe\x02", TIME_MS, CLOCK_SYNCHRONISED, readings);
    assert_false(readings[0].value.boolean);
    assert_true(readings[1].value.boolean);
}

static void an_unset_clock_marks_what_was_good(void **state) {
    (void)state;
    struct plant_tag tags[] = {make_tag(PLANT_UINT16), make_tag(PLANT_UINT16)};
    tags[1].has_max = true;
    const struct plant_tag *pointers[] = {&tags[0], &tags[1]};
    const struct plan_request request = {.table = PLANT_INPUT, .count = 1, .tags = pointers, .tag_count = 2};
    struct reading readings[2];
    decode_reply(&request, (const uint8_t *)"\x00\x01", 5000, CLOCK_NOT_SET, readings);
    assert_int_equal(readings[0].quality, QUALITY_CLOCK_NOT_SET);
    assert_int_equal(readings[1].quality, QUALITY_ABOVE_RANGE);
}

static void a_failed_request_gives_a_bad_reading_for_each_tag(void **state) {
    (void)state;
    const struct plant_tag tags[] = {make_tag(PLANT_FLOAT32), make_tag(PLANT_UINT64)};
    const struct plant_tag *pointers[] = {&tags[0], &tags[1]};
    const struct plan_request request = {.table = PLANT_INPUT, .count = 6, .tags = pointers, .tag_count = 2};
    struct reading readings[2];
    decode_failure(&request, QUALITY_EXCEPTION, 2, TIME_MS, readings);
    for (size_t i = 0; i < 2; i++) {
        assert_true(reading_valid(&readings[i]));
        assert_int_equal(readings[i].quality, QUALITY_EXCEPTION);
        assert_int_equal(readings[i].detail, 2);
        assert_int_equal(readings[i].kind, plant_tag_kind(&tags[i]));
    }
}

static void bcd_digits_are_decimal_digits(void **state) {
    (void)state;
    struct plant_tag tag = make_tag(PLANT_BCD16);
    assert_int_equal(decode(&tag, (const uint8_t *)"\x12\x34").value.integer, 1234);
    assert_int_equal(decode(&tag, (const uint8_t *)"\x12\x3a").quality, QUALITY_NOT_A_NUMBER);
    tag = make_tag(PLANT_BCD32);
    tag.word_order = PLANT_CDAB;
    assert_int_equal(decode(&tag, (const uint8_t *)"\x56\x78\x12\x34").value.integer, 12345678);
    tag.scale = (struct plant_decimal){1, -2};
    assert_true(decode(&tag, (const uint8_t *)"\x56\x78\x12\x34").value.real64 == 123456.78);
    assert_int_equal(decode(&tag, (const uint8_t *)"\x56\x78\xf2\x34").quality, QUALITY_NOT_A_NUMBER);
}

static void bit_fields_are_cut_out_of_the_value(void **state) {
    (void)state;
    struct plant_tag tag = make_tag(PLANT_UINT16);
    tag.bit_first = 4;
    tag.bit_count = 8;
    assert_int_equal(decode(&tag, (const uint8_t *)"\xab\xcd").value.integer, 0xbc);
    tag.word_order = PLANT_BADC;
    assert_int_equal(decode(&tag, (const uint8_t *)"\xcd\xab").value.integer, 0xbc);
    tag = make_tag(PLANT_UINT32);
    tag.bit_count = 32;
    assert_int_equal(decode(&tag, (const uint8_t *)"\xff\xff\xff\xff").value.integer, UINT32_MAX);
    tag = make_tag(PLANT_BIT);
    tag.bit_first = 15;
    tag.bit_count = 1;
    assert_true(decode(&tag, (const uint8_t *)"\x80\x00").value.boolean);
    assert_false(decode(&tag, (const uint8_t *)"\x7f\xff").value.boolean);
}

static void bit_fields_are_cut_out_in_every_order(void **state) {
    (void)state;
    static const char *const orders[] = {"\xfe\xdc\xba\x98", "\xba\x98\xfe\xdc", "\xdc\xfe\x98\xba",
                                         "\x98\xba\xdc\xfe"};
    struct plant_tag tag = make_tag(PLANT_UINT32);
    tag.bit_first = 12;
    tag.bit_count = 8;
    for (unsigned order = 0; order < 4; order++) {
        tag.word_order = (enum plant_word_order)order;
        assert_int_equal(decode(&tag, (const uint8_t *)orders[order]).value.integer, 0xcb);
    }
}

static size_t decode_two(const struct plant_tag *first, const struct plant_tag *second, const char *data,
                         struct reading *ret_units) {
    const struct plant_tag *tags[] = {first, second};
    const struct plan_request request = {
        .table = PLANT_HOLDING, .address = 10, .count = 20, .tags = tags, .tag_count = 2};
    const size_t units = decode_reply(&request, (const uint8_t *)data, TIME_MS, CLOCK_SYNCHRONISED, ret_units);
    assert_true(units <= decode_units(&request));
    assert_true(readings_valid(ret_units, units));
    assert_int_equal(readings_count(ret_units, units), 2);
    return units;
}

static void texts_come_in_every_order_and_keep_their_place(void **state) {
    (void)state;
    static const char *const orders[] = {"RUN 12 \0\x00\x2a", "RUN 12 \0\x00\x2a", "UR N21\0 \x00\x2a",
                                         "UR N21\0 \x00\x2a"};
    struct plant_tag text = make_tag(PLANT_TEXT), number = make_tag(PLANT_UINT16);
    struct reading units[2 * READING_UNITS_MAX];
    text.address = 10;
    text.length = 4;
    number.address = 14;
    number.number = 8;
    for (unsigned order = 0; order < 4; order++) {
        text.word_order = (enum plant_word_order)order;
        assert_int_equal(decode_two(&text, &number, orders[order], units), 3);
        assert_int_equal(units[0].kind, READING_TEXT);
        assert_int_equal(units[0].value.text_length, 6);
        assert_memory_equal(reading_text(units), "RUN 12", 6);
        assert_int_equal(units[2].tag, 8);
        assert_int_equal(units[2].value.integer, 42);
    }
}

static void the_status_outranks_a_text_too(void **state) {
    (void)state;
    struct plant_tag text = make_tag(PLANT_TEXT), number = make_tag(PLANT_UINT16);
    struct reading units[2 * READING_UNITS_MAX];
    text.address = 10;
    text.length = 1;
    text.status = (struct plant_status){11, 0x8000, 1};
    number.address = 11;
    assert_int_equal(decode_two(&text, &number, "OK\x80\x00", units), 2);
    assert_int_equal(units[0].quality, QUALITY_INSTRUMENT_FAULT);
    assert_int_equal(decode_two(&text, &number, "OK\x00\x01", units), 3);
    assert_int_equal(units[0].quality, QUALITY_MAINTENANCE);
    assert_memory_equal(reading_text(units), "OK", 2);
}

static void sentinels_are_no_values(void **state) {
    (void)state;
    struct plant_tag tag = make_tag(PLANT_INT16);
    tag.no_value_count = 2;
    tag.no_value[0] = 0xffff;
    tag.no_value[1] = 0x8000;
    assert_int_equal(decode(&tag, (const uint8_t *)"\xff\xff").quality, QUALITY_SENTINEL);
    assert_int_equal(decode(&tag, (const uint8_t *)"\x80\x00").quality, QUALITY_SENTINEL);
    assert_int_equal(decode(&tag, (const uint8_t *)"\xff\xfe").value.integer, -2);
    tag = make_tag(PLANT_FLOAT64);
    tag.no_value_count = 1;
    tag.no_value[0] = UINT64_MAX;
    tag.word_order = PLANT_DCBA;
    assert_int_equal(decode(&tag, (const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff").quality, QUALITY_SENTINEL);
}

/* Value, status, heartbeat, service from address 10 on. */
static void decode_with_status(const char *data, uint16_t fault, uint16_t maintenance, struct reading *ret_reading) {
    struct plant_tag tag = make_tag(PLANT_UINT16);
    tag.address = 10;
    tag.has_max = true;
    tag.max = 100;
    tag.status = (struct plant_status){11, fault, maintenance};
    const struct plant_tag *tags[] = {&tag};
    const struct plan_request request = {
        .table = PLANT_HOLDING, .address = 10, .count = 2, .tags = tags, .tag_count = 1};
    decode_reply(&request, (const uint8_t *)data, TIME_MS, CLOCK_SYNCHRONISED, ret_reading);
    assert_true(reading_valid(ret_reading));
}

static void the_status_register_outranks_the_value(void **state) {
    (void)state;
    struct reading reading;
    decode_with_status("\x00\x07\x00\x00", 0x8000, 1, &reading);
    assert_int_equal(reading.quality, QUALITY_GOOD);
    decode_with_status("\x00\x07\x00\x01", 0x8000, 1, &reading);
    assert_int_equal(reading.quality, QUALITY_MAINTENANCE);
    assert_int_equal(reading.value.integer, 7);
    decode_with_status("\x01\x07\x00\x01", 0x8000, 1, &reading);
    assert_int_equal(reading.quality, QUALITY_MAINTENANCE);
    decode_with_status("\x00\x07\x80\x01", 0x8000, 1, &reading);
    assert_int_equal(reading.quality, QUALITY_INSTRUMENT_FAULT);
    assert_int_equal(reading.value.integer, 0);
}

static void watches_give_the_bits_that_count(void **state) {
    (void)state;
    const struct plant_instrument instrument = {.heartbeat = {PLANT_HOLDING, 12, 0x00ff, 1000},
                                                .service = {PLANT_COIL, 30, 1, 1000}};
    const struct plan_request registers = {.instrument = &instrument, .table = PLANT_HOLDING, .address = 10};
    const struct plan_request coils = {.instrument = &instrument, .table = PLANT_COIL, .address = 20};
    assert_int_equal(decode_watch(&registers, PLAN_HEARTBEAT, (const uint8_t *)"\1\2\3\4\xab\xcd"), 0xcd);
    assert_int_equal(decode_watch(&coils, PLAN_SERVICE, (const uint8_t *)"\x00\x04"), 1);
    assert_int_equal(decode_watch(&coils, PLAN_SERVICE, (const uint8_t *)"\xff\xfb"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bcd_digits_are_decimal_digits),
        cmocka_unit_test(bit_fields_are_cut_out_of_the_value),
        cmocka_unit_test(bit_fields_are_cut_out_in_every_order),
        cmocka_unit_test(texts_come_in_every_order_and_keep_their_place),
        cmocka_unit_test(the_status_outranks_a_text_too),
        cmocka_unit_test(sentinels_are_no_values),
        cmocka_unit_test(the_status_register_outranks_the_value),
        cmocka_unit_test(watches_give_the_bits_that_count),
        cmocka_unit_test(every_type_in_every_order),
        cmocka_unit_test(decimal_scales_are_exact),
        cmocka_unit_test(every_hundredth_is_the_nearest_double),
        cmocka_unit_test(floats_are_scaled_in_double),
        cmocka_unit_test(what_is_no_number_has_no_value),
        cmocka_unit_test(the_range_makes_uncertain_and_keeps_the_value),
        cmocka_unit_test(each_tag_finds_its_place_in_the_reply),
        cmocka_unit_test(an_unset_clock_marks_what_was_good),
        cmocka_unit_test(a_failed_request_gives_a_bad_reading_for_each_tag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
