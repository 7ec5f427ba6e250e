// links: store/batch*.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c
/* test_batch_walk.c - going round by round, each reading is found once, under its true time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/common/quality.h"
#include "store/batch_walk.h"

#define TIME_MS INT64_C(1795293190000)

/* It was 1970 for an hour in batches 3 to 5, and ten minutes fast in batches 8 and 9. */
static const struct batch_walk two_records = {
    .corrections = {{3, 5, 0, 3600000, TIME_MS}, {8, 9, TIME_MS + 7800000, TIME_MS + 8400000, TIME_MS + 7200000}},
    .correction_count = 2};

static void without_corrections_there_is_one_round_for_all(void **state) {
    (void)state;
    struct batch_walk walk = {.correction_count = 0};
    struct reading readings[] = {reading_real64(7, 5, QUALITY_GOOD, 5)};
    batch_walk_begin(&walk, 100, 200);
    assert_int_equal(walk.stands_from_ms, 100);
    assert_int_equal(walk.stands_to_ms, 200);
    assert_int_equal(batch_walk_pick(&walk, &(struct batch_info){.number = 1}, readings, 1), 1);
    assert_int_equal(readings[0].time_ms, 5);
    assert_false(batch_walk_next(&walk));
}

static void each_round_looks_where_the_times_stand(void **state) {
    (void)state;
    struct batch_walk walk = two_records;
    batch_walk_begin(&walk, TIME_MS + 1000, TIME_MS + 7200001);
    assert_int_equal(walk.stands_from_ms, 1000);
    assert_int_equal(walk.stands_to_ms, 3600000);
    assert_true(batch_walk_next(&walk));
    assert_int_equal(walk.stands_from_ms, TIME_MS + 7800000);
    assert_int_equal(walk.stands_to_ms, TIME_MS + 7800001);
    assert_true(batch_walk_next(&walk));
    assert_int_equal(walk.stands_from_ms, TIME_MS + 1000);
    assert_int_equal(walk.stands_to_ms, TIME_MS + 7200001);
    assert_false(batch_walk_next(&walk));
}

static void records_of_other_times_cost_no_round(void **state) {
    (void)state;
    struct batch_walk walk = two_records;
    batch_walk_begin(&walk, TIME_MS + 7200000, TIME_MS + 7300000);
    assert_int_equal(walk.round, 1);
    walk = two_records;
    batch_walk_begin(&walk, 0, TIME_MS - 1);
    assert_int_equal(walk.round, 2);
    assert_false(batch_walk_next(&walk));
}

static void times_that_no_reading_can_have_are_no_harm(void **state) {
    (void)state;
    struct batch_walk walk = two_records;
    batch_walk_begin(&walk, INT64_MIN, INT64_MAX);
    assert_int_equal(walk.stands_from_ms, 0);
    assert_int_equal(walk.stands_to_ms, 3600000);
}

static void each_reading_is_kept_in_one_round(void **state) {
    (void)state;
    struct batch_walk walk = two_records;
    struct reading text[READING_UNITS_MAX];
    const size_t text_units = reading_make_text(9, 50, QUALITY_GOOD, "a text that is longer than one unit", 35, text);
    unsigned kept_texts = 0, kept = 0;
    batch_walk_begin(&walk, 0, READING_TIME_MAX_MS);
    do {
        struct reading readings[READING_UNITS_MAX + 2] = {reading_real64(7, TIME_MS + 9, QUALITY_GOOD, 1)};
        memcpy(readings + 1, text, text_units * sizeof text[0]);
        readings[1 + text_units] = reading_real64(7, 60, QUALITY_GOOD, 2);
        const size_t units = batch_walk_pick(&walk, &(struct batch_info){.number = 4}, readings, text_units + 2);
        for (size_t i = 0; i < units; i += reading_units(&readings[i])) {
            kept++;
            kept_texts += readings[i].tag == 9;
            if (readings[i].tag == 9)
                assert_memory_equal(reading_text(&readings[i]), reading_text(text), 35);
            const int64_t true_ms = readings[i].tag == 9 ? TIME_MS + 50 : walk.round == 0 ? TIME_MS + 60 : TIME_MS + 9;
            assert_int_equal(readings[i].time_ms, true_ms);
        }
    } while (batch_walk_next(&walk));
    assert_int_equal(kept, 3);
    assert_int_equal(kept_texts, 1);
}

/* A batch that was salvaged bears the number and the identity that it had. */
static void batches_of_another_store_have_records_of_their_own(void **state) {
    (void)state;
    static const struct batch_info elsewhere = {.number = 4, .store_id = {9}};
    struct batch_walk walk = two_records;
    struct reading readings[] = {reading_real64(7, 60, QUALITY_GOOD, 2)};
    walk.corrections[1] = (struct batch_correction){1, 4, 0, 100, 5000, {9}};
    batch_walk_begin(&walk, 0, READING_TIME_MAX_MS);
    assert_int_equal(batch_walk_pick(&walk, &elsewhere, readings, 1), 0);
    assert_true(batch_walk_next(&walk));
    assert_int_equal(batch_walk_pick(&walk, &elsewhere, readings, 1), 1);
    assert_int_equal(readings[0].time_ms, 5060);
}

static void a_batch_of_an_earlier_round_is_known_again(void **state) {
    (void)state;
    struct batch_walk walk = two_records;
    batch_walk_begin(&walk, 0, READING_TIME_MAX_MS);
    assert_false(batch_walk_repeats(&walk, 0, 100));
    assert_true(batch_walk_next(&walk) && batch_walk_next(&walk));
    assert_true(batch_walk_repeats(&walk, 3600000, TIME_MS));
    assert_false(batch_walk_repeats(&walk, 3600001, TIME_MS));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_corrections_there_is_one_round_for_all),
        cmocka_unit_test(each_round_looks_where_the_times_stand),
        cmocka_unit_test(records_of_other_times_cost_no_round),
        cmocka_unit_test(times_that_no_reading_can_have_are_no_harm),
        cmocka_unit_test(each_reading_is_kept_in_one_round),
        cmocka_unit_test(batches_of_another_store_have_records_of_their_own),
        cmocka_unit_test(a_batch_of_an_earlier_round_is_known_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
