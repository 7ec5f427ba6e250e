// links: store/batch.c store/batch_cbor.c store/batch_columns.c store/batch_columns_decode.c store/batch_frame.c store/batch_series.c store/batch_value.c store/catalogue.c store/store.c store/store_catalogue.c store/store_database.c store/store_load.c store/store_losses.c store/store_queue.c store/store_quota.c store/store_schema.c store/store_seal.c store/store_slots.c store/store_statements.c store/store_tail.c store/store_transaction.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c gateway/common/plant.c gateway/common/json.c gateway/common/file.c gateway/common/plant_lines.c
/* test_store_quota.c - the file stays within its quota, history goes first, and what had to go is told. */
#include <sqlite3.h>

#include "store_fixture.h"

static struct store_figures figures_of(const struct fixture *fixture) {
    struct store_figures figures;
    store_figures(fixture->store, &figures);
    return figures;
}

static void mark_all_sent(struct fixture *fixture) {
    for (uint64_t number = 1; number <= store_last_number(fixture->store); number++)
        assert_int_equal(store_mark_sent(fixture->store, &number, 1, FIXTURE_TIME_MS, NULL), FB_OK);
}

static void unsent_batches_give_way_oldest_first_and_each_loss_is_told(void **state) {
    struct fixture *fixture = *state;
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture_open(fixture);
    for (size_t i = 0; i < 200; i++)
        fixture_batch_of(fixture, 1000);
    const struct store_figures before = figures_of(fixture);
    assert_in_range(before.batches, 20, 100);
    assert_int_equal(before.readings + before.lost_readings, 200000);
    assert_in_range(before.bytes, 1, STORE_QUOTA_MIN);
    fixture_batch_of(fixture, 1000); /* tells what the last ones cost */
    struct fixture_harvest harvest = fixture_harvest(fixture, 202000);
    const struct store_figures after = figures_of(fixture);
    size_t gone = 1;
    while (harvest.seen[gone] == 0)
        gone++;
    for (size_t n = gone; n <= 201000; n++)
        assert_int_equal(harvest.seen[n], 1);
    fixture_batch_of(fixture, 1);
    struct fixture_harvest rest = fixture_harvest(fixture, 202000);
    assert_int_equal(harvest.readings + harvest.lost + rest.lost, 201000);
    assert_int_equal(after.lost_readings, harvest.lost + rest.lost);
    free(harvest.seen);
    free(rest.seen);
}

static void a_loss_told_by_a_batch_that_is_lost_itself_is_told_again(void **state) {
    struct fixture *fixture = *state;
    const struct batch_loss loss = {BATCH_LOSS_CORE_AWAY, 77, FIXTURE_TIME_MS, FIXTURE_TIME_MS, 0, 0};
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture_open(fixture);
    store_note_loss(fixture->store, &loss);
    for (size_t i = 0; i < 200; i++)
        fixture_batch_of(fixture, 1000);
    struct fixture_harvest harvest = fixture_harvest(fixture, 202000);
    fixture_batch_of(fixture, 1);
    struct fixture_harvest rest = fixture_harvest(fixture, 202000);
    assert_int_equal(harvest.readings + harvest.lost + rest.lost, 200077);
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

static void a_smaller_quota_is_reached_step_by_step(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    for (size_t i = 0; i < 300; i++)
        fixture_batch_of(fixture, 1000);
    assert_int_equal(figures_of(fixture).batches, 300);
    fixture_close(fixture);
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture_open(fixture);
    for (size_t i = 0; i < 6; i++)
        fixture_batch_of(fixture, 1000);
    assert_in_range(figures_of(fixture).batches, 20, 100);
    assert_int_equal(figures_of(fixture).readings + figures_of(fixture).lost_readings, 306000);
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
    sqlite3 *db;
    sqlite3_stmt *statement;
    char key[] = "x'4242424242424242424242424242424242424242424242424242424242424242'";
    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_key(db, key, (int)sizeof key - 1), SQLITE_OK);
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
        cmocka_unit_test_setup_teardown(unsent_batches_give_way_oldest_first_and_each_loss_is_told, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_loss_told_by_a_batch_that_is_lost_itself_is_told_again, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(history_gives_way_before_anything_unsent, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_batch_that_is_sent_late_becomes_history_that_can_go, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_smaller_quota_is_reached_step_by_step, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(catalogues_that_no_batch_names_any_more_go_too, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_full_store_keeps_the_readings_in_memory_until_sealing_makes_room,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_costs_nothing_once_it_has_room_again, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
