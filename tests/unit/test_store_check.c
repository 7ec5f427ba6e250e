// links: store/*.c gateway/common/*.c
/* test_store_check.c - the integrity check finds what is damaged, and says so before it is needed. */
#include <glob.h>

#include "gateway/common/file.h"
#include "store/store_check.h"
#include "store/store_parked.h"
#include "store_account.h"
#include "store_trail.h"

#define PAGE_BYTES 4096
#define FILE_BYTES_MAX (4 * 1024 * 1024)
#define BATCHES 12
#define READINGS 1500

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
        fixture_batch_of(fixture, READINGS);
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

struct original {
    char *bytes;
    size_t length;
};

/* In its place, with a bit of it turned over, and nothing beside it. */
static void put_back(const struct fixture *fixture, const struct original *original, size_t flipped) {
    glob_t others;
    char pattern[160];
    snprintf(pattern, sizeof pattern, "%s*", fixture->path);
    if (glob(pattern, 0, NULL, &others) == 0) {
        for (size_t i = 0; i < others.gl_pathc; i++)
            unlink(others.gl_pathv[i]);
        globfree(&others);
    }
    original->bytes[flipped] ^= 0x10;
    assert_int_equal(file_write(fixture->path, original->bytes, original->length, 0600, NULL), FB_OK);
    original->bytes[flipped] ^= 0x10;
}

/* What else a store has: records, a tail, a loss, a batch that is parked, catalogues. */
static void make_the_rest(struct fixture *fixture) {
    const uint64_t first = 1;
    const struct store_refusal refusal = {.reason = "too large", .rejection = true, .now_ms = FIXTURE_TIME_MS};
    const struct batch_loss loss = {BATCH_LOSS_STORE_FULL, 1, FIXTURE_TIME_MS, FIXTURE_TIME_MS, 0, 0};
    struct store_refused refused = {0};
    for (int i = 0; i < 200; i++) {
        fixture_append(fixture, 3);
        assert_true(trail_add(fixture));
        fixture_commit(fixture);
    }
    store_note_loss(fixture->store, &loss);
    fixture_append(fixture, 1500);
    fixture_commit(fixture);
    while (!refused.parked)
        assert_int_equal(store_mark_refused(fixture->store, first, &refusal, &refused, &fixture->cause), FB_OK);
}

static bool is_found(struct fixture *fixture, size_t *batches) {
    struct store_check_figures figures;
    struct store_figures store;
    if (fixture->opening.set_aside[0] != '\0')
        return true;
    const enum fb_error error = check_all(fixture, &figures);
    if (error == FB_CORRUPT)
        return true;
    assert_int_equal(error, FB_OK);
    if (figures.unreadable == 0)
        return false;
    (*batches)++;
    store_figures(fixture->store, &store);
    assert_int_equal(store.lost_readings, 1 + figures.unreadable * READINGS);
    assert_int_equal(check_all(fixture, &figures), FB_OK);
    assert_int_equal(figures.unreadable, 0); /* told once */
    return true;
}

/* A page of a batch costs that batch, which is told as lost; one of anything else ends the store's use. */
static void damage_is_found_wherever_it_is(void **state) {
    struct fixture *fixture = *state;
    struct original original;
    size_t batches = 0;
    make_batches(fixture);
    make_the_rest(fixture);
    fixture_close(fixture);
    assert_int_equal(file_read(fixture->path, FILE_BYTES_MAX, &original.bytes, &original.length, NULL), FB_OK);
    const size_t pages = original.length / PAGE_BYTES;
    for (size_t page = 0; page < pages; page++) {
        put_back(fixture, &original, page * PAGE_BYTES + 1000);
        fixture_open(fixture);
        if (!is_found(fixture, &batches))
            fail_msg("page %zu of %zu: its damage was not found", page + 1, pages);
        fixture_close(fixture);
    }
    free(original.bytes);
    assert_in_range(batches, 2 * BATCHES, pages);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_good_store_is_found_good, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(damage_is_found_wherever_it_is, account_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
