// links: store/*.c gateway/common/*.c tests/unit/rekey_disk.c tests/unit/fault_vfs.c
/* test_store_rekey_faults.c - the store gets a new key, and is killed at any step of that, or any call to the disk
 * fails, once or for good: it opens with one of the keys, and has all that was committed. */
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include "fault_vfs.h"
#include "gateway/common/file.h"
#include "rekey_disk.h"
#include "rekey_fixture.h"
#include "store/key.h"
#include "store_account.h"

#define SLICE_US 2000
#define FILE_BYTES_MAX (4 * 1024 * 1024)

static void rekey_all(struct fixture *fixture, const char *key_path) {
    struct key_ring *ring;
    bool ready = false;
    assert_int_equal(key_open(key_path, &ring, NULL), FB_OK);
    memcpy(fixture->key, ring->key, sizeof fixture->key);
    fixture_open(fixture);
    assert_int_equal(key_make_next(ring, NULL), FB_OK);
    struct store_rekey *rekey = rekey_begin(fixture, ring->next);
    while (!ready) {
        fixture_append(fixture, 1);
        fixture_commit(fixture);
        assert_int_equal(store_rekey_step(rekey, 2000, &ready, NULL), FB_OK);
    }
    assert_int_equal(store_rekey_switch(rekey, ring->next, NULL), FB_OK);
    assert_int_equal(key_confirm_next(ring, NULL), FB_OK);
    while (!store_rekey_clear(rekey, 0))
        ;
    store_rekey_end(rekey);
    fixture_batch_of(fixture, 1);
    fixture_close(fixture);
    key_close(ring);
}

/* Open with what is on disk, as core does: one of the keys fits, and each reading of the batches is there. */
static void assert_opens(struct fixture *fixture, const char *key_path, uint64_t unsent_least) {
    struct key_ring *ring;
    struct store_figures figures;
    char old[160];
    assert_int_equal(key_open(key_path, &ring, &fixture->cause), FB_OK);
    assert_false(ring->created);
    const struct store_settings settings = {.path = fixture->path,
                                            .gateway = "plant-1",
                                            .quota_bytes = fixture->quota_bytes,
                                            .now_ms = FIXTURE_TIME_MS,
                                            .next_key = ring->has_next ? ring->next : NULL};
    if (store_open(&settings, ring->key, &fixture->store, &fixture->opening, &fixture->cause) != FB_OK)
        fail_msg("%s", fixture->cause.text);
    assert_string_equal(fixture->opening.set_aside, "");
    if (fixture->opening.next_key_fits)
        assert_int_equal(key_confirm_next(ring, NULL), FB_OK);
    memcpy(fixture->key, ring->key, sizeof fixture->key);
    key_close(ring);
    snprintf(old, sizeof old, "%s.old", fixture->path);
    assert_int_equal(access(old, F_OK), -1);
    store_figures(fixture->store, &figures);
    assert_in_range(figures.unsent_readings, unsent_least, unsent_least + REKEY_STEPS_MOST);
    fixture_close(fixture);
}

