// links: gateway/core/live_age.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/core/live_age.h"

static void shares_are_those_of_the_last_batches(void **state) {
    (void)state;
    struct live_age age = {.count = 0};
    assert_int_equal(live_age_share(&age, 0.5), 0);
    live_age_note(&age, -5);
    assert_int_equal(live_age_share(&age, 0.99), 0);
    for (int i = 0; i < 1000; i++)
        live_age_note(&age, 100000);
    for (int i = LIVE_AGE_BATCHES; i > 0; i--)
        live_age_note(&age, i);
    assert_int_equal(live_age_share(&age, 0), 1);
    assert_int_equal(live_age_share(&age, 0.5), LIVE_AGE_BATCHES / 2 + 1);
    assert_int_equal(live_age_share(&age, 1), LIVE_AGE_BATCHES);
    live_age_note(&age, INT64_MAX);
    assert_int_equal(live_age_share(&age, 1), UINT32_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shares_are_those_of_the_last_batches)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
