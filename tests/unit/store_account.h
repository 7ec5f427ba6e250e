/* store_account.h - keeps account of what came out of a store, as a receiver does, for tests that break things: every
 * reading once, or named in a loss record. Readings are those of fixture_reading(). */
#ifndef FB_TESTS_STORE_ACCOUNT_H
#define FB_TESTS_STORE_ACCOUNT_H

#include "store_fixture.h"

/* The fixture's folder in memory where that is possible: thousands of rounds need no real fsync. */
static inline int account_setup(void **state) {
    if (fixture_setup(state) != 0)
        return -1;
    struct fixture *fixture = *state;
    char folder[] = "/dev/shm/forebay-store-XXXXXX";
    if (mkdtemp(folder) == NULL)
        return 0;
    rmdir(fixture->folder);
    snprintf(fixture->folder, sizeof fixture->folder, "%s", folder);
    snprintf(fixture->path, sizeof fixture->path, "%s/store.db", folder);
    return 0;
}

#define ACCOUNT_BATCHES_MAX 4096
#define ACCOUNT_LOSSES_MAX 4096

struct account {
    const char *label; /* what was broken, for failures */
    uint8_t *seen;     /* how often the n-th reading came, by n */
    uint64_t most;
    uint8_t (*hashes)[BATCH_HASH_BYTES];   /* of the batches that came, by number */
    uint8_t (*previous)[BATCH_HASH_BYTES]; /* as they say */
    bool *came;
    struct batch_loss *losses;
    size_t loss_count;
    uint64_t readings; /* that came, each counted once */
};

/* most: no reading has a number above it. End with account_done(). */
static inline struct account account_make(const char *label, uint64_t most) {
    struct account account = {.label = label, .most = most, .seen = calloc(most + 1, 1)};
    account.hashes = calloc(ACCOUNT_BATCHES_MAX, sizeof account.hashes[0]);
    account.previous = calloc(ACCOUNT_BATCHES_MAX, sizeof account.previous[0]);
    account.came = calloc(ACCOUNT_BATCHES_MAX, sizeof account.came[0]);
    account.losses = calloc(ACCOUNT_LOSSES_MAX, sizeof account.losses[0]);
    return account;
}

static inline void account_done(struct account *account) {
    free(account->seen);
    free(account->hashes);
    free(account->previous);
    free(account->came);
    free(account->losses);
}

static inline void account_note_loss(struct account *account, const struct batch_loss *loss) {
    assert_true(account->loss_count < ACCOUNT_LOSSES_MAX);
    account->losses[account->loss_count++] = *loss;
}

static inline void account_note_reading(struct account *account, const struct reading *reading) {
    const uint64_t n = (uint64_t)(reading->time_ms - FIXTURE_TIME_MS);
    const struct reading expected = fixture_reading(n);
    if (n < 1 || n > account->most || memcmp(reading, &expected, sizeof expected) != 0)
        fail_msg("%s: a reading that was never given", account->label);
    if (account->seen[n]++ == 0)
        account->readings++;
}

/* False when it came before with the same content. */
static inline bool account_is_new(struct account *account, const struct store_batch *batch) {
    uint8_t hash[BATCH_HASH_BYTES];
    assert_in_range(batch->number, 1, ACCOUNT_BATCHES_MAX - 1);
    batch_hash(batch->bytes, batch->length, hash);
    if (account->came[batch->number]) {
        if (memcmp(account->hashes[batch->number], hash, sizeof hash) != 0)
            fail_msg("%s: batch %llu came with other content", account->label, (unsigned long long)batch->number);
        return false;
    }
    memcpy(account->hashes[batch->number], hash, sizeof hash);
    return account->came[batch->number] = true;
}

/* Repeats of a batch are passed over; one that has other content than before fails the test. */
static inline void account_take(struct account *account, const struct store_batch *batch) {
    static struct batch_info info;
    struct reading *readings = NULL;
    size_t count;
    struct fb_cause cause;
    if (!account_is_new(account, batch))
        return;
    if (batch_decode(batch->bytes, batch->length, &info, &readings, &count, &cause) != FB_OK)
        fail_msg("%s: %s", account->label, cause.text);
    memcpy(account->previous[batch->number], info.previous, BATCH_HASH_BYTES);
    for (size_t i = 0; i < count; i++)
        account_note_reading(account, &readings[i]);
    for (size_t i = 0; i < info.loss_count; i++)
        account_note_loss(account, &info.losses[i]);
    free(readings);
}

/* Everything that is unsent, in order; it is marked as sent. */
static inline void account_take_unsent(struct account *account, struct fixture *fixture) {
    static struct store_batch batch;
    enum fb_error error;
    while ((error = store_next(fixture->store, 1, UINT64_MAX, &batch, &fixture->cause)) == FB_OK) {
        account_take(account, &batch);
        assert_int_equal(store_mark_sent(fixture->store, &batch.number, 1, FIXTURE_TIME_MS, &fixture->cause), FB_OK);
    }
    assert_int_equal(error, FB_NOT_FOUND);
}

/* All that there is, until the store has nothing more to tell: making room for the last batch may lose something that
 * one batch more tells of. */
static inline void account_take_all(struct account *account, struct fixture *fixture) {
    fixture_commit(fixture);
    account_take_unsent(account, fixture);
    while (fixture_seal(fixture) > 0)
        account_take_unsent(account, fixture);
}

static inline bool account_is_named(const struct account *account, uint64_t n) {
    const int64_t time_ms = FIXTURE_TIME_MS + (int64_t)n;
    for (size_t i = 0; i < account->loss_count; i++)
        if (account->losses[i].from_ms <= time_ms && time_ms <= account->losses[i].to_ms)
            return true;
    return false;
}

static inline bool account_is_thinned(const struct account *account, uint64_t number) {
    for (size_t i = 0; i < account->loss_count; i++) {
        const struct batch_loss *loss = &account->losses[i];
        if (loss->reason == BATCH_LOSS_THINNED && loss->first_batch <= number && number <= loss->last_batch)
            return true;
    }
    return false;
}

/* Neighbours that both came fit to each other, unless a loss record says that the first was thinned. */
static inline void account_check_chain(const struct account *account) {
    for (uint64_t number = 2; number < ACCOUNT_BATCHES_MAX; number++)
        if (account->came[number - 1] && account->came[number] &&
            memcmp(account->previous[number], account->hashes[number - 1], BATCH_HASH_BYTES) != 0 &&
            !account_is_thinned(account, number - 1))
            fail_msg("%s: the chain is broken at batch %llu", account->label, (unsigned long long)number);
}

/* Readings 1 to last each came once, or are named in a loss record, and the records name no fewer than are missing. */
static inline void account_check(const struct account *account, uint64_t last) {
    uint64_t missing = 0, lost = 0;
    account_check_chain(account);
    for (uint64_t n = 1; n <= last; n++) {
        if (account->seen[n] > 1)
            fail_msg("%s: reading %llu came twice", account->label, (unsigned long long)n);
        if (account->seen[n] == 0 && !account_is_named(account, n))
            fail_msg("%s: reading %llu of %llu is neither there nor named", account->label, (unsigned long long)n,
                     (unsigned long long)last);
        missing += account->seen[n] == 0;
    }
    for (size_t i = 0; i < account->loss_count; i++)
        lost += account->losses[i].readings;
    if (lost < missing)
        fail_msg("%s: %llu missing, %llu named", account->label, (unsigned long long)missing, (unsigned long long)lost);
}

#endif
