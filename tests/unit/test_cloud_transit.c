// links: gateway/cloud/transit.c
/* A slow line is no silent peer, and a dead program behind a kernel that acknowledges is no slow line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/cloud/transit.h"

#define LOOK_MS 1000
#define BATCH 100000

/* A message was handed over at 2 ms, after an answer at 1 ms. */
static struct transit begun(uint64_t acknowledged, uint64_t length) {
    struct transit transit = {0};
    const struct amqp_progress begin = {.acknowledged = acknowledged, .handed = acknowledged + length};
    transit_look(&transit, &begin, 1, 2);
    assert_int_equal(transit.moved_ms, 0);
    return transit;
}

static void look(struct transit *transit, uint64_t acknowledged, uint64_t handed, int64_t answered_ms, int64_t now_ms) {
    const struct amqp_progress now = {
        .acknowledged = acknowledged, .handed = handed, .on_its_way = acknowledged < handed};
    transit_look(transit, &now, answered_ms, now_ms);
}

static void bytes_that_still_drain_are_a_sign_of_life_until_the_last(void **state) {
    (void)state;
    struct transit transit = begun(500, BATCH);
    for (int64_t i = 1; i <= 9; i++) {
        look(&transit, 500 + (uint64_t)i * BATCH / 10, 500 + BATCH, 1, i * LOOK_MS);
        assert_int_equal(transit.moved_ms, i == 1 ? 0 : i * LOOK_MS);
    }
    look(&transit, 500 + BATCH, 500 + BATCH, 1, 10 * LOOK_MS);
    assert_int_equal(transit.moved_ms, 10 * LOOK_MS); /* from here on it is the peer's turn */
    look(&transit, 500 + BATCH, 500 + BATCH, 1, 11 * LOOK_MS);
    assert_int_equal(transit.moved_ms, 10 * LOOK_MS);
}

static void a_cable_that_is_cut_moves_nothing(void **state) {
    (void)state;
    struct transit transit = begun(500, BATCH);
    for (int64_t i = 1; i <= 10; i++)
        look(&transit, 700, 500 + BATCH, 1, i * LOOK_MS);
    assert_int_equal(transit.moved_ms, 0);
}

static void heartbeats_that_are_acknowledged_are_no_progress(void **state) {
    (void)state;
    struct transit transit = begun(0, BATCH);
    look(&transit, BATCH, BATCH, 1, LOOK_MS); /* acknowledged at once, and never answered */
    for (int64_t i = 2; i <= 10; i++)
        look(&transit, BATCH + (uint64_t)i * 30, BATCH + (uint64_t)i * 30, 1, i * LOOK_MS);
    assert_int_equal(transit.moved_ms, 0);
}

static void what_a_closed_session_window_holds_back_is_not_on_its_way(void **state) {
    (void)state;
    struct transit transit = begun(0, BATCH);
    for (uint64_t i = 1; i <= 10; i++) {
        const struct amqp_progress held = {.acknowledged = 30 * i, .handed = BATCH + 30 * i};
        transit_look(&transit, &held, 1, (int64_t)i * LOOK_MS);
    }
    assert_int_equal(transit.moved_ms, 0);
}

/* New messages keep the line busy for ever. */
static void a_kernel_that_goes_on_acknowledging_gains_no_more_than_what_was_in_flight(void **state) {
    (void)state;
    struct transit transit = begun(0, BATCH);
    for (int64_t i = 1; i <= 1000; i++)
        look(&transit, (uint64_t)i * 7000, (uint64_t)i * 7000 + BATCH, 1, i * LOOK_MS);
    assert_in_range(transit.moved_ms, (BATCH / 7000) * LOOK_MS, (BATCH / 7000 + 1) * LOOK_MS);
}

static void a_trickle_is_bounded_by_what_was_in_flight(void **state) {
    (void)state;
    struct transit transit = begun(0, 50);
    for (int64_t i = 1; i <= 1000; i++)
        look(&transit, (uint64_t)i, (uint64_t)i + BATCH, 1, i * LOOK_MS);
    assert_int_equal(transit.moved_ms, 50 * LOOK_MS);
}

static void each_answer_lets_what_is_in_flight_then_have_its_time(void **state) {
    (void)state;
    struct transit transit = begun(0, BATCH);
    int64_t answered_ms = 1;
    for (int64_t i = 1; i <= 100; i++) {
        if (i % 10 == 0)
            answered_ms = i * LOOK_MS - 1;
        look(&transit, (uint64_t)i * 10000, (uint64_t)i * 10000 + BATCH, answered_ms, i * LOOK_MS);
        assert_int_equal(transit.moved_ms, i == 1 ? 0 : i * LOOK_MS);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_that_still_drain_are_a_sign_of_life_until_the_last),
        cmocka_unit_test(a_cable_that_is_cut_moves_nothing),
        cmocka_unit_test(heartbeats_that_are_acknowledged_are_no_progress),
        cmocka_unit_test(what_a_closed_session_window_holds_back_is_not_on_its_way),
        cmocka_unit_test(a_kernel_that_goes_on_acknowledging_gains_no_more_than_what_was_in_flight),
        cmocka_unit_test(a_trickle_is_bounded_by_what_was_in_flight),
        cmocka_unit_test(each_answer_lets_what_is_in_flight_then_have_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
