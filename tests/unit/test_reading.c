// links: gateway/common/reading.c gateway/common/quality.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "gateway/common/quality.h"
#include "gateway/common/reading.h"

#define NOW_MS INT64_C(1795293200000)

static void made_readings_are_valid_and_mean_their_number(void **state) {
    (void)state;
    const struct {
        struct reading reading;
        double number;
    } made[] = {
        {reading_real64(1, NOW_MS, QUALITY_GOOD, -0.5), -0.5},
        {reading_real32(2, NOW_MS, QUALITY_STALE, 0.25f), 0.25},
        {reading_integer(3, NOW_MS, QUALITY_ABOVE_RANGE, -7), -7.0},
        {reading_boolean(UINT32_MAX, NOW_MS, QUALITY_CLOCK_NOT_SET, true), 1.0},
        {reading_boolean(5, NOW_MS, QUALITY_GOOD, false), 0.0},
    };
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        assert_true(reading_valid(&made[i].reading));
        assert_true(reading_has_value(&made[i].reading));
        assert_true(reading_number(&made[i].reading) == made[i].number);
    }
}

static void a_bad_reading_has_no_value(void **state) {
    (void)state;
    struct reading reading = reading_bad(9, READING_INTEGER, NOW_MS, QUALITY_EXCEPTION, 2);
    assert_true(reading_valid(&reading));
    assert_false(reading_has_value(&reading));
    assert_int_equal(reading.detail, 2);
    assert_int_equal(reading.kind, READING_INTEGER);
    reading.value.integer = 1;
    assert_false(reading_valid(&reading));
}

static void equal_readings_are_equal_bytes(void **state) {
    (void)state;
    struct reading a, b;
    memset(&a, 0xff, sizeof a);
    memset(&b, 0x55, sizeof b);
    a = reading_real32(2, NOW_MS, QUALITY_GOOD, 1.5f);
    b = reading_real32(2, NOW_MS, QUALITY_GOOD, 1.5f);
    assert_memory_equal(&a, &b, sizeof a);
    a = reading_boolean(2, NOW_MS, QUALITY_GOOD, true);
    b = reading_boolean(2, NOW_MS, QUALITY_GOOD, true);
    assert_memory_equal(&a, &b, sizeof a);
}

static struct reading good(void) {
    return reading_real64(1, NOW_MS, QUALITY_GOOD, 1.0);
}

static void what_no_honest_peer_sends_is_not_valid(void **state) {
    (void)state;
    struct reading reading = good();
    reading.tag = 0;
    assert_false(reading_valid(&reading));
    reading = good();
    reading.kind = READING_TEXT + 1;
    assert_false(reading_valid(&reading));
    reading = good();
    reading.quality = 63;
    assert_false(reading_valid(&reading));
    reading = good();
    reading.value.real64 = NAN;
    assert_false(reading_valid(&reading));
    reading.value.real64 = -INFINITY;
    assert_false(reading_valid(&reading));
    reading = reading_real32(1, NOW_MS, QUALITY_GOOD, INFINITY);
    assert_false(reading_valid(&reading));
}

static void stray_bytes_beside_the_value_are_not_valid(void **state) {
    (void)state;
    struct reading reading = reading_real32(1, NOW_MS, QUALITY_GOOD, 1.0f);
    reading.value.bits |= UINT64_C(1) << 32;
    assert_false(reading_valid(&reading));
    reading = reading_boolean(1, NOW_MS, QUALITY_GOOD, false);
    reading.value.bits = 2;
    assert_false(reading_valid(&reading));
    reading.value.bits = 256;
    assert_false(reading_valid(&reading));
}

static void times_have_bounds(void **state) {
    (void)state;
    struct reading reading = good();
    const int64_t inside[] = {READING_TIME_MIN_MS, READING_TIME_MAX_MS};
    const int64_t outside[] = {READING_TIME_MIN_MS - 1, READING_TIME_MAX_MS + 1, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++) {
        reading.time_ms = inside[i];
        assert_true(reading_valid(&reading));
    }
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        reading.time_ms = outside[i];
        assert_false(reading_valid(&reading));
    }
}

