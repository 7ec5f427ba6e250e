// links: store/*.c gateway/common/*.c tests/unit/fault_vfs.c tests/unit/fault_alloc.c
/* test_store_faults.c - whichever call to the disk or for memory fails, once or from then on, the store neither crashes
 * nor leaks, and when the trouble is over every reading that it took is there once or named in a loss record.
 *
 * For each kind of call the same work is done again and again, the first, second, third ... call failing, until it is
 * through without a failure. */
#include <dlfcn.h>
#include <sqlite3.h>

#include "fault_alloc.h"
#include "fault_vfs.h"
#include "gateway/common/file.h"
#include "store_account.h"
#include "store_trail.h"

#define QUOTA_BYTES (1024 * 1024)
#define STEPS 12
#define STEP_READINGS 400
#define SEAL_EACH 3
#define FILL_READINGS 120000 /* more than the quota holds */
#define DROP_READINGS 160000 /* the same, of batches that are too small to be thinned */
#define DROP_BATCH 400
#define MOST (DROP_READINGS + STEPS * STEP_READINGS)
#define EACH_UP_TO 64
#define ENOUGH 100000 /* a fault that never stops being met is a fault of the test */

/* Does as core does: what failed is tried again later; damage, and a store that cannot be opened, end the process. */
struct work {
    struct fixture *fixture;
    struct account *account;
    uint64_t kept;      /* what the last audit record said that was committed */
    bool sealing_alone; /* may fail */
};

static bool is_quiet;

static void be_quiet(bool quiet) {
    is_quiet = quiet;
    fault_alloc_pause(quiet);
}

/* These stand before SQLCipher's: from the key to the first page read with it memory is there, as 4.6.1 crashes in
 * sqlcipher_openssl_setup() without, and frees twice what it made of the key. */
static int (*real_key)(sqlite3 *, const char *, const void *, int);
static int (*real_exec)(sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *, char **);
static bool key_is_new;

int sqlite3_key_v2(sqlite3 *db, const char *schema, const void *key, int length) {
    fault_alloc_pause(true);
    const int code = real_key(db, schema, key, length);
    fault_alloc_pause(is_quiet);
    key_is_new = true;
    return code;
}

int sqlite3_exec(sqlite3 *db, const char *sql, int (*callback)(void *, int, char **, char **), void *user, char **why) {
    fault_alloc_pause(is_quiet || key_is_new);
    const int code = real_exec(db, sql, callback, user, why);
    fault_alloc_pause(is_quiet);
    key_is_new = key_is_new && strncmp(sql, "PRAGMA", 6) == 0;
    return code;
}

static bool reopen(struct work *work) {
    struct fixture *fixture = work->fixture;
    fixture_close(fixture);
    enum fb_error error = fixture_try_open(fixture);
    if (error == FB_OK)
        error = store_number_tags(fixture->store, &fixture->plant, &fixture->cause);
    if (error == FB_OK)
        error = store_set_catalogue(fixture->store, &fixture->plant, FIXTURE_TIME_MS, &fixture->cause);
    if (error != FB_OK) {
        fixture_close(fixture);
        return false;
    }
    if (fixture->opening.set_aside[0] != '\0')
        fail_msg("%s: the store was set aside: %s", work->account->label, fixture->opening.reason);
    fixture->sequence = store_committed_cursor(fixture->store).sequence;
    return true;
}

/* False when the work cannot go on for now. */
static bool after(struct work *work, enum fb_error error) {
    return error != FB_CORRUPT || reopen(work);
}

static void append(struct work *work) {
    struct fixture *fixture = work->fixture;
    struct reading readings[STEP_READINGS];
    for (size_t i = 0; i < STEP_READINGS; i++)
        readings[i] = fixture_reading(++fixture->sequence);
    if (store_append(fixture->store, readings, STEP_READINGS) == FB_OK)
        return;
    const struct batch_loss loss = {.reason = BATCH_LOSS_STORE_FULL,
                                    .readings = STEP_READINGS,
                                    .from_ms = readings[0].time_ms,
                                    .to_ms = readings[STEP_READINGS - 1].time_ms};
    store_note_loss(fixture->store, &loss);
}

static bool forward(struct work *work) {
    static struct store_batch batch;
    struct fixture *fixture = work->fixture;
    const enum fb_error error = store_next(fixture->store, 1, UINT64_MAX, &batch, &fixture->cause);
    if (error != FB_OK)
        return after(work, error);
    be_quiet(true); /* the receiver is another machine */
    account_take(work->account, &batch);
    be_quiet(work->sealing_alone);
    return after(work, store_mark_sent(fixture->store, &batch.number, 1, FIXTURE_TIME_MS, &fixture->cause));
}

