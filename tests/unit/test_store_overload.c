// links: store/*.c gateway/common/*.c
/* test_store_overload.c - ten times the readings that a gateway is made for, into the smallest store there is: each is
 * there once or named in a loss record, and the store stays within its quota. */
#include "store_account.h"

#define SECONDS 60
#define READINGS_A_SECOND 10000
#define QUOTA_BYTES STORE_QUOTA_MIN

static void ten_thousand_readings_a_second_are_kept_or_named(void **state) {
    struct fixture *fixture = *state;
    struct store_figures figures;
    struct account account = account_make("overload", SECONDS * READINGS_A_SECOND);
    fixture->quota_bytes = QUOTA_BYTES;
    fixture_open(fixture);
    for (size_t second = 0; second < SECONDS; second++) {
        fixture_append(fixture, READINGS_A_SECOND);
        fixture_commit(fixture);
        if (store_tail_full(fixture->store))
            fixture_seal(fixture);
        store_figures(fixture->store, &figures);
        assert_in_range(figures.bytes, 1, QUOTA_BYTES);
    }
    account_take_all(&account, fixture);
    account_check(&account, fixture->sequence);
    assert_in_range(account.readings, 1, SECONDS * READINGS_A_SECOND - 1); /* the quota was felt */
    account_done(&account);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ten_thousand_readings_a_second_are_kept_or_named, account_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
