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
    reading.kind = READING_BOOLEAN + 1;
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_readings_are_valid_and_mean_their_number),
        cmocka_unit_test(a_bad_reading_has_no_value),
        cmocka_unit_test(equal_readings_are_equal_bytes),
        cmocka_unit_test(what_no_honest_peer_sends_is_not_valid),
        cmocka_unit_test(stray_bytes_beside_the_value_are_not_valid),
        cmocka_unit_test(times_have_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
