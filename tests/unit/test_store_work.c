// links: store/*.c gateway/common/*.c tests/unit/fault_vfs.c
/* test_store_work.c - no call does more than a bounded piece of work, however full the store is: that, and not the
 * speed of the machine, is what keeps a commit from waiting for a seal. Counted are the pages that are written and the
 * readings that give way. The time itself is measured in tests/bench (store.commit_ms.worst). */
#include "fault_vfs.h"
#include "store_account.h"

#define QUOTA_BYTES (4 * 1024 * 1024)
#define LOWERED_BYTES (2 * 1024 * 1024) /* asks for a lot at once */
#define LOWERED_SECONDS 300
#define PAGE_BYTES 4096
#define RATE 1000          /* readings a second */
#define SECONDS 900        /* fill the quota, then more than once again */
#define SEAL_SECONDS 10    /* forward_interval */
#define SENT_SECONDS 150   /* of which there is history */
#define THINNED_MOST 32768 /* and one batch: store_quota.c */
#define DROPPED_MOST 16    /* batches */
#define PAGES_MOST 400     /* the log, once into the file, and a batch with its tables */

struct work {
    uint64_t pages;
    struct store_figures before;
};

static void on_write(const char *path, const void *bytes, size_t length, int64_t offset, void *user) {
    (void)path, (void)bytes, (void)offset;
    *(uint64_t *)user += length >= PAGE_BYTES; /* a frame's head is written by itself */
}

static void on_truncate(const char *path, int64_t size, void *user) {
    (void)path, (void)size, (void)user;
}

static void on_sync(const char *path, void *user) {
    (void)path, (void)user;
}

static void begin(struct fixture *fixture, struct work *work) {
    work->pages = 0;
    store_figures(fixture->store, &work->before);
}

static void assert_bounded(struct fixture *fixture, const struct work *work, const char *call) {
    struct store_figures after;
    store_figures(fixture->store, &after);
    const uint64_t lost = after.lost_readings - work->before.lost_readings;
    const uint64_t gone = work->before.batches > after.batches ? work->before.batches - after.batches : 0;
    if (work->pages > PAGES_MOST)
        fail_msg("%s wrote %llu pages", call, (unsigned long long)work->pages);
    if (lost > THINNED_MOST + (1 + gone) * RATE * SEAL_SECONDS || gone > DROPPED_MOST)
        fail_msg("%s cost %llu readings and %llu batches", call, (unsigned long long)lost, (unsigned long long)gone);
}

static void work_a_second(struct fixture *fixture, struct work *work, uint64_t second) {
    fixture_append(fixture, RATE);
    begin(fixture, work);
    fixture_commit(fixture);
    assert_bounded(fixture, work, "a commit");
    begin(fixture, work);
    if (second % SEAL_SECONDS == SEAL_SECONDS - 1)
        assert_int_equal(fixture_seal(fixture), 1);
    assert_bounded(fixture, work, "a seal");
    begin(fixture, work);
    assert_int_equal(store_keep_room(fixture->store, &fixture->cause), FB_OK);
    assert_bounded(fixture, work, "keeping room");
}

static void no_call_does_more_than_a_piece_of_work(void **state) {
    struct fixture *fixture = *state;
    struct work work = {0};
    struct store_figures figures;
    const struct fault_observer observer = {
        .write = on_write, .truncate = on_truncate, .sync = on_sync, .user = &work.pages};
    fixture->quota_bytes = QUOTA_BYTES;
    fixture_open(fixture);
    fault_vfs_observe(&observer);
    for (uint64_t second = 0; second < SECONDS; second++) {
        work_a_second(fixture, &work, second);
        const uint64_t number = store_last_number(fixture->store);
        if (second < SENT_SECONDS && second % SEAL_SECONDS == SEAL_SECONDS - 1)
            assert_int_equal(store_mark_sent(fixture->store, &number, 1, FIXTURE_TIME_MS, NULL), FB_OK);
    }
    fixture_close(fixture);
    fixture->quota_bytes = LOWERED_BYTES;
    fixture_open(fixture);
    for (uint64_t second = 0; second < LOWERED_SECONDS; second++)
        work_a_second(fixture, &work, second);
    fault_vfs_observe(NULL);
    store_figures(fixture->store, &figures);
    assert_in_range(figures.lost_readings, RATE, fixture->sequence); /* there was work to do */
    assert_in_range(figures.last_number - figures.batches, 1, SENT_SECONDS / SEAL_SECONDS);
}

static int set_up(void **state) {
    fault_vfs_install();
    return account_setup(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_call_does_more_than_a_piece_of_work, set_up, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