static bool seal(struct work *work) {
    struct fixture *fixture = work->fixture;
    size_t sealed;
    be_quiet(false);
    const enum fb_error error =
        store_seal(fixture->store, FIXTURE_TIME_MS, CLOCK_SYNCHRONISED, &sealed, &fixture->cause);
    be_quiet(work->sealing_alone);
    return after(work, error);
}

static bool step(struct work *work, size_t i) {
    struct fixture *fixture = work->fixture;
    append(work);
    const bool audited = trail_add(fixture);
    const struct store_cursor cursor = {.epoch = 1, .sequence = fixture->sequence};
    const enum fb_error error = store_commit(fixture->store, cursor, &fixture->cause);
    if (audited && error == FB_OK && store_records_waiting(fixture->store) == 0)
        work->kept = fixture->sequence;
    if (!after(work, error))
        return false;
    if (i % SEAL_EACH != SEAL_EACH - 1)
        return true;
    return seal(work) && forward(work);
}

static void work_through(struct work *work) {
    bool good = reopen(work);
    for (size_t i = 0; i < STEPS; i++)
        good = good ? step(work, i) : reopen(work);
    if (good && !reopen(work)) /* closing writes the log into the file */
        return;
}

/* A fresh copy of the store to break, without a log, and without a note of what happened to others. */
static void copy(const char *from, const char *to) {
    char wal[160];
    char *bytes = NULL;
    size_t length;
    assert_int_equal(file_read(from, 2 * QUOTA_BYTES, &bytes, &length, NULL), FB_OK);
    assert_int_equal(file_write(to, bytes, length, 0600, NULL), FB_OK);
    free(bytes);
    snprintf(wal, sizeof wal, "%s-wal", to);
    unlink(wal);
    snprintf(wal, sizeof wal, "%s.failed", to);
    unlink(wal);
}

static void fill(struct fixture *fixture, uint64_t readings, size_t batch) {
    fixture->quota_bytes = QUOTA_BYTES;
    fixture_open(fixture);
    while (fixture->sequence < readings)
        fixture_batch_of(fixture, batch);
    fixture_close(fixture);
}

/* A store that has taken more than its quota, so that batches were thinned, and will be. */
static void make_full(struct fixture *fixture) {
    fill(fixture, FILL_READINGS, 4000);
}

/* One that drops unsent batches, of which the oldest tell what was dropped before. */
static void make_dropping(struct fixture *fixture) {
    fill(fixture, DROP_READINGS, DROP_BATCH);
}

static void make_empty(struct fixture *fixture) {
    fixture->quota_bytes = QUOTA_BYTES;
    fixture_open(fixture);
    fixture_close(fixture);
}

struct fault {
    enum fault_kind kind; /* FAULT_NONE: memory */
    bool of_crypto;       /* OpenSSL's */
    int code;
    bool lasting;
    bool sealing_alone; /* it meets nothing else */
    const char *name;
};

static void arm(const struct fault *fault, uint64_t n) {
    if (fault->of_crypto)
        fault_alloc_fail_crypto(n, fault->lasting);
    else if (fault->kind == FAULT_NONE)
        fault_alloc_fail(n, fault->lasting);
    else
        fault_vfs_fail(fault->kind, n, fault->code, fault->lasting);
}

static bool disarm(const struct fault *fault) {
    return fault->kind == FAULT_NONE ? fault_alloc_heal() : fault_vfs_heal();
}

/* False when the work was through before the n-th call. */
static bool try_nth(struct fixture *fixture, const char *start, const struct fault *fault, uint64_t n) {
    char label[96];
    snprintf(label, sizeof label, "%s %llu", fault->name, (unsigned long long)n);
    struct account account = account_make(label, MOST);
    struct work work = {.fixture = fixture, .account = &account, .sealing_alone = fault->sealing_alone};
    copy(start, fixture->path);
    arm(fault, n);
    be_quiet(work.sealing_alone);
    work_through(&work);
    be_quiet(false);
    const bool failed = disarm(fault);
    work.sealing_alone = false;
    if (!reopen(&work))
        fail_msg("%s: %s", label, fixture->cause.text);
    if (trail_check(fixture, label) < work.kept)
        fail_msg("%s: an audit record that was committed is gone", label);
    account_take_all(&account, fixture);
    account_check(&account, fixture->sequence);
    fixture_close(fixture);
    account_done(&account);
    return failed;
}

