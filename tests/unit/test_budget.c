// links: gateway/core/budget.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/core/budget.h"

#define NOVEMBER_MS INT64_C(1793491200000)  /* 2026-11-01T00:00:00Z */
#define DECEMBER_MS INT64_C(1796083200000)  /* 2026-12-01T00:00:00Z */
#define NEXT_YEAR_MS INT64_C(1798761600000) /* 2027-01-01T00:00:00Z */

static void months_are_those_of_utc(void **state) {
    (void)state;
    char text[BUDGET_MONTH_MAX];
    assert_string_equal(budget_month_text(budget_month(NOVEMBER_MS - 1), text), "2026-10");
    assert_string_equal(budget_month_text(budget_month(NOVEMBER_MS), text), "2026-11");
    assert_string_equal(budget_month_text(budget_month(NEXT_YEAR_MS - 1), text), "2026-12");
    assert_string_equal(budget_month_text(budget_month(NEXT_YEAR_MS), text), "2027-01");
    assert_int_equal(budget_month(0), 0);
}

static void a_new_month_begins_at_nothing(void **state) {
    (void)state;
    struct budget budget = {.most = 1000};
    budget_count(&budget, 999, NOVEMBER_MS);
    assert_false(budget_spent(&budget));
    budget_count(&budget, 1000, DECEMBER_MS - 1);
    assert_true(budget_spent(&budget));
    budget_count(&budget, 1010, DECEMBER_MS);
    assert_int_equal(budget.bytes, 10);
    assert_false(budget_spent(&budget));
}

static void a_counter_that_begins_anew_adds_to_what_was(void **state) {
    (void)state;
    struct budget budget = {.most = 0};
    budget_count(&budget, 500, NOVEMBER_MS);
    budget_restart(&budget);
    budget_count(&budget, 300, NOVEMBER_MS);
    assert_int_equal(budget.bytes, 800);
    budget_count(&budget, 200, NOVEMBER_MS); /* backwards without a word: nothing is taken away */
    budget_count(&budget, 250, NOVEMBER_MS);
    assert_int_equal(budget.bytes, 850);
    assert_false(budget_spent(&budget)); /* there is none */
}

static void a_clock_that_is_not_set_begins_no_month(void **state) {
    (void)state;
    struct budget budget = {.most = 1000};
    budget_count(&budget, 600, NOVEMBER_MS);
    budget_count(&budget, 1200, 0);
    assert_int_equal(budget.bytes, 1200);
    assert_int_equal(budget.month, budget_month(NOVEMBER_MS));
}

static void what_is_handed_out_counts_before_it_is_counted(void **state) {
    (void)state;
    struct budget budget = {.most = 1000};
    budget_hand_out(&budget, 1000);
    assert_false(budget_open(&budget));
    assert_false(budget_spent(&budget));
    budget_count(&budget, 600, NOVEMBER_MS);
    assert_int_equal(budget.ahead, 400);
    assert_false(budget_open(&budget));
    budget_begin(&budget); /* the rest never went */
    assert_true(budget_open(&budget));
    budget_count(&budget, 1000, NOVEMBER_MS);
    assert_true(budget_spent(&budget));
    assert_false(budget_open(&budget));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(months_are_those_of_utc),
        cmocka_unit_test(a_new_month_begins_at_nothing),
        cmocka_unit_test(a_counter_that_begins_anew_adds_to_what_was),
        cmocka_unit_test(a_clock_that_is_not_set_begins_no_month),
        cmocka_unit_test(what_is_handed_out_counts_before_it_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
