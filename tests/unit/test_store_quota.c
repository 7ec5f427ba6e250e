// links: store/*.c gateway/common/*.c
/* test_store_quota.c - the file stays within its quota, history goes first, and what had to go is told. */
#include <sqlite3.h>

#include "store_account.h"

static struct store_figures figures_of(const struct fixture *fixture) {
    struct store_figures figures;
    store_figures(fixture->store, &figures);
    return figures;
}

static void mark_all_sent(struct fixture *fixture) {
    for (uint64_t number = 1; number <= store_last_number(fixture->store); number++)
        assert_int_equal(store_mark_sent(fixture->store, &number, 1, FIXTURE_TIME_MS, NULL), FB_OK);
}

/* Take what is there, tell what that cost, take that: every reading came once, or is counted by a loss record. */
static void assert_all_accounted_for(struct fixture *fixture, struct fixture_harvest *ret_harvest) {
    fixture_batch_of(fixture, 1);
    const uint64_t total = fixture->sequence;
    struct fixture_harvest harvest = fixture_harvest(fixture, total + 2);
    fixture_batch_of(fixture, 1);
    struct fixture_harvest rest = fixture_harvest(fixture, total + 2);
    for (size_t n = 1; n <= total; n++)
        assert_in_range(harvest.seen[n], 0, 1);
    assert_int_equal(harvest.readings + harvest.lost + rest.lost, total);
    assert_int_equal(figures_of(fixture).lost_readings, harvest.lost + rest.lost);
    for (size_t i = 0; i <= BATCH_LOSS_THINNED; i++)
        harvest.lost_because[i] += rest.lost_because[i];
    free(rest.seen);
    *ret_harvest = harvest;
}

static void unsent_batches_are_thinned_oldest_first_before_any_is_dropped(void **state) {
    struct fixture *fixture = *state;
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture->thins = true;
    fixture_open(fixture);
    for (size_t i = 0; i < 150; i++)
        fixture_batch_of(fixture, 1000);
    const struct store_figures figures = figures_of(fixture);
    assert_int_equal(figures.unsent_batches, 150);
    assert_int_equal(figures.readings + figures.lost_readings, 150000);
    assert_in_range(figures.bytes, 1, STORE_QUOTA_MIN);
    struct fixture_harvest harvest;
    assert_all_accounted_for(fixture, &harvest);
    assert_int_equal(harvest.batches, 151);
    assert_int_equal(harvest.lost_because[BATCH_LOSS_QUOTA], 0);
    assert_true(harvest.replaced > 50);
    for (size_t n = 140000; n <= 150001; n++) /* the newest are whole */
        assert_int_equal(harvest.seen[n], 1);
    for (size_t n = 1; n <= FIXTURE_TAGS; n++) /* the first of each tag stays */
        assert_int_equal(harvest.seen[n], 1);
    free(harvest.seen);
}

/* What was thinned keeps the extremes: of each batch and tag the least and the greatest value are there. */
static void thinned_batches_keep_the_least_and_the_greatest(void **state) {
    struct fixture *fixture = *state;
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture->thins = true;
    fixture_open(fixture);
    for (size_t i = 0; i < 150; i++)
        fixture_batch_of(fixture, 1000);
    struct fixture_harvest harvest;
    assert_all_accounted_for(fixture, &harvest);
    uint64_t least = 1, greatest = 1;
    for (uint64_t n = 1; n <= 1000; n += FIXTURE_TAGS) {
        least = fixture_reading(n).value.integer < fixture_reading(least).value.integer ? n : least;
        greatest = fixture_reading(n).value.integer > fixture_reading(greatest).value.integer ? n : greatest;
    }
    assert_int_equal(harvest.seen[least], 1);
    assert_int_equal(harvest.seen[greatest], 1);
    free(harvest.seen);
}

static void thinned_batches_are_dropped_oldest_first_when_nothing_can_be_thinned_any_more(void **state) {
    struct fixture *fixture = *state;
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture->thins = true;
    fixture_open(fixture);
    for (size_t i = 0; i < 900; i++)
        fixture_batch_of(fixture, 1000);
    assert_in_range(figures_of(fixture).unsent_batches, 100, 890);
    struct fixture_harvest harvest;
    assert_all_accounted_for(fixture, &harvest);
    assert_true(harvest.lost_because[BATCH_LOSS_QUOTA] > 0);
    assert_true(harvest.lost_because[BATCH_LOSS_THINNED] > harvest.lost_because[BATCH_LOSS_QUOTA]);
    size_t gone = 1;
    while (harvest.seen[gone] == 0)
        gone++;
    for (size_t n = gone; n <= 900000; n += 1000) /* no batch is missing between those that are left */
        assert_int_equal(harvest.seen[n], 1);
    free(harvest.seen);
}

