// links: store/*.c gateway/common/*.c
/* test_store_check.c - the integrity check finds what is damaged, and says so before it is needed. */
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "store/store_check.h"
#include "store_fixture.h"

#define PAGE_BYTES 4096
#define BATCHES 30

/* Its progress never falls, and a check that came to its end is at 1. */
static enum fb_error check_all(struct fixture *fixture, struct store_check_figures *ret_figures) {
    struct store_check *check;
    bool done = false;
    double reached = 0;
    assert_int_equal(store_check_begin(fixture->store, &check, &fixture->cause), FB_OK);
    enum fb_error error = FB_OK;
    while (error == FB_OK && !done) {
        error = store_check_step(check, 500, FIXTURE_TIME_MS + 5, &done, &fixture->cause);
        store_check_figures(check, ret_figures);
        assert_true(ret_figures->done >= reached && ret_figures->done <= 1);
        reached = ret_figures->done;
    }
    assert_true(error != FB_OK || reached == 1);
    store_check_end(check);
    return error;
}

static void make_batches(struct fixture *fixture) {
    fixture_open(fixture);
    for (size_t i = 0; i < BATCHES; i++)
        fixture_batch_of(fixture, 1500);
}

static void a_good_store_is_found_good(void **state) {
    struct fixture *fixture = *state;
    struct store_check_figures figures, last;
    int64_t finished_ms = 0;
    make_batches(fixture);
    assert_int_equal(store_check_last(fixture->store, &last, &finished_ms, NULL), FB_NOT_FOUND);
    assert_int_equal(check_all(fixture, &figures), FB_OK);
    assert_int_equal(figures.batches, BATCHES);
    assert_int_equal(figures.unreadable, 0);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(store_check_last(fixture->store, &last, &finished_ms, NULL), FB_OK);
    assert_int_equal(last.batches, BATCHES);
    assert_int_equal(finished_ms, FIXTURE_TIME_MS + 5);
}

static void flip(const char *path, size_t at) {
    const int fd = open(path, O_RDWR);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

/* A page of a batch costs that batch, which is told as lost; one of anything else ends the store's use. */
static void damage_is_found_wherever_it_is(void **state) {
    struct fixture *fixture = *state;
    char command[600];
    struct stat status;
    size_t batches = 0;
    make_batches(fixture);
    fixture_close(fixture);
    assert_int_equal(stat(fixture->path, &status), 0);
    snprintf(command, sizeof command, "cp '%s' '%s/copy'", fixture->path, fixture->folder);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "rm -f '%s'*; cp '%s/copy' '%s'", fixture->path, fixture->folder, fixture->path);
    for (size_t page = 3; page < (size_t)status.st_size / PAGE_BYTES; page += 3) {
        struct store_check_figures figures;
        struct store_figures store;
        assert_int_equal(system(command), 0);
        flip(fixture->path, page * PAGE_BYTES + 1000);
        fixture_open(fixture);
        if (fixture->opening.set_aside[0] == '\0') {
            const enum fb_error error = check_all(fixture, &figures);
            store_figures(fixture->store, &store);
            assert_true(error == FB_OK || error == FB_CORRUPT);
            if (error == FB_OK && figures.unreadable > 0) {
                batches++;
                assert_int_equal(store.lost_readings, figures.unreadable * 1500);
                assert_int_equal(check_all(fixture, &figures), FB_OK);
                assert_int_equal(figures.unreadable, 0); /* told once */
            }
        }
        fixture_close(fixture);
    }
    assert_in_range(batches, 20, (size_t)status.st_size / PAGE_BYTES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_good_store_is_found_good, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(damage_is_found_wherever_it_is, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
