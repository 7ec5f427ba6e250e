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

static struct health dead_at(int64_t now_ms) {
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

static void two_failed_cycles_and_three_seconds_make_it_dead(void **state) {
    (void)state;
    struct health health = {0};
    fail_at(&health, 1000);
    fail_at(&health, 2000);
    assert_int_equal(health_advice(&health, 3999), HEALTH_ASK);
    fail_at(&health, 4000);
    assert_true(health_dead(&health));
    assert_int_equal(health_advice(&health, 400000), HEALTH_SPARE);
    assert_int_equal(health.probe_at_ms, 4000 + HEALTH_PROBE_FIRST_MS);
}

static void many_failures_of_one_slot_are_one_cycle(void **state) {
    (void)state;
    struct health health = {0};
    for (int i = 0; i < 8; i++)
        health_failed(&health, 77, 0, true, 1000 + i * 1000);
    assert_int_equal(health_advice(&health, 9000), HEALTH_ASK);
}

static void an_instrument_alone_on_its_bus_is_never_dead(void **state) {
    (void)state;
    struct health health = {0};
    for (int64_t now_ms = 1000; now_ms < 100000; now_ms += 1000)
        health_failed(&health, (uint64_t)now_ms * 1000, TIMEOUT_MS, false, now_ms);
    assert_int_equal(health_advice(&health, 100000), HEALTH_ASK);
}

static void probes_become_rarer_up_to_five_minutes(void **state) {
    (void)state;
    int64_t now_ms = 10000;
    struct health health = dead_at(now_ms);
    static const int64_t waits_ms[] = {10000, 20000, 40000, 80000, 160000, 300000, 300000};
    for (size_t i = 0; i < sizeof waits_ms / sizeof waits_ms[0]; i++) {
        now_ms += waits_ms[i];
        assert_int_equal(health.probe_at_ms, now_ms);
        assert_int_equal(health.probes, i);
        fail_at(&health, now_ms);
    }
}

static void the_first_answer_ends_it(void **state) {
    (void)state;
    struct health health = dead_at(10000);
    health_answered(&health);
    assert_int_equal(health_advice(&health, 10001), HEALTH_ASK);
    fail_at(&health, 11000);
    assert_int_equal(health_advice(&health, 11000 + TIMEOUT_MS), HEALTH_ASK);
}

static void a_probe_that_could_not_be_sent_is_put_off(void **state) {
    (void)state;
    struct health health = dead_at(10000);
    health_put_off(&health, 30000);
    assert_true(health_dead(&health));
    assert_int_equal(health.probe_at_ms, 30000 + HEALTH_PUT_OFF_MS);
}

/* A day of a bus with so many dead instruments and nothing else to do: the share of time that probes took. */
static double simulate_day(size_t dead, unsigned *ret_fewest, unsigned *ret_most) {
    enum { DEAD_MOST = 200 };
    struct health healths[DEAD_MOST];
    unsigned probes[DEAD_MOST] = {0};
    struct health_budget budget = {0};
    int64_t now_us = 10000000, spent_us = 0;
    for (size_t i = 0; i < dead; i++)
        healths[i] = dead_at(now_us / 1000);
    for (const int64_t end_us = now_us + INT64_C(86400000000); now_us < end_us; now_us += 20000) {
        size_t next = 0;
        for (size_t i = 1; i < dead; i++)
            if (healths[i].probe_at_ms < healths[next].probe_at_ms)
                next = i;
        if (healths[next].probe_at_ms > now_us / 1000 || !health_budget_allows(&budget, now_us))
            continue;
        now_us += TIMEOUT_MS * 1000;
        spent_us += TIMEOUT_MS * 1000;
        health_budget_spend(&budget, TIMEOUT_MS * 1000);
        fail_at(&healths[next], now_us / 1000);
        probes[next]++;
    }
    *ret_fewest = *ret_most = probes[0];
    for (size_t i = 0; i < dead; i++) {
        *ret_fewest = probes[i] < *ret_fewest ? probes[i] : *ret_fewest;
        *ret_most = probes[i] > *ret_most ? probes[i] : *ret_most;
    }
    return (double)spent_us / 86400e6;
}

static void probes_never_take_more_than_two_percent_and_every_dead_one_has_its_turn(void **state) {
    (void)state;
    static const size_t counts[] = {1, 2, 10, 50, 200};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        unsigned fewest, most;
        assert_true(simulate_day(counts[i], &fewest, &most) <= HEALTH_BUDGET_PERCENT / 100.0);
        assert_true(fewest >= 10);
        assert_true(most <= fewest + 10);
    }
}

static void the_budget_says_when_it_has_grown_enough(void **state) {
    (void)state;
    struct health_budget budget = {0};
    assert_false(health_budget_allows(&budget, 1000000));
    assert_true(health_budget_allows(&budget, health_budget_ready_us(&budget)));
    health_budget_spend(&budget, 500000);
    const int64_t ready_us = health_budget_ready_us(&budget);
    assert_false(health_budget_allows(&budget, ready_us - 10000));
    assert_true(health_budget_allows(&budget, ready_us));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_healthy_instrument_is_asked),
        cmocka_unit_test(after_a_time_out_it_rests_for_one_more),
        cmocka_unit_test(two_failed_cycles_and_three_seconds_make_it_dead),
        cmocka_unit_test(many_failures_of_one_slot_are_one_cycle),
        cmocka_unit_test(an_instrument_alone_on_its_bus_is_never_dead),
        cmocka_unit_test(probes_become_rarer_up_to_five_minutes),
        cmocka_unit_test(the_first_answer_ends_it),
        cmocka_unit_test(a_probe_that_could_not_be_sent_is_put_off),
        cmocka_unit_test(probes_never_take_more_than_two_percent_and_every_dead_one_has_its_turn),
        cmocka_unit_test(the_budget_says_when_it_has_grown_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
