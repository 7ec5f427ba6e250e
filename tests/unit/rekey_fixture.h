/* rekey_fixture.h - a store with batches that gets a new key, for tests; what comes out of it is counted. */
#ifndef FB_TESTS_REKEY_FIXTURE_H
#define FB_TESTS_REKEY_FIXTURE_H

#include "store/store_parked.h"
#include "store/store_rekey.h"
#include "store_fixture.h"

#define REKEY_BATCHES 12
#define REKEY_BATCH_READINGS 500
#define REKEY_STEPS_MOST 20000 /* a change of the key that takes more never ends */

/* Every third one was sent. */
static inline void rekey_make_batches(struct fixture *fixture) {
    fixture_open(fixture);
    for (uint64_t number = 1; number <= REKEY_BATCHES; number++) {
        fixture_batch_of(fixture, REKEY_BATCH_READINGS);
        if (number % 3 == 0)
            assert_int_equal(store_mark_sent(fixture->store, &number, 1, FIXTURE_TIME_MS, NULL), FB_OK);
    }
}

static inline struct store_rekey *rekey_begin(struct fixture *fixture, const uint8_t *key) {
    struct store_rekey *rekey = NULL;
    if (store_rekey_begin(fixture->store, key, &rekey, &fixture->cause) != FB_OK)
        fail_msg("%s", fixture->cause.text);
    return rekey;
}

/* So many readings are unsent, none of them twice, those included that were parked meanwhile. */
static inline void rekey_assert_all_there(struct fixture *fixture, uint64_t unsent_before) {
    size_t released;
    fixture_seal(fixture);
    assert_int_equal(store_release(fixture->store, 1, INT64_MAX, &released, &fixture->cause), FB_OK);
    struct fixture_harvest harvest = fixture_harvest(fixture, fixture->sequence + 1);
    size_t there = 0;
    for (size_t n = 1; n <= fixture->sequence; n++) {
        assert_in_range(harvest.seen[n], 0, 1);
        there += harvest.seen[n];
    }
    assert_int_equal(there, unsent_before);
    free(harvest.seen);
}

#endif
