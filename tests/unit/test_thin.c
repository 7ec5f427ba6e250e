// links: store/thin.c store/batch*.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c
/* test_thin.c - of each minute of each tag the first, last, least and greatest reading stay, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/common/quality.h"
#include "store/thin.h"

#define T INT64_C(1795293180000) /* a whole minute */

static void assert_left(const struct reading *readings, size_t units, const int64_t *values, size_t count) {
    assert_int_equal(units, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(readings[i].value.integer, values[i]);
}

static struct reading integer(uint32_t tag, int64_t at_s, int64_t value) {
    return reading_integer(tag, T + at_s * 1000, QUALITY_GOOD, value);
}

static void first_last_least_and_greatest_of_a_minute_stay_in_their_order(void **state) {
    (void)state;
    struct reading readings[] = {integer(1, 0, 5),  integer(1, 10, 6), integer(1, 20, 9),
                                 integer(1, 30, 6), integer(1, 40, 2), integer(1, 50, 4)};
    assert_left(readings, thin_readings(readings, 6), (const int64_t[]){5, 9, 2, 4}, 4);
}

static void each_minute_and_each_tag_counts_for_itself(void **state) {
    (void)state;
    struct reading readings[] = {integer(1, 0, 1),  integer(1, 1, 2),  integer(1, 2, 3),  integer(1, 59, 4),
                                 integer(1, 60, 5), integer(2, 61, 6), integer(2, 62, 7), integer(2, 63, 8)};
    assert_left(readings, thin_readings(readings, 8), (const int64_t[]){1, 4, 5, 6, 8}, 5);
}

static void readings_without_a_value_are_neither_least_nor_greatest(void **state) {
    (void)state;
    struct reading readings[] = {integer(1, 0, 5), reading_bad(1, READING_INTEGER, T + 1000, QUALITY_TIMEOUT, 0),
                                 integer(1, 2, 7), integer(1, 3, 6)};
    assert_left(readings, thin_readings(readings, 4), (const int64_t[]){5, 7, 6}, 3);
    struct reading bad[3];
    for (size_t i = 0; i < 3; i++)
        bad[i] = reading_bad(1, READING_INTEGER, T + (int64_t)i, (uint8_t)(QUALITY_TIMEOUT + i), 0);
    assert_int_equal(thin_readings(bad, 3), 2);
    assert_int_equal(bad[1].quality, QUALITY_TIMEOUT + 2);
}

static void integers_beyond_the_double_are_told_apart(void **state) {
    (void)state;
    const int64_t large = INT64_C(9007199254740992);
    struct reading readings[] = {integer(1, 0, large), integer(1, 1, large + 1), integer(1, 2, large - 1),
                                 integer(1, 3, large)};
    assert_int_equal(thin_readings(readings, 4), 4);
}

static void texts_move_as_a_whole(void **state) {
    (void)state;
    struct reading readings[4 * READING_UNITS_MAX];
    size_t units = 0;
    for (int i = 0; i < 4; i++) {
        char text[32];
        const int length = snprintf(text, sizeof text, "the text with number %d!!!!!!", i);
        units += reading_make_text(7, T + i, QUALITY_GOOD, text, (size_t)length, readings + units);
    }
    units = thin_readings(readings, units);
    assert_true(readings_valid(readings, units));
    assert_int_equal(readings_count(readings, units), 2);
    assert_memory_equal(reading_text(readings), "the text with number 0", 22);
    assert_memory_equal(reading_text(readings + reading_units(readings)), "the text with number 3", 22);
}

/* With noise for values. */
static size_t make_many(struct reading *readings, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint64_t even = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        readings[i] = integer((uint32_t)(1 + i * 50 / count), (int64_t)(i % (count / 50)),
                              (int64_t)((even ^ even >> 29) * UINT64_C(0xbf58476d1ce4e5b9) >> 40));
    }
    return count;
}

static void thinning_twice_is_the_same_as_once(void **state) {
    (void)state;
    static struct reading readings[10000], again[10000];
    size_t units = thin_readings(readings, make_many(readings, 10000));
    memcpy(again, readings, sizeof readings);
    assert_in_range(units, 50, 50 * 4 * 4);
    assert_int_equal(thin_readings(again, units), units);
    assert_memory_equal(again, readings, units * sizeof *readings);
}

static void a_thinned_batch_keeps_its_envelope_but_not_its_losses(void **state) {
    (void)state;
    static struct reading readings[10000];
    static uint8_t bytes[BATCH_BYTES_MAX], thinned[BATCH_BYTES_MAX];
    static struct thin_result result;
    size_t length, thinned_length, units;
    struct fb_cause cause;
    struct batch_info info = {
        .gateway = "works-1", .number = 42, .sealed_ms = T, .clock = CLOCK_SYNCHRONISED, .loss_count = 1};
    memset(info.previous, 0x11, sizeof info.previous);
    info.losses[0] = (struct batch_loss){BATCH_LOSS_CORE_AWAY, 7, T, T, 0, 0};
    make_many(readings, 10000);
    assert_int_equal(batch_encode(&info, readings, 10000, bytes, &length, &cause), FB_OK);
    assert_int_equal(thin_batch(bytes, length, thinned, &thinned_length, &result, &cause), FB_OK);
    assert_int_equal(result.before, 10000);
    assert_int_equal(result.info.loss_count, 1);
    assert_true(thinned_length < length);
    struct batch_info got;
    struct reading *left = NULL;
    assert_int_equal(batch_decode(thinned, thinned_length, &got, &left, &units, &cause), FB_OK);
    assert_int_equal(units, result.after);
    assert_int_equal(got.number, 42);
    assert_int_equal(got.loss_count, 0);
    assert_memory_equal(got.previous, info.previous, sizeof info.previous);
    free(left);
}

static void what_is_no_batch_is_refused(void **state) {
    (void)state;
    static uint8_t thinned[BATCH_BYTES_MAX];
    static struct thin_result result;
    size_t length;
    struct fb_cause cause;
    assert_int_equal(thin_batch((const uint8_t *)"nothing", 7, thinned, &length, &result, &cause), FB_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_last_least_and_greatest_of_a_minute_stay_in_their_order),
        cmocka_unit_test(each_minute_and_each_tag_counts_for_itself),
        cmocka_unit_test(readings_without_a_value_are_neither_least_nor_greatest),
        cmocka_unit_test(integers_beyond_the_double_are_told_apart),
        cmocka_unit_test(texts_move_as_a_whole),
        cmocka_unit_test(thinning_twice_is_the_same_as_once),
        cmocka_unit_test(a_thinned_batch_keeps_its_envelope_but_not_its_losses),
        cmocka_unit_test(what_is_no_batch_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