/* Handed out, and without an outcome. */
struct under_way {
    uint64_t first, last;
};

static bool is_under_way(uint64_t number, void *user) {
    const struct under_way *under_way = user;
    return number >= under_way->first && number <= under_way->last;
}

/* The hash of the unsent batch, zeros if it is gone. */
static void hash_of(struct fixture *fixture, uint64_t number, uint8_t ret_hash[static BATCH_HASH_BYTES]) {
    struct store_batch *batch = malloc(sizeof *batch);
    memset(ret_hash, 0, BATCH_HASH_BYTES);
    if (store_next(fixture->store, number, number, batch, NULL) == FB_OK)
        batch_hash(batch->bytes, batch->length, ret_hash);
    free(batch);
}

static uint64_t oldest_unsent(struct fixture *fixture) {
    struct store_batch *batch = malloc(sizeof *batch);
    assert_int_equal(store_next(fixture->store, 1, UINT64_MAX, batch, NULL), FB_OK);
    const uint64_t number = batch->number;
    free(batch);
    return number;
}

/* They are the oldest, which otherwise go first: whether there is still something to thin, or only to drop. */
static void what_is_under_way_is_neither_thinned_nor_dropped_while_others_can_be(void **state) {
    struct fixture *fixture = *state;
    struct under_way under_way = {2, 4};
    uint8_t before[3][BATCH_HASH_BYTES], after[BATCH_HASH_BYTES];
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture->thins = true;
    fixture_open(fixture);
    for (size_t i = 0; i < 4; i++)
        fixture_batch_of(fixture, 1000);
    for (uint64_t number = 2; number <= 4; number++)
        hash_of(fixture, number, before[number - 2]);
    store_set_under_way(fixture->store, is_under_way, &under_way);
    for (size_t i = 4; i < 900; i++)
        fixture_batch_of(fixture, 1000);
    assert_int_equal(oldest_unsent(fixture), 2); /* 1 was dropped, as were others */
    assert_in_range(figures_of(fixture).unsent_batches, 100, 890);
    for (uint64_t number = 2; number <= 4; number++) {
        hash_of(fixture, number, after);
        assert_memory_equal(after, before[number - 2], sizeof after);
    }
    struct fixture_harvest harvest;
    assert_all_accounted_for(fixture, &harvest);
    for (size_t n = 1001; n <= 4000; n++)
        assert_int_equal(harvest.seen[n], 1);
    free(harvest.seen);
}

static void what_came_back_gives_way_as_others_do(void **state) {
    struct fixture *fixture = *state;
    struct under_way under_way = {1, 3};
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture->thins = true;
    fixture_open(fixture);
    store_set_under_way(fixture->store, is_under_way, &under_way);
    for (size_t i = 0; i < 900; i++)
        fixture_batch_of(fixture, 1000);
    assert_int_equal(oldest_unsent(fixture), 1);
    under_way.last = 0;
    while (oldest_unsent(fixture) <= 3) {
        assert_in_range(fixture->sequence, 1, 950000);
        fixture_batch_of(fixture, 1000);
    }
    struct fixture_harvest harvest;
    assert_all_accounted_for(fixture, &harvest);
    free(harvest.seen);
}

/* A peer that answers nothing must not keep new readings out. */
static void what_is_under_way_gives_way_oldest_first_when_nothing_else_is_left(void **state) {
    struct fixture *fixture = *state;
    struct under_way under_way = {1, 1000};
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture_open(fixture);
    store_set_under_way(fixture->store, is_under_way, &under_way);
    for (size_t i = 0; i < 150; i++)
        fixture_batch_of(fixture, 1000);
    const uint64_t oldest = oldest_unsent(fixture);
    assert_in_range(oldest, 50, 149);
    assert_int_equal(figures_of(fixture).unsent_batches, 150 - oldest + 1);
    assert_int_equal(figures_of(fixture).lost_readings, 1000 * (oldest - 1));
    struct fixture_harvest harvest;
    assert_all_accounted_for(fixture, &harvest);
    assert_int_equal(harvest.lost_because[BATCH_LOSS_THINNED], 0);
    free(harvest.seen);
}