/* OpenSSL allocates for each page, and each opening allocates a thousand times: with ABUSE=1 each call fails in turn,
 * else the first ones, then fewer and fewer. */
static uint64_t step_behind(const struct fault *fault, uint64_t n) {
    const bool has_many = fault->kind == FAULT_NONE && !fault->sealing_alone;
    const uint64_t step = n / (fault->of_crypto ? 8 : EACH_UP_TO);
    return has_many && getenv("ABUSE") == NULL && n >= EACH_UP_TO ? step : 1;
}

static void try_all(struct fixture *fixture, const struct fault *fault) {
    char start[160];
    unsigned survived = 0;
    snprintf(start, sizeof start, "%s/start.db", fixture->folder);
    if (rename(fixture->path, start) != 0)
        fail();
    uint64_t n = 1;
    for (; n < ENOUGH && try_nth(fixture, start, fault, n); survived++)
        n += step_behind(fault, n);
    print_message("           %s: %u failures survived, up to the %lluth\n", fault->name, survived,
                  (unsigned long long)n - 1);
    assert_in_range(n, 2, ENOUGH - 1);
}

#define FAULT_TEST(test_name, prepare, ...)                                                                            \
    static void test_name(void **state) {                                                                              \
        static const struct fault fault = {.name = #test_name, __VA_ARGS__};                                           \
        prepare(*state);                                                                                               \
        try_all(*state, &fault);                                                                                       \
    }

FAULT_TEST(a_write_fails, make_empty, .kind = FAULT_WRITE, .code = SQLITE_IOERR_WRITE)
FAULT_TEST(writes_fail_from_then_on, make_empty, .kind = FAULT_WRITE, .code = SQLITE_IOERR_WRITE, .lasting = true)
FAULT_TEST(a_write_finds_no_room, make_full, .kind = FAULT_WRITE, .code = SQLITE_FULL)
FAULT_TEST(writes_find_no_room_from_then_on, make_full, .kind = FAULT_WRITE, .code = SQLITE_FULL, .lasting = true)
FAULT_TEST(a_sync_fails, make_full, .kind = FAULT_SYNC, .code = SQLITE_IOERR_FSYNC)
FAULT_TEST(syncs_fail_from_then_on, make_full, .kind = FAULT_SYNC, .code = SQLITE_IOERR_FSYNC, .lasting = true)
FAULT_TEST(a_truncate_fails, make_full, .kind = FAULT_TRUNCATE, .code = SQLITE_IOERR_TRUNCATE)
FAULT_TEST(a_read_fails, make_full, .kind = FAULT_READ, .code = SQLITE_IOERR_READ)
FAULT_TEST(an_open_fails, make_full, .kind = FAULT_OPEN, .code = SQLITE_CANTOPEN)
FAULT_TEST(an_allocation_fails, make_empty, .kind = FAULT_NONE)
FAULT_TEST(allocations_fail_from_then_on, make_empty, .kind = FAULT_NONE, .lasting = true)

FAULT_TEST(an_allocation_of_a_seal_that_thins_fails, make_full, .kind = FAULT_NONE, .sealing_alone = true)
FAULT_TEST(an_allocation_of_a_seal_that_drops_fails, make_dropping, .kind = FAULT_NONE, .sealing_alone = true)
FAULT_TEST(an_allocation_of_openssl_fails, make_full, .of_crypto = true)
FAULT_TEST(allocations_of_openssl_fail_from_then_on, make_full, .of_crypto = true, .lasting = true)

static int install(void **state) {
    (void)state;
    *(void **)&real_key = dlsym(RTLD_NEXT, "sqlite3_key_v2");
    *(void **)&real_exec = dlsym(RTLD_NEXT, "sqlite3_exec");
    fault_vfs_install();
    return real_key != NULL && real_exec != NULL ? 0 : -1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, account_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_write_fails),
        TEST(writes_fail_from_then_on),
        TEST(a_write_finds_no_room),
        TEST(writes_find_no_room_from_then_on),
        TEST(a_sync_fails),
        TEST(syncs_fail_from_then_on),
        TEST(a_truncate_fails),
        TEST(a_read_fails),
        TEST(an_open_fails),
        TEST(an_allocation_fails),
        TEST(allocations_fail_from_then_on),
        TEST(an_allocation_of_a_seal_that_thins_fails),
        TEST(an_allocation_of_a_seal_that_drops_fails),
        TEST(an_allocation_of_openssl_fails),
        TEST(allocations_of_openssl_fail_from_then_on),
    };
    return cmocka_run_group_tests(tests, install, NULL);
}
