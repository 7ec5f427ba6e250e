// links: store/*.c gateway/common/*.c
/* test_store_damage.c - what cannot be used is set aside and never written to; what breaks later is counted as lost. */
#include <fcntl.h>
#include <glob.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "gateway/common/file.h"
#include "store/store_check.h"
#include "store_fixture.h"

#define PAGE_BYTES 4096

static size_t file_size(const char *path) {
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return (size_t)status.st_size;
}

static void write_file(const char *path, const void *bytes, size_t length) {
    assert_int_equal(file_write(path, bytes, length, 0600, NULL), FB_OK);
}

/* A store with ten sent and ten unsent batches, closed. */
static void make_store(struct fixture *fixture) {
    fixture_open(fixture);
    for (size_t i = 0; i < 10; i++)
        fixture_batch_of(fixture, 4000);
    free(fixture_harvest(fixture, 40001).seen);
    for (size_t i = 0; i < 10; i++)
        fixture_batch_of(fixture, 4000);
    fixture_close(fixture);
}

/* The next open puts the file aside under its new name with the given bytes, and begins a new store. */
static void assert_set_aside(struct fixture *fixture, size_t bytes, const char *reason) {
    struct batch_loss loss;
    fixture_open(fixture);
    /* A file that gives nothing is told as a loss that nobody knows the size of, to people and to the receiver. */
    if (!fixture->opening.inherited) {
        assert_true(store_take_noted_loss(fixture->store, BATCH_LOSS_DAMAGED, &loss));
        assert_int_equal(loss.readings, 0);
        assert_int_equal(loss.to_ms, FIXTURE_TIME_MS);
    }
    assert_false(fixture->opening.created);
    assert_non_null(strstr(fixture->opening.reason, reason));
    assert_non_null(strstr(fixture->opening.set_aside, ".unreadable-20261121T"));
    assert_int_equal(file_size(fixture->opening.set_aside), bytes);
    assert_int_equal(store_last_number(fixture->store), 0);
    const bool inherited = fixture->opening.inherited;
    fixture_batch_of(fixture, 10);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_string_equal(fixture->opening.set_aside, "");
    assert_int_equal(store_last_number(fixture->store), 1);
    struct fixture_harvest harvest = fixture_harvest(fixture, 100000);
    free(harvest.seen);
    if (inherited)
        return;
    assert_int_equal(harvest.last.loss_count, 1);
    assert_int_equal(harvest.last.losses[0].reason, BATCH_LOSS_DAMAGED);
    assert_int_equal(harvest.last.losses[0].readings, 0);
    assert_int_equal(harvest.last.losses[0].from_ms, READING_TIME_MIN_MS);
    assert_int_equal(harvest.last.losses[0].to_ms, FIXTURE_TIME_MS);
}

static void a_store_of_another_key_is_set_aside(void **state) {
    struct fixture *fixture = *state;
    make_store(fixture);
    fixture->key[7] ^= 1;
    assert_set_aside(fixture, file_size(fixture->path), "wrong key");
}

static void the_file_set_aside_opens_with_its_own_key(void **state) {
    struct fixture *fixture = *state;
    make_store(fixture);
    fixture->key[7] ^= 1;
    fixture_open(fixture);
    fixture_close(fixture);
    fixture->key[7] ^= 1;
    snprintf(fixture->path, sizeof fixture->path, "%.*s", (int)sizeof fixture->path - 1, fixture->opening.set_aside);
    fixture_open(fixture);
    assert_int_equal(store_last_number(fixture->store), 20);
}

static void garbage_is_set_aside(void **state) {
    struct fixture *fixture = *state;
    uint8_t garbage[5 * PAGE_BYTES];
    for (size_t i = 0; i < sizeof garbage; i++)
        garbage[i] = (uint8_t)(i * i >> 3);
    write_file(fixture->path, garbage, sizeof garbage);
    assert_set_aside(fixture, sizeof garbage, "not a database");
}

