// links: gateway/core/clock_watch.c gateway/common/clock.c
/* test_clock_watch.c - a clock that becomes set corrects what was read before, and no other step corrects anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/core/clock_watch.h"

#define HOUR_MS INT64_C(3600000)
#define YEAR_MS (INT64_C(8766) * HOUR_MS)
#define NOW_MS INT64_C(1795293190000)

static struct batch_correction records[CLOCK_WATCH_RUNS_MAX];

static size_t look(struct clock_watch *watch, int64_t utc_ms, int64_t monotonic_ms, enum clock_state state,
                   uint64_t next_batch) {
    const struct clock_look look = {.utc_ms = utc_ms, .monotonic_ms = monotonic_ms, .state = state};
    return clock_watch_look(watch, &look, next_batch, records);
}

static void readings_before_the_clock_was_set_are_corrected(void **state) {
    (void)state;
    struct clock_watch watch = {0};
    assert_int_equal(look(&watch, 20000, 20000, CLOCK_NOT_SET, 5), 0);
    assert_int_equal(look(&watch, 21000, 21000, CLOCK_NOT_SET, 6), 0);
    assert_int_equal(look(&watch, NOW_MS, 22000, CLOCK_SYNCHRONISED, 8), 1);
    assert_int_equal(records[0].first_batch, 5);
    assert_int_equal(records[0].last_batch, 0);
    assert_int_equal(records[0].from_ms, 0); /* since the machine was started */
    assert_int_equal(records[0].to_ms, 22000);
    assert_int_equal(records[0].right_ms, NOW_MS - 22000);
    assert_int_equal(look(&watch, NOW_MS + 1000, 23000, CLOCK_SYNCHRONISED, 8), 0);
}

static void a_clock_that_was_wrong_twice_is_corrected_for_both_times(void **state) {
    (void)state;
    struct clock_watch watch = {0};
    look(&watch, 20000, 20000, CLOCK_NOT_SET, 1);
    look(&watch, YEAR_MS, 30000, CLOCK_NOT_SET, 3);
    assert_int_equal(look(&watch, NOW_MS, 40000, CLOCK_FREE_RUNNING, 4), 2);
    assert_int_equal(records[0].right_ms - records[0].from_ms, NOW_MS - 40000);
    assert_int_equal(records[1].right_ms - records[1].from_ms, NOW_MS - YEAR_MS - 10000);
    assert_int_equal(records[1].first_batch, 3);
    assert_int_equal(records[1].from_ms, YEAR_MS - 10000); /* it may have been stepped just after the look before */
    assert_int_equal(records[1].to_ms, YEAR_MS + 10000);
}

static void steps_of_a_clock_that_was_set_are_counted_and_correct_nothing(void **state) {
    (void)state;
    static const int64_t steps_ms[] = {HOUR_MS, -HOUR_MS, 10 * YEAR_MS, -10 * YEAR_MS, 1000, -1000};
    struct clock_watch watch = {0};
    int64_t utc_ms = NOW_MS, monotonic_ms = 1000;
    look(&watch, utc_ms, monotonic_ms, CLOCK_SYNCHRONISED, 1);
    for (size_t i = 0; i < sizeof steps_ms / sizeof steps_ms[0]; i++) {
        utc_ms += 1000 + steps_ms[i];
        monotonic_ms += 1000;
        assert_int_equal(look(&watch, utc_ms, monotonic_ms, CLOCK_FREE_RUNNING, 1), 0);
        assert_int_equal(watch.steps, i + 1);
        assert_int_equal(watch.last_step_ms, steps_ms[i]);
    }
}

static void a_clock_that_falls_back_ten_years_is_corrected_when_it_returns(void **state) {
    (void)state;
    struct clock_watch watch = {0};
    look(&watch, NOW_MS, 1000, CLOCK_SYNCHRONISED, 1);
    assert_int_equal(look(&watch, NOW_MS + 1000 - 10 * YEAR_MS, 2000, CLOCK_NOT_SET, 2), 0);
    assert_int_equal(look(&watch, NOW_MS + 2000, 3000, CLOCK_SYNCHRONISED, 3), 1);
    assert_int_equal(records[0].first_batch, 2);
    assert_int_equal(records[0].right_ms - records[0].from_ms, 10 * YEAR_MS);
}

static void slewing_is_no_step(void **state) {
    (void)state;
    struct clock_watch watch = {0};
    for (int64_t i = 0; i < 100000; i++) /* 500 ppm for a day: 43 s in all */
        assert_int_equal(look(&watch, NOW_MS + i * 1000 + i / 2, i * 1000, CLOCK_SYNCHRONISED, 1), 0);
    assert_int_equal(watch.steps, 0);
}

static void a_restarted_program_goes_on_with_the_run_before(void **state) {
    (void)state;
    struct clock_watch watch = {0};
    clock_watch_resume(&watch, 0, 3, false);
    assert_int_equal(look(&watch, NOW_MS, 50000, CLOCK_SYNCHRONISED, 9), 1);
    assert_int_equal(records[0].first_batch, 3);
    assert_int_equal(records[0].from_ms, 0);
    assert_int_equal(records[0].to_ms, 50000);
}

static void more_runs_than_are_remembered_give_up_the_oldest(void **state) {
    (void)state;
    struct clock_watch watch = {0};
    for (int64_t i = 0; i <= CLOCK_WATCH_RUNS_MAX + 1; i++)
        look(&watch, i * YEAR_MS, i * 1000, CLOCK_NOT_SET, (uint64_t)i + 1);
    assert_int_equal(look(&watch, NOW_MS, 20000, CLOCK_SYNCHRONISED, 20), CLOCK_WATCH_RUNS_MAX);
    assert_int_equal(records[CLOCK_WATCH_RUNS_MAX - 1].first_batch, CLOCK_WATCH_RUNS_MAX + 2);
}

static void a_time_that_no_reading_can_have_makes_no_record(void **state) {
    (void)state;
    struct clock_watch watch = {0};
    look(&watch, 20000, 20000, CLOCK_NOT_SET, 1);
    assert_int_equal(look(&watch, READING_TIME_MAX_MS + 1, 21000, CLOCK_SYNCHRONISED, 2), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readings_before_the_clock_was_set_are_corrected),
        cmocka_unit_test(a_clock_that_was_wrong_twice_is_corrected_for_both_times),
        cmocka_unit_test(steps_of_a_clock_that_was_set_are_counted_and_correct_nothing),
        cmocka_unit_test(a_clock_that_falls_back_ten_years_is_corrected_when_it_returns),
        cmocka_unit_test(slewing_is_no_step),
        cmocka_unit_test(a_restarted_program_goes_on_with_the_run_before),
        cmocka_unit_test(more_runs_than_are_remembered_give_up_the_oldest),
        cmocka_unit_test(a_time_that_no_reading_can_have_makes_no_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