static void room_kept_ahead_needs_no_work_from_sealing(void **state) {
    struct fixture *fixture = *state;
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture->thins = true;
    fixture_open(fixture);
    for (size_t i = 0; i < 150; i++) {
        fixture_append(fixture, 1000);
        fixture_commit(fixture);
        for (size_t beat = 0; beat < 8; beat++)
            assert_int_equal(store_keep_room(fixture->store, &fixture->cause), FB_OK);
        const uint64_t lost = figures_of(fixture).lost_readings;
        assert_int_equal(fixture_seal(fixture), 1);
        assert_int_equal(figures_of(fixture).lost_readings, lost);
    }
    assert_true(figures_of(fixture).lost_readings > 0);
    struct fixture_harvest harvest;
    assert_all_accounted_for(fixture, &harvest);
    free(harvest.seen);
}

static void a_restart_does_not_thin_again(void **state) {
    struct fixture *fixture = *state;
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture->thins = true;
    fixture_open(fixture);
    for (size_t i = 0; i < 75; i++)
        fixture_batch_of(fixture, 1000);
    fixture_close(fixture);
    fixture_open(fixture);
    for (size_t i = 0; i < 75; i++)
        fixture_batch_of(fixture, 1000);
    struct fixture_harvest harvest;
    assert_all_accounted_for(fixture, &harvest);
    assert_int_equal(harvest.batches, 151);
    free(harvest.seen);
}

static void a_loss_told_by_a_batch_that_is_replaced_or_lost_is_told_again(void **state) {
    struct fixture *fixture = *state;
    const struct batch_loss loss = {BATCH_LOSS_CORE_AWAY, 77, FIXTURE_TIME_MS, FIXTURE_TIME_MS, 0, 0};
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture->thins = true;
    fixture_open(fixture);
    store_note_loss(fixture->store, &loss);
    for (size_t i = 0; i < 200; i++)
        fixture_batch_of(fixture, 1000);
    struct fixture_harvest harvest = fixture_harvest(fixture, 202000);
    fixture_batch_of(fixture, 1);
    struct fixture_harvest rest = fixture_harvest(fixture, 202000);
    assert_int_equal(harvest.readings + harvest.lost + rest.lost, 200077);
    assert_int_equal(harvest.lost_because[BATCH_LOSS_CORE_AWAY] + rest.lost_because[BATCH_LOSS_CORE_AWAY], 77);
    assert_int_equal(figures_of(fixture).lost_readings, harvest.lost + rest.lost);
    free(harvest.seen);
    free(rest.seen);
}

static void history_gives_way_before_anything_unsent(void **state) {
    struct fixture *fixture = *state;
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture_open(fixture);
    for (size_t i = 0; i < 20; i++)
        fixture_batch_of(fixture, 1000); /* 1 to 20: stay unsent */
    for (size_t i = 0; i < 200; i++) {
        fixture_batch_of(fixture, 1000);
        const uint64_t number = store_last_number(fixture->store);
        assert_int_equal(store_mark_sent(fixture->store, &number, 1, FIXTURE_TIME_MS, NULL), FB_OK);
    }
    const struct store_figures figures = figures_of(fixture);
    assert_int_equal(figures.lost_readings, 0);
    assert_int_equal(figures.unsent_batches, 20);
    assert_in_range(figures.batches, 30, 100);
    struct fixture_harvest harvest = fixture_harvest(fixture, 20001);
    assert_int_equal(harvest.readings, 20000);
    free(harvest.seen);
}

static void a_batch_that_is_sent_late_becomes_history_that_can_go(void **state) {
    struct fixture *fixture = *state;
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture_open(fixture);
    for (size_t i = 0; i < 200; i++) {
        fixture_batch_of(fixture, 1000);
        if (i % 10 == 9)
            mark_all_sent(fixture);
    }
    assert_int_equal(figures_of(fixture).lost_readings, 0);
}

/* Of the file, once it is closed. */
static uint64_t used_pages(struct fixture *fixture) {
    sqlite3_stmt *statement;
    uint64_t used = 0;
    fixture_close(fixture);
    sqlite3 *db = fixture_open_database(fixture);
    const char *const sql = "SELECT p.page_count - f.freelist_count FROM pragma_page_count p, pragma_freelist_count f";
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    used = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return used;
}

