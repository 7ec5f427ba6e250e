// links: store/*.c gateway/common/*.c tests/unit/fault_vfs.c
/* test_store_migrate.c - a store written by any released version opens, with all that is in it; what cuts the migration
 * off leaves the schema that was there. */
#include <glob.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include "fault_vfs.h"
#include "gateway/common/file.h"
#include "store/store_records.h"
#include "store_fixture.h"

#define DUMP_BYTES_MAX (1024 * 1024)
#define OLDEST "tests/data/store/0.1.0.sql"
#define ENOUGH 1000

/* The dumps hold no key: the store is made here, under the test's. */
static void make_from_dump(struct fixture *fixture, const char *dump) {
    FB_CLEANUP(file_free) char *sql = NULL;
    char *why = NULL;
    size_t length;
    sqlite3 *db = fixture_open_database(fixture);
    assert_int_equal(file_read(dump, DUMP_BYTES_MAX, &sql, &length, NULL), FB_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", dump, why);
    sqlite3_close(db);
}

static void assert_opens(struct fixture *fixture) {
    struct store_figures figures;
    fixture_open(fixture);
    assert_string_equal(fixture->opening.set_aside, "");
    store_figures(fixture->store, &figures);
    assert_int_equal(figures.batches, 6);
    assert_int_equal(figures.unsent_batches, 4);
    assert_int_equal(store_tail_readings(fixture->store), 15);
    assert_int_equal(store_committed_cursor(fixture->store).sequence, 135);
    fixture->sequence = 135;
    uint64_t number = 0; /* of a kind that the oldest did not have */
    assert_int_equal(store_record_add(fixture->store, STORE_RECORD_AUDIT, FIXTURE_TIME_MS, "{}", 2, &number, NULL),
                     FB_OK);
    assert_int_equal(number, 1);
    fixture_batch_of(fixture, 5);
    struct fixture_harvest harvest = fixture_harvest(fixture, 200);
    for (size_t n = 41; n <= 140; n++)
        assert_int_equal(harvest.seen[n], 1);
    assert_int_equal(harvest.lost, 7);
    free(harvest.seen);
}

static void stores_of_released_versions_open_with_all_in_them(void **state) {
    struct fixture *fixture = *state;
    glob_t dumps;
    assert_int_equal(glob("tests/data/store/*.sql", 0, NULL, &dumps), 0);
    for (size_t i = 0; i < dumps.gl_pathc; i++) {
        make_from_dump(fixture, dumps.gl_pathv[i]);
        assert_opens(fixture);
        fixture_close(fixture);
        fixture_open(fixture); /* nothing is left to be migrated */
        assert_string_equal(fixture->opening.set_aside, "");
        struct store_records_figures figures;
        store_records_figures(fixture->store, STORE_RECORD_AUDIT, &figures);
        assert_int_equal(figures.last, 1);
        fixture_close(fixture);
        unlink(fixture->path);
    }
    globfree(&dumps);
}

/* As the file and its log tell it to who reads them with the key. */
static int version_on_disk(const struct fixture *fixture) {
    sqlite3 *db = fixture_open_database(fixture);
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    const int version = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return version;
}

static int newest_version(struct fixture *fixture) {
    fixture_open(fixture);
    fixture_close(fixture);
    const int version = version_on_disk(fixture);
    unlink(fixture->path);
    return version;
}

static void start_anew(struct fixture *fixture) {
    char wal[160], failed[160];
    snprintf(wal, sizeof wal, "%s-wal", fixture->path);
    snprintf(failed, sizeof failed, "%s.failed", fixture->path);
    unlink(fixture->path);
    unlink(wal);
    unlink(failed);
    make_from_dump(fixture, OLDEST);
}

/* The oldest schema or the newest, none in between; and what was cut off is made good by the next opening. */
static void assert_whole(struct fixture *fixture, int newest, unsigned *old_seen) {
    const int version = version_on_disk(fixture);
    if (version != 1 && version != newest)
        fail_msg("left at schema %d", version);
    *old_seen += version == 1;
    fixture->sequence = 0;
    assert_opens(fixture);
    fixture_close(fixture);
}

static bool opens_with_fault(struct fixture *fixture, enum fault_kind kind, uint64_t n) {
    start_anew(fixture);
    fault_vfs_fail(kind, n, kind == FAULT_SYNC ? SQLITE_IOERR_FSYNC : SQLITE_FULL, true);
    const enum fb_error error = fixture_try_open(fixture);
    if (error == FB_OK) /* what is written at the close may fail, too */
        fixture_close(fixture);
    fixture->store = NULL;
    return !fault_vfs_heal();
}

static void a_migration_that_fails_leaves_the_schema_that_was_there(void **state) {
    struct fixture *fixture = *state;
    static const enum fault_kind kinds[] = {FAULT_WRITE, FAULT_SYNC};
    const int newest = newest_version(fixture);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        unsigned old_seen = 0;
        uint64_t n = 1;
        for (; n < ENOUGH && !opens_with_fault(fixture, kinds[i], n); n++)
            assert_whole(fixture, newest, &old_seen);
        assert_in_range(n, 2, ENOUGH - 1);
        assert_in_range(old_seen, 1, n); /* some did cut it off */
    }
}

static uint64_t writes_left;

static void on_write(const char *path, const void *bytes, size_t length, int64_t offset, void *user) {
    (void)path, (void)bytes, (void)length, (void)offset, (void)user;
    if (--writes_left == 0)
        raise(SIGKILL);
}

static void on_truncate(const char *path, int64_t size, void *user) {
    (void)path, (void)size, (void)user;
}

static void on_sync(const char *path, void *user) {
    (void)path, (void)user;
}

/* Another process migrates and is killed behind its n-th write. */
static bool is_killed(struct fixture *fixture, uint64_t n) {
    static const struct fault_observer observer = {.write = on_write, .truncate = on_truncate, .sync = on_sync};
    int status = 0;
    start_anew(fixture);
    const pid_t child = fork();
    if (child == 0) {
        writes_left = n;
        fault_vfs_observe(&observer);
        _exit(fixture_try_open(fixture) == FB_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void a_migration_that_is_killed_leaves_the_schema_that_was_there(void **state) {
    struct fixture *fixture = *state;
    const int newest = newest_version(fixture);
    unsigned old_seen = 0;
    uint64_t n = 1;
    for (; n < ENOUGH && is_killed(fixture, n); n++)
        assert_whole(fixture, newest, &old_seen);
    assert_in_range(n, 10, ENOUGH - 1);
    assert_in_range(old_seen, 5, n);
    assert_int_equal(version_on_disk(fixture), newest);
}

static int install(void **state) {
    (void)state;
    fault_vfs_install();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stores_of_released_versions_open_with_all_in_them, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_migration_that_fails_leaves_the_schema_that_was_there, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_migration_that_is_killed_leaves_the_schema_that_was_there, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, install, NULL);
}