static void an_empty_file_is_set_aside(void **state) {
    struct fixture *fixture = *state;
    write_file(fixture->path, "", 0);
    assert_set_aside(fixture, 0, "empty file");
}

static void a_short_text_is_set_aside(void **state) {
    struct fixture *fixture = *state;
    write_file(fixture->path, "not a database at all\n", 22);
    assert_set_aside(fixture, 22, "not a database");
}

static void a_plain_sqlite_file_is_set_aside(void **state) {
    struct fixture *fixture = *state;
    sqlite3 *db;
    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE t(x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_set_aside(fixture, file_size(fixture->path), "not a database");
}

static void a_foreign_database_of_the_same_key_is_set_aside(void **state) {
    struct fixture *fixture = *state;
    sqlite3 *db = fixture_open_database(fixture);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE t(x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_set_aside(fixture, file_size(fixture->path), "not one of Forebay");
}

static void a_store_without_its_state_is_set_aside(void **state) {
    struct fixture *fixture = *state;
    make_store(fixture);
    sqlite3 *db = fixture_open_database(fixture);
    assert_int_equal(sqlite3_exec(db, "DELETE FROM state", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_set_aside(fixture, file_size(fixture->path), "state is missing");
}

static void a_store_of_a_newer_forebay_is_left_as_it_is(void **state) {
    struct fixture *fixture = *state;
    make_store(fixture);
    sqlite3 *db = fixture_open_database(fixture);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    const size_t bytes = file_size(fixture->path);
    assert_int_equal(fixture_try_open(fixture), FB_VERSION);
    assert_non_null(strstr(fixture->cause.text, "newer Forebay"));
    assert_int_equal(file_size(fixture->path), bytes);
}

static void a_store_that_another_process_holds_is_left_alone(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    struct store *first = fixture->store;
    assert_int_equal(fixture_try_open(fixture), FB_AGAIN);
    assert_non_null(strstr(fixture->cause.text, "another process"));
    fixture->store = first;
}

static void a_truncated_store_is_set_aside(void **state) {
    struct fixture *fixture = *state;
    make_store(fixture);
    const size_t bytes = file_size(fixture->path) / 2 + 100;
    assert_int_equal(truncate(fixture->path, (off_t)bytes), 0);
    assert_set_aside(fixture, bytes, "cut off");
}

/* SQLite reads nothing of a file that is a page shorter than it says; most of it is there. */
static void a_store_cut_off_between_pages_is_inherited(void **state) {
    struct fixture *fixture = *state;
    make_store(fixture);
    const size_t bytes = file_size(fixture->path) - PAGE_BYTES;
    assert_int_equal(truncate(fixture->path, (off_t)bytes), 0);
    fixture_open(fixture);
    assert_non_null(strstr(fixture->opening.reason, "cut off: of"));
    assert_non_null(strstr(fixture->opening.reason, " 1 are missing"));
    assert_true(fixture->opening.inherited);
    assert_int_equal(store_committed_cursor(fixture->store).sequence, 80000);
}

static void a_log_without_its_store_is_not_taken_for_the_new_ones(void **state) {
    struct fixture *fixture = *state;
    char wal[160];
    glob_t found;
    snprintf(wal, sizeof wal, "%s-wal", fixture->path);
    write_file(wal, "left over", 9);
    fixture_open(fixture);
    assert_true(fixture->opening.created);
    snprintf(wal, sizeof wal, "%s.unreadable-*-wal", fixture->path);
    assert_int_equal(glob(wal, 0, NULL, &found), 0);
    globfree(&found);
}

static void flip(const char *path, size_t at) {
    const int fd = open(path, O_RDWR);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

/* Where new readings cannot be written, the next open puts the file aside. */
static bool takes_new_readings(struct fixture *fixture) {
    const struct store_cursor cursor = {.epoch = 1, .sequence = ++fixture->sequence};
    size_t sealed;
    fixture_append(fixture, 1000);
    enum fb_error error = store_commit(fixture->store, cursor, &fixture->cause);
    if (error == FB_OK)
        error = store_seal(fixture->store, FIXTURE_TIME_MS, CLOCK_SYNCHRONISED, &sealed, &fixture->cause);
    if (error == FB_OK)
        return true;
    assert_int_equal(error, FB_CORRUPT);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_string_not_equal(fixture->opening.set_aside, "");
    assert_non_null(strstr(fixture->opening.reason, "damaged"));
    return false;
}

/* Whatever page is hit: the store opens, or is set aside; all readings are there or told as lost; new ones are taken.
 */
static void assert_survives_a_flip(struct fixture *fixture, size_t page, size_t *ret_set_aside, size_t *ret_lost) {
    struct store_figures figures;
    fixture_open(fixture);
    if (fixture->opening.set_aside[0] != '\0') {
        (*ret_set_aside)++;
        return;
    }
    fixture->sequence = 80000;
    struct fixture_harvest harvest = fixture_harvest(fixture, 100000);
    free(harvest.seen);
    if (!takes_new_readings(fixture)) {
        (*ret_set_aside)++;
        return;
    }
    struct fixture_harvest after = fixture_harvest(fixture, 100000);
    free(after.seen);
    store_figures(fixture->store, &figures);
    if (harvest.readings + figures.lost_readings != 40000 || after.lost != figures.lost_readings)
        fail_msg("page %zu: %lu there, %lu lost, %lu told", page, harvest.readings, figures.lost_readings, after.lost);
    assert_int_equal(figures.unsent_batches, 0);
    assert_int_equal(figures.unsent_readings, 0);
    assert_int_equal(after.readings, 1000);
    *ret_lost += figures.lost_readings > 0;
}

static void a_flipped_bit_anywhere_costs_a_batch_or_sets_the_store_aside(void **state) {
    struct fixture *fixture = *state;
    size_t set_aside = 0, lost = 0;
    char command[400];
    make_store(fixture);
    const size_t pages = file_size(fixture->path) / PAGE_BYTES;
    snprintf(command, sizeof command, "cp '%s' '%s/copy'", fixture->path, fixture->folder);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "cp '%s/copy' '%s'", fixture->folder, fixture->path);
    for (size_t page = 0; page < pages; page++) {
        assert_int_equal(system(command), 0);
        flip(fixture->path, page * PAGE_BYTES + 1234);
        assert_survives_a_flip(fixture, page, &set_aside, &lost);
        fixture_close(fixture);
    }
    assert_in_range(set_aside, 1, pages / 2);
    assert_in_range(lost, 5, pages);
}

/* False when the damage hits more than the bytes of batches. */
static bool rows_can_be_walked(struct fixture *fixture) {
    sqlite3 *db = fixture_open_database(fixture);
    const int code = sqlite3_exec(db,
                                  "SELECT sum(first_ms) FROM batches NOT INDEXED;"
                                  "SELECT sum(number) FROM batches INDEXED BY batches_times WHERE last_ms > 0;"
                                  "SELECT sum(losses) FROM queue; SELECT sum(slot) FROM tail",
                                  NULL, NULL, NULL);
    sqlite3_close(db);
    return code == SQLITE_OK;
}

/* History and unsent batches, some of them unreadable, all have to give way: the store goes on, and the count is right.
 */
static void damaged_batches_do_not_stop_the_quota(void **state) {
    struct fixture *fixture = *state;
    struct store_figures figures;
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture->thins = true;
    fixture_open(fixture);
    for (uint64_t number = 1; number <= 50; number++) {
        fixture_batch_of(fixture, 1000);
        if (number <= 25)
            assert_int_equal(store_mark_sent(fixture->store, &number, 1, FIXTURE_TIME_MS, NULL), FB_OK);
    }
    fixture_close(fixture);
    const size_t pages = file_size(fixture->path) / PAGE_BYTES;
    size_t damaged = 0;
    for (size_t page = 40; page < pages - 20; page += 23) {
        flip(fixture->path, page * PAGE_BYTES + 99);
        if (rows_can_be_walked(fixture))
            damaged++;
        else
            flip(fixture->path, page * PAGE_BYTES + 99);
    }
    assert_in_range(damaged, 2, pages);
    fixture_open(fixture);
    assert_string_equal(fixture->opening.set_aside, "");
    for (size_t i = 0; i < 100; i++)
        fixture_batch_of(fixture, 1000);
    store_figures(fixture->store, &figures);
    assert_int_equal(figures.unsent_readings + figures.lost_readings, 125000);
    struct fixture_harvest harvest = fixture_harvest(fixture, 150001);
    fixture_batch_of(fixture, 1);
    struct fixture_harvest rest = fixture_harvest(fixture, 151002);
    assert_int_equal(harvest.readings + harvest.lost + rest.lost, 125000);
    free(harvest.seen);
    free(rest.seen);
}

static void note_failure(const struct fixture *fixture) {
    char mark[160];
    snprintf(mark, sizeof mark, "%s.failed", fixture->path);
    FILE *file = fopen(mark, "a");
    fputs("seal: database disk image is malformed\n", file);
    fclose(file);
}

/* It may have been want of memory: the pages tell. */
static void a_run_that_ended_by_damage_which_the_file_does_not_show_is_not_believed_at_once(void **state) {
    struct fixture *fixture = *state;
    struct store_check *check;
    bool done = false;
    make_store(fixture);
    note_failure(fixture);
    fixture_open(fixture);
    assert_string_equal(fixture->opening.set_aside, "");
    assert_int_equal(store_check_begin(fixture->store, &check, &fixture->cause), FB_OK);
    while (!done)
        assert_int_equal(store_check_step(check, 10000, FIXTURE_TIME_MS, &done, &fixture->cause), FB_OK);
    store_check_end(check);
    fixture_close(fixture);
    note_failure(fixture); /* a check of everything found nothing: this is the first again */
    fixture_open(fixture);
    assert_string_equal(fixture->opening.set_aside, "");
    fixture_close(fixture);
    note_failure(fixture);
    fixture_open(fixture);
    assert_string_not_equal(fixture->opening.set_aside, "");
    assert_non_null(strstr(fixture->opening.reason, "malformed"));
    assert_true(fixture->opening.inherited);
}

static void damage_in_the_file_is_believed_the_first_time(void **state) {
    struct fixture *fixture = *state;
    make_store(fixture);
    flip(fixture->path, file_size(fixture->path) / PAGE_BYTES / 2 * PAGE_BYTES + 1234); /* of a batch */
    note_failure(fixture);
    fixture_open(fixture);
    assert_string_not_equal(fixture->opening.set_aside, "");
    assert_non_null(strstr(fixture->opening.reason, "damaged: 1 page"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_store_of_another_key_is_set_aside, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_file_set_aside_opens_with_its_own_key, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(garbage_is_set_aside, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(an_empty_file_is_set_aside, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_short_text_is_set_aside, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_plain_sqlite_file_is_set_aside, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_foreign_database_of_the_same_key_is_set_aside, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_store_without_its_state_is_set_aside, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_store_of_a_newer_forebay_is_left_as_it_is, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_store_that_another_process_holds_is_left_alone, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_truncated_store_is_set_aside, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_store_cut_off_between_pages_is_inherited, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_log_without_its_store_is_not_taken_for_the_new_ones, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_flipped_bit_anywhere_costs_a_batch_or_sets_the_store_aside, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_run_that_ended_by_damage_which_the_file_does_not_show_is_not_believed_at_once,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(damage_in_the_file_is_believed_the_first_time, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(damaged_batches_do_not_stop_the_quota, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
