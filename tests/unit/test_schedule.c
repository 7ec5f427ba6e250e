// links: drivers/schedule.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/schedule.h"
#include <cmocka.h>

#define START_US UINT64_C(5000000)

static const struct plant_instrument a, b, c;

static struct schedule make(struct plan_request *requests, size_t count) {
    const struct plan plan = {.requests = requests, .request_count = count, .request_most = count + 1};
    struct schedule schedule;
    assert_int_equal(schedule_make(&plan, START_US, &schedule), FB_OK);
    return schedule;
}

static void requests_of_one_instrument_stay_together_and_others_are_spread(void **state) {
    (void)state;
    struct plan_request requests[] = {
        {.instrument = &a, .interval_ms = 900},  {.instrument = &a, .interval_ms = 900},
        {.instrument = &b, .interval_ms = 900},  {.instrument = &c, .interval_ms = 900},
        {.instrument = &c, .interval_ms = 2000},
    };
    struct schedule schedule = make(requests, 5);
    static const uint64_t due_us[] = {START_US, START_US, START_US + 300000, START_US + 600000, START_US};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(schedule.slots[i].due_us, due_us[i]);
    schedule_done(&schedule);
}

static void slow_requests_do_not_wait_long_for_their_first_time(void **state) {
    (void)state;
    struct plan_request requests[] = {{.instrument = &a, .interval_ms = 3600000},
                                      {.instrument = &b, .interval_ms = 3600000}};
    struct schedule schedule = make(requests, 2);
    assert_int_equal(schedule.slots[1].due_us, START_US + SCHEDULE_SPREAD_MAX_MS * 1000 / 2);
    schedule_done(&schedule);
}

static void the_first_due_comes_first_and_equals_in_order(void **state) {
    (void)state;
    struct plan_request requests[] = {{.instrument = &a, .interval_ms = 1000}, {.instrument = &a, .interval_ms = 1000}};
    struct schedule schedule = make(requests, 2);
    assert_int_equal(schedule_first(&schedule), 0);
    schedule_served(&schedule, 0, START_US + 10);
    assert_int_equal(schedule_first(&schedule), 1);
    schedule_served(&schedule, 1, START_US + 20);
    assert_int_equal(schedule_first(&schedule), 0);
    schedule_done(&schedule);
}

static void being_late_does_not_shift_the_schedule(void **state) {
    (void)state;
    struct plan_request requests[] = {{.instrument = &a, .interval_ms = 1000}};
    struct schedule schedule = make(requests, 1);
    for (uint64_t i = 0; i < 100; i++)
        schedule_served(&schedule, 0, START_US + i * 1000000 + 700000);
    assert_int_equal(schedule.slots[0].due_us, START_US + 100 * UINT64_C(1000000));
    assert_int_equal(schedule.overruns, 0);
    schedule_done(&schedule);
}

static void missed_slots_are_counted_and_never_caught_up(void **state) {
    (void)state;
    static const struct {
        uint64_t ended_us, due_us, overruns;
    } rows[] = {
        {999999, 1000000, 0},
        {1000000, 2000000, 1},
        {1000001, 2000000, 1},
        {3500000, 4000000, 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct plan_request requests[] = {{.instrument = &a, .interval_ms = 1000}};
        struct schedule schedule = make(requests, 1);
        schedule_served(&schedule, 0, START_US + rows[i].ended_us);
        assert_int_equal(schedule.slots[0].due_us, START_US + rows[i].due_us);
        assert_int_equal(schedule.overruns, rows[i].overruns);
        schedule_done(&schedule);
    }
}

static void the_parts_of_a_split_request_are_due_when_it_was(void **state) {
    (void)state;
    struct plan_request requests[] = {{.instrument = &a, .interval_ms = 1000}, {.instrument = &b, .interval_ms = 1000}};
    struct schedule schedule = make(requests, 2);
    schedule_served(&schedule, 0, START_US + 1);
    schedule_split(&schedule, 0);
    assert_int_equal(schedule.count, 3);
    assert_int_equal(schedule.slots[0].due_us, START_US + 1000000);
    assert_int_equal(schedule.slots[1].due_us, START_US + 1000000);
    assert_int_equal(schedule.slots[2].due_us, START_US + 500000);
    schedule_done(&schedule);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_of_one_instrument_stay_together_and_others_are_spread),
        cmocka_unit_test(the_parts_of_a_split_request_are_due_when_it_was),
        cmocka_unit_test(slow_requests_do_not_wait_long_for_their_first_time),
        cmocka_unit_test(the_first_due_comes_first_and_equals_in_order),
        cmocka_unit_test(being_late_does_not_shift_the_schedule),
        cmocka_unit_test(missed_slots_are_counted_and_never_caught_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