/* Vector and HMAC-SHA256. A slot of the tail just fits beside them: if they took more, it would spill over into a
 * second page, and each commit would write twice as much. */
#define PAGE_RESERVE_BYTES 48

static void sqlcipher_takes_as_much_of_a_page_as_the_tail_leaves(void **state) {
    struct fixture *fixture = *state;
    int reserve = -1;
    fixture_open(fixture);
    fixture_close(fixture);
    sqlite3 *db = fixture_open_database(fixture);
    assert_int_equal(sqlite3_exec(db, "SELECT count(*) FROM tail", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserve), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(reserve, PAGE_RESERVE_BYTES);
}

static void a_smaller_quota_is_reached_step_by_step(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    for (size_t i = 0; i < 300; i++)
        fixture_batch_of(fixture, 1000);
    assert_int_equal(figures_of(fixture).batches, 300);
    fixture_close(fixture);
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture_open(fixture);
    const uint64_t bytes = figures_of(fixture).bytes;
    for (size_t i = 0; i < 40; i++) {
        fixture_batch_of(fixture, 1000);
        assert_int_equal(store_keep_room(fixture->store, &fixture->cause), FB_OK);
        assert_in_range(figures_of(fixture).bytes, 1, bytes + 256 * 1024); /* the log */
    }
    assert_in_range(figures_of(fixture).batches, 20, 339); /* thinned ones take little */
    assert_int_equal(figures_of(fixture).readings + figures_of(fixture).lost_readings, 340000);
    assert_in_range(used_pages(fixture), 1, STORE_QUOTA_MIN / 4096);
}

/* Large batches after small ones, and nobody keeps room ahead: what can still be thinned is not dropped. */
static void nothing_is_dropped_while_something_can_be_thinned(void **state) {
    struct fixture *fixture = *state;
    fixture->quota_bytes = UINT64_C(16) * 1024 * 1024;
    fixture->thins = true;
    fixture_open(fixture);
    while (figures_of(fixture).lost_readings == 0)
        fixture_batch_of(fixture, 1000);
    for (size_t i = 0; i < 20; i++)
        fixture_batch_of(fixture, 14000);
    assert_int_equal(figures_of(fixture).unsent_batches, store_last_number(fixture->store));
    assert_in_range(figures_of(fixture).bytes, 1, fixture->quota_bytes);
    struct fixture_harvest harvest;
    assert_all_accounted_for(fixture, &harvest);
    assert_int_equal(harvest.lost_because[BATCH_LOSS_QUOTA], 0);
    assert_true(harvest.lost_because[BATCH_LOSS_THINNED] > 0);
    free(harvest.seen);
}

static void catalogues_that_no_batch_names_any_more_go_too(void **state) {
    struct fixture *fixture = *state;
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture_open(fixture);
    for (unsigned i = 0; i < 200; i++) {
        snprintf(fixture->tags[0].unit, sizeof fixture->tags[0].unit, "%u", i);
        assert_int_equal(store_set_catalogue(fixture->store, &fixture->plant, FIXTURE_TIME_MS, NULL), FB_OK);
        fixture_batch_of(fixture, 1000);
    }
    const uint64_t batches = figures_of(fixture).batches;
    fixture_close(fixture);
    sqlite3 *db = fixture_open_database(fixture);
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM catalogues", -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int64(statement, 0), batches);
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

/* A tail that grows until the quota itself is full: sealing makes the room that committing wants. */
static void a_full_store_keeps_the_readings_in_memory_until_sealing_makes_room(void **state) {
    struct fixture *fixture = *state;
    size_t sealed;
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture_open(fixture);
    for (size_t i = 0; i < 60; i++)
        fixture_batch_of(fixture, 1000);
    mark_all_sent(fixture);
    enum fb_error error = FB_OK;
    while (error == FB_OK && fixture->sequence < 160000) {
        fixture_append(fixture, 1000);
        error = store_commit(fixture->store, (struct store_cursor){1, fixture->sequence}, &fixture->cause);
    }
    assert_int_equal(error, FB_FULL);
    assert_int_equal(store_committed_cursor(fixture->store).sequence, fixture->sequence - 1000);
    assert_int_equal(store_tail_readings(fixture->store), fixture->sequence - 60000);
    assert_int_equal(store_seal(fixture->store, FIXTURE_TIME_MS, CLOCK_SYNCHRONISED, &sealed, &fixture->cause), FB_OK);
    fixture_commit(fixture);
    assert_int_equal(store_tail_readings(fixture->store), 1000);
    fixture_seal(fixture);
    const struct store_figures figures = figures_of(fixture);
    assert_int_equal(figures.unsent_readings + figures.lost_readings, fixture->sequence - 60000);
}

/* SQLite's own files, but for writes to the log that find the disk full while this is set. */
static bool disk_is_full;
static sqlite3_vfs small_vfs;
static sqlite3_io_methods real_methods, small_methods;

static int write_or_full(sqlite3_file *file, const void *data, int length, sqlite3_int64 at) {
    return disk_is_full ? SQLITE_FULL : real_methods.xWrite(file, data, length, at);
}

static int open_small(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *ret_flags) {
    sqlite3_vfs *real = vfs->pAppData;
    const int code = real->xOpen(real, name, file, flags, ret_flags);
    if (code == SQLITE_OK && (flags & SQLITE_OPEN_WAL) != 0) {
        real_methods = small_methods = *file->pMethods;
        small_methods.xWrite = write_or_full;
        file->pMethods = &small_methods;
    }
    return code;
}

static void a_full_disk_costs_nothing_once_it_has_room_again(void **state) {
    struct fixture *fixture = *state;
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);
    small_vfs = *real;
    small_vfs.zName = "small";
    small_vfs.pAppData = real;
    small_vfs.xOpen = open_small;
    assert_int_equal(sqlite3_vfs_register(&small_vfs, 1), SQLITE_OK);
    fixture_open(fixture);
    const struct batch_loss loss = {BATCH_LOSS_CORE_AWAY, 5, FIXTURE_TIME_MS, FIXTURE_TIME_MS, 0, 0};
    size_t sealed;
    fixture_batch_of(fixture, 1000);
    fixture_append(fixture, 500);
    fixture_commit(fixture);
    disk_is_full = true;
    fixture_append(fixture, 500);
    store_note_loss(fixture->store, &loss);
    for (size_t i = 0; i < 3; i++) {
        const struct store_cursor cursor = {1, fixture->sequence};
        assert_int_equal(store_commit(fixture->store, cursor, &fixture->cause), FB_FULL);
        assert_int_equal(store_seal(fixture->store, FIXTURE_TIME_MS, CLOCK_SYNCHRONISED, &sealed, NULL), FB_FULL);
        assert_int_equal(store_committed_cursor(fixture->store).sequence, 1500);
        assert_int_equal(store_last_number(fixture->store), 1);
    }
    disk_is_full = false;
    fixture_commit(fixture);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture_seal(fixture), 1);
    struct fixture_harvest harvest = fixture_harvest(fixture, 2001);
    for (size_t n = 1; n <= 2000; n++)
        assert_int_equal(harvest.seen[n], 1);
    assert_int_equal(harvest.lost, 5);
    free(harvest.seen);
    fixture_close(fixture);
    sqlite3_vfs_unregister(&small_vfs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sqlcipher_takes_as_much_of_a_page_as_the_tail_leaves, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(unsent_batches_are_thinned_oldest_first_before_any_is_dropped, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(thinned_batches_keep_the_least_and_the_greatest, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(thinned_batches_are_dropped_oldest_first_when_nothing_can_be_thinned_any_more,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_is_under_way_is_neither_thinned_nor_dropped_while_others_can_be,
                                        account_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_came_back_gives_way_as_others_do, account_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_is_under_way_gives_way_oldest_first_when_nothing_else_is_left,
                                        account_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(room_kept_ahead_needs_no_work_from_sealing, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_restart_does_not_thin_again, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_loss_told_by_a_batch_that_is_replaced_or_lost_is_told_again, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(history_gives_way_before_anything_unsent, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_batch_that_is_sent_late_becomes_history_that_can_go, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_smaller_quota_is_reached_step_by_step, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(nothing_is_dropped_while_something_can_be_thinned, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(catalogues_that_no_batch_names_any_more_go_too, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_full_store_keeps_the_readings_in_memory_until_sealing_makes_room,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_costs_nothing_once_it_has_room_again, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
