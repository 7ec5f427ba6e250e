// links: store/*.c gateway/common/*.c
/* test_store_migrate.c - a store written by any released version opens, with all that is in it. */
#include <glob.h>
#include <sqlite3.h>

#include "gateway/common/file.h"
#include "store/store_records.h"
#include "store_fixture.h"

#define DUMP_BYTES_MAX (1024 * 1024)

/* The dumps hold no key: the store is made here, under the test's. */
static void make_from_dump(struct fixture *fixture, const char *dump) {
    char key[] = "x'4242424242424242424242424242424242424242424242424242424242424242'";
    FB_CLEANUP(file_free) char *sql = NULL;
    char *why = NULL;
    size_t length;
    sqlite3 *db;
    assert_int_equal(file_read(dump, DUMP_BYTES_MAX, &sql, &length, NULL), FB_OK);
    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_key(db, key, (int)sizeof key - 1), SQLITE_OK);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stores_of_released_versions_open_with_all_in_them, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
