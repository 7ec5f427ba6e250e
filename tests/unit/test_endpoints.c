// links: gateway/cloud/endpoints.c gateway/common/backoff.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/cloud/endpoints.h"

#define MOST UINT32_MAX /* the random number that gives the longest wait */

static void one_endpoint_is_tried_with_growing_waits(void **state) {
    (void)state;
    struct endpoints endpoints = endpoints_new(1, 1000, 8000);
    static const uint32_t waits_ms[] = {1000, 2000, 4000, 8000, 8000};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(endpoints_failed(&endpoints, MOST), waits_ms[i]);
        assert_int_equal(endpoints.now, 0);
    }
    endpoints_worked(&endpoints);
    assert_int_equal(endpoints_failed(&endpoints, MOST), 1000);
}

static void the_next_one_is_tried_soon_and_the_wait_grows_by_rounds(void **state) {
    (void)state;
    struct endpoints endpoints = endpoints_new(3, 1000, 300000);
    for (uint32_t round = 0; round < 4; round++) {
        assert_int_equal(endpoints.now, 0);
        assert_int_equal(endpoints_failed(&endpoints, MOST), 1000);
        assert_int_equal(endpoints.now, 1);
        assert_int_equal(endpoints_failed(&endpoints, MOST), 1000);
        assert_int_equal(endpoints.now, 2);
        assert_int_equal(endpoints_failed(&endpoints, MOST), 1000u << round);
    }
}

static void the_one_that_worked_is_tried_again_first_and_then_the_others(void **state) {
    (void)state;
    struct endpoints endpoints = endpoints_new(3, 1000, 300000);
    endpoints_failed(&endpoints, MOST);
    endpoints_failed(&endpoints, MOST);
    assert_int_equal(endpoints.now, 2);
    endpoints_worked(&endpoints);
    static const uint8_t order[] = {2, 0, 1, 0, 1, 2, 0};
    for (size_t i = 0; i < sizeof order; i++) {
        endpoints_failed(&endpoints, MOST);
        assert_int_equal(endpoints.now, order[i]);
    }
}

static void no_wait_is_shorter_than_half_the_first(void **state) {
    (void)state;
    struct endpoints endpoints = endpoints_new(2, 1000, 300000);
    for (unsigned i = 0; i < 20; i++)
        assert_true(endpoints_failed(&endpoints, 0) >= 500);
}

static void going_back_starts_with_the_preferred_one(void **state) {
    (void)state;
    struct endpoints endpoints = endpoints_new(2, 1000, 300000);
    endpoints_failed(&endpoints, MOST);
    endpoints_worked(&endpoints);
    endpoints_return(&endpoints);
    assert_int_equal(endpoints.now, 0);
    endpoints_failed(&endpoints, MOST);
    assert_int_equal(endpoints.now, 1);
}

static void the_way_back_is_asked_for_about_when_it_should(void **state) {
    (void)state;
    assert_int_equal(endpoints_return_ms(1000, 0), 750);
    assert_int_equal(endpoints_return_ms(1000, UINT32_MAX), 1250);
    assert_int_equal(endpoints_return_ms(86400000, UINT32_MAX), 108000000);
}

static void each_vain_return_doubles_the_stay_with_the_spare(void **state) {
    (void)state;
    struct endpoints endpoints = endpoints_new(2, 1000, 300000);
    static const uint32_t stays_ms[] = {1000, 2000, 4000, 8000, 16000, 16000};
    endpoints_failed(&endpoints, MOST);
    for (size_t i = 0; i < sizeof stays_ms / sizeof stays_ms[0]; i++) {
        assert_int_equal(endpoints.now, 1);
        assert_int_equal(endpoints_stay_ms(&endpoints, 1000), stays_ms[i]);
        assert_int_equal(endpoints_stay_ms(&endpoints, 86400000), 86400000);
        endpoints_worked(&endpoints); /* the spare does */
        endpoints_return(&endpoints);
        endpoints_failed(&endpoints, MOST);
    }
    endpoints_return(&endpoints);
    endpoints_worked(&endpoints);
    endpoints_failed(&endpoints, MOST);
    assert_int_equal(endpoints_stay_ms(&endpoints, 1000), 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_endpoint_is_tried_with_growing_waits),
        cmocka_unit_test(the_next_one_is_tried_soon_and_the_wait_grows_by_rounds),
        cmocka_unit_test(the_one_that_worked_is_tried_again_first_and_then_the_others),
        cmocka_unit_test(no_wait_is_shorter_than_half_the_first),
        cmocka_unit_test(going_back_starts_with_the_preferred_one),
        cmocka_unit_test(the_way_back_is_asked_for_about_when_it_should),
        cmocka_unit_test(each_vain_return_doubles_the_stay_with_the_spare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