static void a_text_takes_the_units_behind_its_reading(void **state) {
    (void)state;
    static const char text[] = "123456789012345678901234567890123456789012345678901234567890123";
    static const struct {
        size_t length, units;
    } rows[] = {{0, 1}, {1, 2}, {24, 2}, {25, 3}, {48, 3}, {49, 4}, {63, 4}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct reading units[READING_UNITS_MAX];
        memset(units, 0xff, sizeof units);
        assert_int_equal(reading_make_text(7, NOW_MS, QUALITY_GOOD, text, rows[i].length, units), rows[i].units);
        assert_int_equal(reading_units(units), rows[i].units);
        assert_int_equal(units->value.text_length, rows[i].length);
        assert_memory_equal(reading_text(units), text, rows[i].length);
        assert_true(readings_valid(units, rows[i].units));
        assert_int_equal(readings_count(units, rows[i].units), 1);
    }
    const struct reading bad = reading_bad(7, READING_TEXT, NOW_MS, QUALITY_TIMEOUT, 0);
    assert_int_equal(reading_units(&bad), 1);
    assert_true(readings_valid(&bad, 1));
}

static void texts_that_break_a_rule_make_an_array_invalid(void **state) {
    (void)state;
    static const char *const wrong[] = {"a\nb",     "\x7f",         "\xc2\x85",         "\xc3",
                                        "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"};
    struct reading units[READING_UNITS_MAX];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(reading_make_text(1, NOW_MS, QUALITY_GOOD, wrong[i], strlen(wrong[i]), units), 2);
        assert_false(readings_valid(units, 2));
    }
    assert_int_equal(reading_make_text(1, NOW_MS, QUALITY_GOOD, "m³/h 水 🌊", strlen("m³/h 水 🌊"), units), 2);
    assert_true(readings_valid(units, 2));
    ((char *)(units + 2))[-1] = 'x'; /* behind the text */
    assert_false(readings_valid(units, 2));
    units[0].value.text_length = READING_TEXT_MAX + 1;
    assert_false(readings_valid(units, READING_UNITS_MAX));
    units[0].value.text_length = UINT64_MAX;
    assert_false(readings_valid(units, READING_UNITS_MAX));
}

static void an_array_that_ends_within_a_text_is_not_valid(void **state) {
    (void)state;
    struct reading units[1 + READING_UNITS_MAX] = {reading_integer(1, NOW_MS, QUALITY_GOOD, 1)};
    assert_int_equal(reading_make_text(1, NOW_MS, QUALITY_GOOD, "a text of more than 24 bytes", 28, units + 1), 3);
    assert_true(readings_valid(units, 4));
    assert_false(readings_valid(units, 3));
    assert_false(readings_valid(units, 2));
    assert_true(readings_valid(units, 1));
    assert_true(readings_valid(units, 0));
}

static void the_first_readings_are_never_cut(void **state) {
    (void)state;
    struct reading units[3 * READING_UNITS_MAX];
    size_t all = 0;
    for (size_t i = 0; i < 3; i++)
        all += reading_make_text(1, NOW_MS, QUALITY_GOOD, "a text of more than 24 bytes", 28, units + all);
    assert_int_equal(all, 9);
    assert_int_equal(readings_first(units, all, 100), 9);
    assert_int_equal(readings_first(units, 8, 100), 6);
    assert_int_equal(readings_first(units, 2, 100), 0);
    assert_int_equal(readings_first(units, all, 1), 3);
    assert_int_equal(readings_count(units, 6), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_readings_are_valid_and_mean_their_number),
        cmocka_unit_test(a_bad_reading_has_no_value),
        cmocka_unit_test(equal_readings_are_equal_bytes),
        cmocka_unit_test(what_no_honest_peer_sends_is_not_valid),
        cmocka_unit_test(stray_bytes_beside_the_value_are_not_valid),
        cmocka_unit_test(times_have_bounds),
        cmocka_unit_test(a_text_takes_the_units_behind_its_reading),
        cmocka_unit_test(texts_that_break_a_rule_make_an_array_invalid),
        cmocka_unit_test(an_array_that_ends_within_a_text_is_not_valid),
        cmocka_unit_test(the_first_readings_are_never_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