static bool dies(struct fixture *fixture, const char *key_path, unsigned at) {
    const pid_t child = fork();
    if (child == 0) {
        rekey_disk_die_at(at);
        rekey_all(fixture, key_path);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void killed_at_each_step_it_opens_with_one_of_the_keys(void **state) {
    struct fixture *fixture = *state;
    char key_path[128];
    struct store_figures figures;
    struct key_ring *ring;
    unsigned at = 1;
    snprintf(key_path, sizeof key_path, "%s/store.key", fixture->folder);
    assert_int_equal(key_open(key_path, &ring, NULL), FB_OK);
    memcpy(fixture->key, ring->key, sizeof fixture->key);
    key_close(ring);
    rekey_make_batches(fixture);
    store_figures(fixture->store, &figures);
    fixture_close(fixture);
    for (; dies(fixture, key_path, at); at++) {
        assert_in_range(at, 1, 500);
        assert_opens(fixture, key_path, figures.unsent_readings);
    }
    assert_in_range(at, 10, 500);
    assert_opens(fixture, key_path, figures.unsent_readings);
    fixture_open(fixture); /* the same batches still hold */
    free(fixture_harvest(fixture, REKEY_STEPS_MOST).seen);
}

/* With every step's order the kills above would pass on a disk that never loses anything: this is what makes them hold
 * for a power cut. */
static void nothing_takes_its_place_before_it_is_on_disk(void **state) {
    struct fixture *fixture = *state;
    char key_path[128];
    struct key_ring *ring;
    snprintf(key_path, sizeof key_path, "%s/store.key", fixture->folder);
    assert_int_equal(key_open(key_path, &ring, NULL), FB_OK);
    memcpy(fixture->key, ring->key, sizeof fixture->key);
    key_close(ring);
    rekey_make_batches(fixture);
    fixture_close(fixture);
    rekey_disk_watch();
    rekey_all(fixture, key_path);
    rekey_disk_unwatch();
    assert_opens(fixture, key_path, (REKEY_BATCHES - REKEY_BATCHES / 3) * REKEY_BATCH_READINGS);
}

struct fault {
    enum fault_kind kind;
    int code;
    bool lasting;
    const char *name;
};

/* What cannot be committed now stays in memory and is tried again. */
static void commit_one(struct fixture *fixture) {
    const struct store_cursor cursor = {.epoch = 1, .sequence = fixture->sequence + 1};
    fixture_append(fixture, 1);
    const enum fb_error error = store_commit(fixture->store, cursor, &fixture->cause);
    assert_true(error == FB_OK || error == FB_FULL || error == FB_IO);
}

/* Readings are committed all the while, so that the log has something at the switch. Up to there the old key stays the
 * right one; a switch that fails closes the store. */
static bool rekey_with_fault(struct fixture *fixture, const uint8_t *next, const struct fault *fault, uint64_t n) {
    bool ready = false;
    struct store_rekey *rekey = NULL;
    rekey_disk_watch();
    fault_vfs_fail(fault->kind, n, fault->code, fault->lasting);
    enum fb_error error = store_rekey_begin(fixture->store, next, &rekey, &fixture->cause);
    while (error == FB_OK && !ready) {
        commit_one(fixture);
        error = store_rekey_step(rekey, SLICE_US, &ready, &fixture->cause);
    }
    commit_one(fixture);
    if (error == FB_OK)
        error = store_rekey_switch(rekey, next, &fixture->cause);
    const bool failed = fault_vfs_heal();
    rekey_disk_unwatch();
    store_rekey_end(rekey);
    if (error != FB_CLOSED) {
        fixture_append(fixture, 1);
        fixture_commit(fixture);
    }
    return failed;
}

/* As the next start does: with both keys. */
static bool opens_under_next(struct fixture *fixture, const uint8_t *next) {
    const struct store_settings settings = {.path = fixture->path,
                                            .gateway = "plant-1",
                                            .quota_bytes = fixture->quota_bytes,
                                            .now_ms = FIXTURE_TIME_MS,
                                            .next_key = next};
    if (store_open(&settings, fixture->key, &fixture->store, &fixture->opening, &fixture->cause) != FB_OK)
        fail_msg("%s", fixture->cause.text);
    assert_string_equal(fixture->opening.set_aside, "");
    return fixture->opening.next_key_fits;
}

static bool survives_nth(struct fixture *fixture, const struct fault *fault, uint64_t n) {
    static const uint8_t next[STORE_KEY_BYTES] = {1};
    struct store_figures before, after;
    fixture_open(fixture);
    const uint64_t sequence = fixture->sequence;
    store_figures(fixture->store, &before);
    const bool failed = rekey_with_fault(fixture, next, fault, n);
    const uint64_t committed = store_committed_cursor(fixture->store).sequence;
    fixture_close(fixture);
    const bool is_under_next = opens_under_next(fixture, next);
    if (!failed && !is_under_next)
        fail_msg("nothing failed, and the key is the old one");
    fixture->sequence = store_committed_cursor(fixture->store).sequence;
    assert_true(fixture->sequence >= committed);
    store_figures(fixture->store, &after);
    assert_int_equal(after.unsent_readings, before.unsent_readings + fixture->sequence - sequence);
    rekey_assert_all_there(fixture, after.unsent_readings);
    fixture_close(fixture);
    return failed;
}

static void a_disk_that_fails_at_any_call_leaves_a_store_that_opens(void **state) {
    static const struct fault faults[] = {
        {FAULT_WRITE, SQLITE_FULL, true, "writes from then on"},
        {FAULT_WRITE, SQLITE_IOERR_WRITE, false, "a write"},
        {FAULT_SYNC, SQLITE_IOERR_FSYNC, true, "fsyncs from then on"},
        {FAULT_SYNC, SQLITE_IOERR_FSYNC, false, "an fsync"},
        {FAULT_OPEN, SQLITE_CANTOPEN, true, "opening from then on"},
    };
    struct fixture *fixture = *state;
    char *bytes = NULL;
    size_t length;
    rekey_make_batches(fixture);
    const uint64_t sequence = fixture->sequence;
    fixture_close(fixture);
    assert_int_equal(file_read(fixture->path, FILE_BYTES_MAX, &bytes, &length, NULL), FB_OK);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        uint64_t n = 0;
        for (bool failed = true; failed; n++) {
            assert_in_range(n, 0, REKEY_STEPS_MOST);
            assert_int_equal(file_write(fixture->path, bytes, length, 0600, NULL), FB_OK);
            fixture->sequence = sequence;
            failed = survives_nth(fixture, &faults[i], n + 1);
        }
        assert_in_range(n, 2, REKEY_STEPS_MOST);
        print_message("           %s: %llu failures survived\n", faults[i].name, (unsigned long long)n - 1);
    }
    free(bytes);
}

static int install(void **state) {
    (void)state;
    fault_vfs_install();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed_at_each_step_it_opens_with_one_of_the_keys, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(nothing_takes_its_place_before_it_is_on_disk, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_disk_that_fails_at_any_call_leaves_a_store_that_opens, account_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, install, NULL);
}
