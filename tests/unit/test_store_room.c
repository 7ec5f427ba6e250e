// links: store/*.c gateway/common/*.c
/* test_store_room.c - on a disk that is hardly larger than the store's own log, where nothing can be thinned: what
 * gives way, and what is marked as sent, always finds the room that it needs itself. */
#define FIXTURE_TAGS 2500 /* a batch has two readings of each */

#include "small_disk.h"
#include "store_fixture.h"

#define BEATS 300
#define READINGS_A_BEAT 5000
#define MIB (UINT64_C(1024) * 1024)

static void on_disk_of(struct fixture *fixture, uint64_t bytes) {
    small_disk_mount(fixture->folder, bytes);
    fixture->quota_bytes = 16 * MIB;
    fixture->thins = true;
    fixture_open(fixture);
}

static void leave_disk(struct fixture *fixture) {
    fixture_close(fixture);
    small_disk_unmount(fixture->folder);
}

/* As core does it: sealed every few commits. */
static enum fb_error beat(struct fixture *fixture, bool seals) {
    const struct store_cursor cursor = {.epoch = 1, .sequence = fixture->sequence};
    size_t sealed;
    enum fb_error error = store_commit(fixture->store, cursor, &fixture->cause);
    if (error == FB_OK && seals)
        error = store_seal(fixture->store, FIXTURE_TIME_MS, CLOCK_SYNCHRONISED, &sealed, &fixture->cause);
    else if (error == FB_OK)
        error = store_keep_room(fixture->store, &fixture->cause);
    return error;
}

static void assert_all_accounted_for(struct fixture *fixture) {
    fixture_seal(fixture);
    fixture_batch_of(fixture, 1);
    struct fixture_harvest harvest = fixture_harvest(fixture, fixture->sequence + 2);
    fixture_batch_of(fixture, 1);
    struct fixture_harvest rest = fixture_harvest(fixture, fixture->sequence + 2);
    assert_int_equal(harvest.readings + rest.readings + harvest.lost + rest.lost, fixture->sequence);
    assert_true(harvest.lost_because[BATCH_LOSS_QUOTA] > 0);
    free(harvest.seen);
    free(rest.seen);
}

static void fill_and_empty(void **state, uint64_t disk_bytes, size_t beats_a_batch) {
    struct fixture *fixture = *state;
    on_disk_of(fixture, disk_bytes);
    for (size_t i = 0; i < BEATS; i++) {
        fixture_append(fixture, READINGS_A_BEAT);
        if (beat(fixture, i % beats_a_batch == 0) != FB_OK)
            fail_msg("%llu bytes, beat %zu: %s", (unsigned long long)disk_bytes, i, fixture->cause.text);
    }
    assert_all_accounted_for(fixture);
    leave_disk(fixture);
}

static void a_batch_each_second_on_four_megabytes(void **state) {
    fill_and_empty(state, 4 * MIB, 1);
}

static void long_batches_on_four_megabytes(void **state) {
    fill_and_empty(state, 4 * MIB, 5);
}

static void a_batch_each_second_on_two_megabytes(void **state) {
    fill_and_empty(state, 2 * MIB, 1);
}

static void long_batches_on_eight_megabytes(void **state) {
    fill_and_empty(state, 8 * MIB, 5);
}

/* What the store has of the disk it keeps: polling, sealing, giving way and marking go on in it. */
static void a_disk_that_others_took_the_rest_of_stops_nothing(void **state) {
    struct fixture *fixture = *state;
    on_disk_of(fixture, 8 * MIB);
    for (size_t i = 0; i < 20; i++) {
        fixture_append(fixture, READINGS_A_BEAT);
        assert_int_equal(beat(fixture, true), FB_OK);
    }
    small_disk_fill(fixture->folder, 0);
    struct store_batch *batch = malloc(sizeof *batch);
    for (size_t i = 0; i < BEATS; i++) {
        fixture_append(fixture, READINGS_A_BEAT);
        if (beat(fixture, i % 2 == 0) != FB_OK)
            fail_msg("beat %zu: %s", i, fixture->cause.text);
        const enum fb_error error = store_next(fixture->store, 1, UINT64_MAX, batch, &fixture->cause);
        if (error == FB_NOT_FOUND)
            continue;
        assert_int_equal(error, FB_OK);
        if (store_mark_sent(fixture->store, &batch->number, 1, FIXTURE_TIME_MS, &fixture->cause) != FB_OK)
            fail_msg("beat %zu: %s", i, fixture->cause.text);
    }
    free(batch);
    leave_disk(fixture);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_batch_each_second_on_four_megabytes),
        TEST(long_batches_on_four_megabytes),
        TEST(a_batch_each_second_on_two_megabytes),
        TEST(long_batches_on_eight_megabytes),
        TEST(a_disk_that_others_took_the_rest_of_stops_nothing),
    };
    return cmocka_run_group_tests(tests, small_disk_setup, NULL);
}
