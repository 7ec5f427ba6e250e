// links: store/*.c gateway/common/*.c
/* test_store_disk.c - on a real file system of a few megabytes: the store leaves room on it, a disk that others fill up
 * costs nothing that is not told, and all goes on by itself once there is room again. */
#include "small_disk.h"
#include "store_fixture.h"
#include "store_trail.h"

#define FULL_BEATS 40
#define RECORDS_A_BEAT 200 /* more than find room in the pages that the store keeps free ahead */
#define DISK_BYTES (UINT64_C(16) * 1024 * 1024)

static struct fixture *on_small_disk(void **state) {
    struct fixture *fixture = *state;
    small_disk_mount(fixture->folder, DISK_BYTES);
    fixture->quota_bytes = UINT64_C(8) * DISK_BYTES;
    fixture->thins = true;
    fixture_open(fixture);
    return fixture;
}

static void leave_small_disk(struct fixture *fixture) {
    fixture_close(fixture);
    small_disk_unmount(fixture->folder);
}

/* As core does it, once a second: what cannot be kept now is tried again. */
static enum fb_error beat(struct fixture *fixture) {
    const struct store_cursor cursor = {.epoch = 1, .sequence = fixture->sequence};
    size_t sealed;
    enum fb_error error = store_commit(fixture->store, cursor, &fixture->cause);
    if (error == FB_OK)
        error = store_seal(fixture->store, FIXTURE_TIME_MS, CLOCK_SYNCHRONISED, &sealed, &fixture->cause);
    if (error == FB_OK)
        error = store_keep_room(fixture->store, &fixture->cause);
    return error;
}

static void assert_all_accounted_for(struct fixture *fixture) {
    struct store_figures figures;
    assert_int_equal(beat(fixture), FB_OK);
    struct fixture_harvest harvest = fixture_harvest(fixture, fixture->sequence + 2);
    fixture_append(fixture, 1);
    assert_int_equal(beat(fixture), FB_OK);
    struct fixture_harvest rest = fixture_harvest(fixture, fixture->sequence + 2);
    for (uint64_t n = 1; n < fixture->sequence; n++)
        assert_in_range(harvest.seen[n] + rest.seen[n], 0, 1);
    assert_int_equal(harvest.readings + rest.readings + harvest.lost + rest.lost, fixture->sequence);
    store_figures(fixture->store, &figures);
    assert_int_equal(figures.lost_readings, harvest.lost + rest.lost);
    free(harvest.seen);
    free(rest.seen);
}

static void the_store_leaves_room_on_a_disk_smaller_than_its_quota(void **state) {
    struct fixture *fixture = on_small_disk(state);
    for (size_t i = 0; i < 800; i++) {
        fixture_append(fixture, 1000);
        if (beat(fixture) != FB_OK)
            fail_msg("%s", fixture->cause.text);
    }
    assert_in_range(small_disk_free_bytes(fixture->folder), DISK_BYTES / 20 - 256 * 1024, DISK_BYTES / 2);
    assert_all_accounted_for(fixture);
    leave_small_disk(fixture);
}

static void a_disk_that_others_fill_up_takes_readings_again_by_itself(void **state) {
    struct fixture *fixture = on_small_disk(state);
    for (size_t round = 0; round < 4; round++) {
        for (size_t i = 0; i < 100; i++) {
            fixture_append(fixture, 1000);
            assert_int_equal(beat(fixture), FB_OK);
        }
        small_disk_fill(fixture->folder, round % 2 * 64 * 1024);
        bool was_full = false;
        for (size_t i = 0; i < 60; i++) {
            fixture_append(fixture, 1000);
            const enum fb_error error = beat(fixture);
            was_full = was_full || error == FB_FULL;
            assert_true(error == FB_OK || error == FB_FULL);
        }
        print_message("round %zu: %s\n", round, was_full ? "was full" : "went on");
        small_disk_empty(fixture->folder);
        if (beat(fixture) != FB_OK)
            fail_msg("%s", fixture->cause.text);
        assert_int_equal(store_tail_readings(fixture->store), 0);
    }
    assert_all_accounted_for(fixture);
    leave_small_disk(fixture);
}

