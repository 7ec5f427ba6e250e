// links: gateway/core/catalogue_lane.c gateway/common/backoff.c
/* test_catalogue_lane.c - a catalogue that the peer refuses goes again, ever later, or when the peer takes anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "gateway/core/catalogue_lane.h"

#define RANDOM_MOST UINT32_MAX
#define WAIT_MOST_MS (5 * 60 * 1000)

static struct catalogue_lane lane;

static const uint8_t *hash_of(uint64_t revision) {
    static uint8_t hash[BATCH_HASH_BYTES];
    memset(hash, (int)revision, sizeof hash);
    return hash;
}

static void out(uint64_t revision, uint64_t accepted) {
    catalogue_lane_out(&lane, hash_of(revision), revision, accepted);
}

static bool refuse(uint64_t revision, uint64_t accepted, int64_t now_ms) {
    const struct catalogue_lane_now now = {accepted, now_ms, now_ms};
    return catalogue_lane_refused(&lane, revision, "no", true, &now, RANDOM_MOST);
}

static uint64_t due(uint64_t accepted, int64_t now_ms) {
    const struct catalogue_fate *fate = catalogue_lane_due(&lane, accepted, now_ms);
    return fate == NULL ? 0 : fate->revision;
}

static int begin(void **state) {
    (void)state;
    catalogue_lane_begin(&lane);
    return 0;
}

static void each_refusal_makes_the_wait_longer_up_to_five_minutes(void **state) {
    (void)state;
    int64_t now_ms = 1000, waited_ms = 0, before_ms = 0;
    for (uint64_t accepted = 1; accepted < 20; accepted++) { /* the peer takes batches meanwhile */
        out(1, 0);
        assert_int_equal(catalogue_lane_wake_ms(&lane), 0);
        refuse(1, accepted, now_ms);
        waited_ms = catalogue_lane_wake_ms(&lane) - now_ms;
        assert_true(waited_ms >= before_ms && waited_ms <= WAIT_MOST_MS);
        assert_int_equal(due(accepted + 1, now_ms + waited_ms - 1), 0);
        assert_int_equal(due(accepted + 1, now_ms + waited_ms), 1);
        before_ms = waited_ms;
        now_ms += waited_ms;
    }
    assert_true(waited_ms > WAIT_MOST_MS / 2);
}

static void a_peer_that_refused_all_alike_is_asked_again_when_it_accepts_a_batch(void **state) {
    (void)state;
    out(1, 7);
    for (int i = 0; i < 20; i++)
        refuse(1, 7, 1000);
    assert_int_equal(due(7, 1000), 0);
    assert_int_equal(due(8, 1000), 1);
    out(1, 8);
    refuse(1, 8, 1000); /* batches yes, this no: back to waiting */
    assert_int_equal(due(9, 1000), 0);
}

static void what_is_wrong_is_that_of_the_newest_until_it_is_accepted(void **state) {
    (void)state;
    for (uint64_t revision = 1; revision <= 3; revision++)
        out(revision, 0);
    assert_null(catalogue_lane_missing(&lane));
    refuse(1, 0, 1000);
    refuse(2, 0, 2000);
    refuse(2, 0, 3000);
    assert_int_equal(catalogue_lane_missing(&lane)->revision, 2);
    assert_int_equal(catalogue_lane_missing(&lane)->since_ms, 2000);
    assert_int_equal(catalogue_lane_missing(&lane)->refusals, 2);
    catalogue_lane_accepted(&lane, 2);
    assert_int_equal(catalogue_lane_missing(&lane)->revision, 1);
    catalogue_lane_accepted(&lane, 1);
    assert_null(catalogue_lane_missing(&lane));
    assert_int_equal(catalogue_lane_wake_ms(&lane), 0);
}

static void people_hear_of_the_newest_once_a_session(void **state) {
    (void)state;
    for (uint64_t revision = 1; revision <= 3; revision++)
        out(revision, 0);
    assert_true(refuse(2, 0, 1000));
    assert_false(refuse(2, 0, 2000));
    assert_false(refuse(1, 0, 2000)); /* of the backlog's, older */
    assert_true(refuse(3, 0, 2000));
    catalogue_lane_begin(&lane);
    assert_false(catalogue_lane_knows(&lane, hash_of(3)));
    out(3, 0);
    assert_true(refuse(3, 0, 3000));
}

static void the_oldest_gives_way_and_its_outcome_means_nothing(void **state) {
    (void)state;
    for (uint64_t revision = 1; revision <= CATALOGUE_LANE_MAX + 1; revision++)
        out(revision, 0);
    assert_false(catalogue_lane_knows(&lane, hash_of(1)));
    assert_true(catalogue_lane_knows(&lane, hash_of(2)));
    assert_false(refuse(1, 0, 1000));
    catalogue_lane_accepted(&lane, 1);
    assert_null(catalogue_lane_missing(&lane));
}

static void one_that_cannot_be_read_has_no_outcome(void **state) {
    (void)state;
    catalogue_lane_out(&lane, hash_of(5), 0, 0);
    assert_true(catalogue_lane_knows(&lane, hash_of(5)));
    assert_false(refuse(0, 0, 1000));
    assert_null(catalogue_lane_missing(&lane));
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, begin)
    const struct CMUnitTest tests[] = {
        TEST(each_refusal_makes_the_wait_longer_up_to_five_minutes),
        TEST(a_peer_that_refused_all_alike_is_asked_again_when_it_accepts_a_batch),
        TEST(what_is_wrong_is_that_of_the_newest_until_it_is_accepted),
        TEST(people_hear_of_the_newest_once_a_session),
        TEST(the_oldest_gives_way_and_its_outcome_means_nothing),
        TEST(one_that_cannot_be_read_has_no_outcome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
