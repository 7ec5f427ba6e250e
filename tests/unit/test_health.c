// links: drivers/health.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/health.h"
#include <cmocka.h>

#define TIMEOUT_MS 500

static void fail_at(struct health *health, int64_t now_ms) {
    health_failed(health, (uint64_t)now_ms * 1000, TIMEOUT_MS, true, now_ms);
}

static struct health degraded_at(int64_t now_ms) {
    struct health health = {0};
    fail_at(&health, now_ms - HEALTH_SILENCE_MS);
    fail_at(&health, now_ms);
    return health;
}

static void a_healthy_instrument_is_asked(void **state) {
    (void)state;
    struct health health = {0};
    assert_int_equal(health_advice(&health, 1), HEALTH_ASK);
}

static void after_a_time_out_it_rests_for_one_more(void **state) {
    (void)state;
    struct health health = {0};
    fail_at(&health, 1000);
    assert_int_equal(health_advice(&health, 1000 + TIMEOUT_MS - 1), HEALTH_SPARE);
    assert_int_equal(health_advice(&health, 1000 + TIMEOUT_MS), HEALTH_ASK);
}

static void two_failed_cycles_and_three_seconds_degrade_it(void **state) {
    (void)state;
    struct health health = {0};
    fail_at(&health, 1000);
    fail_at(&health, 2000);
    assert_int_equal(health_advice(&health, 3999), HEALTH_ASK);
    fail_at(&health, 4000);
    assert_int_equal(health_advice(&health, 4000 + HEALTH_PROBE_FIRST_MS - 1), HEALTH_SPARE);
    assert_int_equal(health_advice(&health, 4000 + HEALTH_PROBE_FIRST_MS), HEALTH_PROBE);
}

static void many_failures_of_one_slot_are_one_cycle(void **state) {
    (void)state;
    struct health health = {0};
    for (int i = 0; i < 8; i++)
        health_failed(&health, 77, 0, true, 1000 + i * 1000);
    assert_int_equal(health_advice(&health, 9000), HEALTH_ASK);
}

static void an_instrument_alone_on_its_bus_is_never_degraded(void **state) {
    (void)state;
    struct health health = {0};
    for (int64_t now_ms = 1000; now_ms < 100000; now_ms += 1000)
        health_failed(&health, (uint64_t)now_ms * 1000, TIMEOUT_MS, false, now_ms);
    assert_int_equal(health_advice(&health, 100000), HEALTH_ASK);
}

static void probes_become_rarer_up_to_five_minutes(void **state) {
    (void)state;
    int64_t now_ms = 10000;
    struct health health = degraded_at(now_ms);
    static const int64_t waits_ms[] = {10000, 20000, 40000, 80000, 160000, 300000, 300000};
    for (size_t i = 0; i < sizeof waits_ms / sizeof waits_ms[0]; i++) {
        assert_int_equal(health_advice(&health, now_ms + waits_ms[i] - 1), HEALTH_SPARE);
        now_ms += waits_ms[i];
        assert_int_equal(health_advice(&health, now_ms), HEALTH_PROBE);
        fail_at(&health, now_ms);
    }
}

static void the_first_answer_ends_it(void **state) {
    (void)state;
    struct health health = degraded_at(10000);
    health_answered(&health);
    assert_int_equal(health_advice(&health, 10001), HEALTH_ASK);
    fail_at(&health, 11000);
    assert_int_equal(health_advice(&health, 11000 + TIMEOUT_MS), HEALTH_ASK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_healthy_instrument_is_asked),
        cmocka_unit_test(after_a_time_out_it_rests_for_one_more),
        cmocka_unit_test(two_failed_cycles_and_three_seconds_degrade_it),
        cmocka_unit_test(many_failures_of_one_slot_are_one_cycle),
        cmocka_unit_test(an_instrument_alone_on_its_bus_is_never_degraded),
        cmocka_unit_test(probes_become_rarer_up_to_five_minutes),
        cmocka_unit_test(the_first_answer_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