/* There is nothing that could give way: the readings wait in memory. */
static void a_disk_that_is_full_from_the_start_is_a_state_that_ends(void **state) {
    struct fixture *fixture = on_small_disk(state);
    small_disk_fill(fixture->folder, 0);
    enum fb_error error = FB_OK;
    for (size_t i = 0; i < 100; i++) {
        fixture_append(fixture, 1000);
        error = beat(fixture);
    }
    assert_int_equal(error, FB_FULL);
    small_disk_empty(fixture->folder);
    assert_int_equal(beat(fixture), FB_OK);
    assert_int_equal(store_tail_readings(fixture->store), 0);
    assert_all_accounted_for(fixture);
    leave_small_disk(fixture);
}

static size_t add_records(struct fixture *fixture) {
    size_t taken = 0;
    for (int i = 0; i < RECORDS_A_BEAT; i++)
        taken += trail_add(fixture);
    return taken;
}

/* Readings go on in the pages that they have; records that find no room wait in memory and follow by themselves. */
static void records_wait_for_a_full_disk_and_are_not_in_the_way(void **state) {
    struct fixture *fixture = on_small_disk(state);
    struct store_records_figures figures;
    size_t taken = 0, most = 0, readings_went_on = 0;
    for (size_t i = 0; i < 300; i++) {
        fixture_append(fixture, 1000);
        assert_int_equal(beat(fixture), FB_OK);
    }
    struct fixture_harvest harvest = fixture_harvest(fixture, fixture->sequence + 1);
    free(harvest.seen);
    small_disk_fill(fixture->folder, 64 * 1024);
    for (size_t i = 0; i < FULL_BEATS; i++) {
        fixture_append(fixture, 10);
        taken += add_records(fixture);
        const enum fb_error error = beat(fixture);
        assert_true(error == FB_OK || error == FB_FULL);
        const size_t waiting = store_records_waiting(fixture->store);
        readings_went_on += error == FB_OK;
        most = waiting > most ? waiting : most;
    }
    print_message("readings went on %zu times, %zu records waited at most\n", readings_went_on, most);
    assert_true(readings_went_on >= FULL_BEATS / 2);
    assert_in_range(most, RECORDS_A_BEAT, STORE_RECORDS_WAITING_MAX);
    small_disk_empty(fixture->folder);
    for (int i = 0; i < 32; i++)
        assert_int_equal(beat(fixture), FB_OK);
    assert_int_equal(store_records_waiting(fixture->store), 0);
    store_records_figures(fixture->store, STORE_RECORD_AUDIT, &figures);
    assert_int_equal(figures.last, taken);
    trail_check(fixture, "after a full disk");
    harvest = fixture_harvest(fixture, fixture->sequence + 1);
    assert_int_equal(harvest.readings + harvest.lost, FULL_BEATS * 10);
    free(harvest.seen);
    leave_small_disk(fixture);
}

static void a_store_on_a_full_disk_can_be_opened_again(void **state) {
    struct fixture *fixture = on_small_disk(state);
    for (size_t i = 0; i < 50; i++) {
        fixture_append(fixture, 1000);
        assert_int_equal(beat(fixture), FB_OK);
    }
    small_disk_fill(fixture->folder, 0);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_string_equal(fixture->opening.set_aside, "");
    small_disk_empty(fixture->folder);
    assert_all_accounted_for(fixture);
    leave_small_disk(fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_store_leaves_room_on_a_disk_smaller_than_its_quota, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_disk_that_others_fill_up_takes_readings_again_by_itself, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_disk_that_is_full_from_the_start_is_a_state_that_ends, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(records_wait_for_a_full_disk_and_are_not_in_the_way, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_store_on_a_full_disk_can_be_opened_again, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, small_disk_setup, NULL);
}
