// links: gateway/common/backoff.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/common/backoff.h"

static void the_ceiling_doubles_up_to_the_most(void **state) {
    (void)state;
    struct backoff backoff = {.first_ms = 1000, .most_ms = 300000};
    const uint32_t ceilings[] = {1000, 2000, 4000, 8000, 16000, 32000, 64000, 128000, 256000, 300000, 300000};
    for (size_t i = 0; i < sizeof ceilings / sizeof ceilings[0]; i++)
        assert_int_equal(backoff_next_ms(&backoff, UINT32_MAX), ceilings[i]);
    assert_int_equal(backoff.failures, sizeof ceilings / sizeof ceilings[0]);
}

static void the_lowest_draw_still_waits(void **state) {
    (void)state;
    struct backoff backoff = {.first_ms = 1000, .most_ms = 300000};
    for (int i = 0; i < 20; i++)
        assert_int_equal(backoff_next_ms(&backoff, 0), 500);
}

static void every_draw_is_within_bounds(void **state) {
    (void)state;
    for (uint32_t failures = 0; failures < 12; failures++)
        for (uint64_t random = 0; random <= UINT32_MAX; random += 0x01234567) {
            struct backoff backoff = {.first_ms = 100, .most_ms = 5000, .failures = failures};
            const uint32_t wait_ms = backoff_next_ms(&backoff, (uint32_t)random);
            const uint32_t ceiling_ms = failures < 6 ? 100u << failures : 5000;
            assert_in_range(wait_ms, 50, ceiling_ms);
        }
}

static void half_the_draws_wait_less_than_the_middle(void **state) {
    (void)state;
    unsigned low = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        struct backoff backoff = {.first_ms = 1000, .most_ms = 1000000, .failures = 9};
        low += backoff_next_ms(&backoff, i * (UINT32_MAX / 1000)) < (500 + 512000) / 2;
    }
    assert_in_range(low, 495, 505);
}

static void the_most_holds_even_below_the_first(void **state) {
    (void)state;
    struct backoff backoff = {.first_ms = 60000, .most_ms = 1000};
    assert_int_equal(backoff_next_ms(&backoff, UINT32_MAX), 1000);
    assert_int_equal(backoff_next_ms(&backoff, 0), 1000);
}

static void the_count_of_failures_does_not_wrap(void **state) {
    (void)state;
    struct backoff backoff = {.first_ms = 1, .most_ms = UINT32_MAX, .failures = UINT32_MAX};
    assert_int_equal(backoff_next_ms(&backoff, UINT32_MAX), UINT32_MAX);
    assert_true(backoff.failures == UINT32_MAX);
}

static void the_kernel_gives_different_bits(void **state) {
    (void)state;
    const uint32_t first = backoff_random();
    unsigned same = 0;
    for (int i = 0; i < 8; i++)
        same += backoff_random() == first;
    assert_true(same < 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ceiling_doubles_up_to_the_most),
        cmocka_unit_test(the_lowest_draw_still_waits),
        cmocka_unit_test(every_draw_is_within_bounds),
        cmocka_unit_test(half_the_draws_wait_less_than_the_middle),
        cmocka_unit_test(the_most_holds_even_below_the_first),
        cmocka_unit_test(the_count_of_failures_does_not_wrap),
        cmocka_unit_test(the_kernel_gives_different_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
