// links: store/*.c gateway/common/*.c tests/unit/rekey_disk.c tests/unit/fault_vfs.c
/* test_store_rekey.c - the store under a new key: nothing is missing, nothing is twice, whatever comes meanwhile. */
#include <sys/stat.h>

#include "rekey_disk.h"
#include "rekey_fixture.h"
#include "store/store_parked.h"
#include "store/store_records.h"

/* Whatever can change does so while the copy is made. */
static void disturb(struct fixture *fixture, unsigned round) {
    struct store_batch *batch = malloc(sizeof *batch);
    const struct store_refusal refusal = {.reason = "not now", .rejection = true, .now_ms = FIXTURE_TIME_MS};
    struct store_refused refused;
    if (round % 3 == 0)
        fixture_batch_of(fixture, 100);
    fixture_append(fixture, 3);
    fixture_commit(fixture);
    if (round % 5 == 0 && store_next(fixture->store, 1, UINT64_MAX, batch, NULL) == FB_OK)
        assert_int_equal(store_mark_refused(fixture->store, batch->number, &refusal, &refused, NULL), FB_OK);
    const struct batch_loss loss = {BATCH_LOSS_STORE_FULL, 1, FIXTURE_TIME_MS, FIXTURE_TIME_MS, 0, 0};
    if (round % 7 == 0)
        store_note_loss(fixture->store, &loss);
    free(batch);
}

static void a_rekeyed_store_has_all_that_came_while_it_was_copied(void **state) {
    struct fixture *fixture = *state;
    struct store_figures before, after;
    uint8_t next[STORE_KEY_BYTES], id[BATCH_STORE_ID_BYTES];
    bool ready = false;
    double reached = 0;
    memset(next, 0x77, sizeof next);
    rekey_make_batches(fixture);
    memcpy(id, store_id(fixture->store), sizeof id);
    struct store_rekey *rekey = rekey_begin(fixture, next);
    for (unsigned round = 0; !ready; round++) {
        assert_in_range(round, 0, REKEY_STEPS_MOST);
        if (round < 60)
            disturb(fixture, round);
        assert_int_equal(store_rekey_step(rekey, 200, &ready, &fixture->cause), FB_OK);
        assert_true(store_rekey_done(rekey) >= reached && store_rekey_done(rekey) <= 1);
        reached = store_rekey_done(rekey);
    }
    assert_true(reached == 1);
    disturb(fixture, 35);
    store_figures(fixture->store, &before);
    if (store_rekey_switch(rekey, next, &fixture->cause) != FB_OK)
        fail_msg("%s", fixture->cause.text);
    store_rekey_end(rekey);
    disturb(fixture, 3); /* it goes on at once */
    store_figures(fixture->store, &after);
    assert_int_equal(after.unsent_readings, before.unsent_readings + 103);
    fixture_close(fixture);
    memcpy(fixture->key, next, sizeof next);
    fixture_open(fixture);
    assert_string_equal(fixture->opening.set_aside, "");
    assert_memory_equal(store_id(fixture->store), id, sizeof id);
    rekey_assert_all_there(fixture, after.unsent_readings);
}

static void a_copy_that_is_given_up_leaves_nothing(void **state) {
    struct fixture *fixture = *state;
    char copy[160];
    uint8_t next[STORE_KEY_BYTES] = {1};
    struct stat status;
    bool ready;
    rekey_make_batches(fixture);
    struct store_rekey *rekey = rekey_begin(fixture, next);
    assert_int_equal(store_rekey_step(rekey, 100, &ready, NULL), FB_OK);
    snprintf(copy, sizeof copy, "%s.rekey", fixture->path);
    assert_int_equal(stat(copy, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    store_rekey_end(rekey);
    assert_int_equal(access(copy, F_OK), -1);
    fixture_batch_of(fixture, 10);
}

static void a_disk_without_room_for_the_copy_is_told_before_it_is_begun(void **state) {
    struct fixture *fixture = *state;
    const uint8_t next[STORE_KEY_BYTES] = {1};
    struct store_rekey *rekey = NULL;
    char copy[160];
    rekey_make_batches(fixture);
    rekey_disk_set_room(false);
    const enum fb_error error = store_rekey_begin(fixture->store, next, &rekey, &fixture->cause);
    rekey_disk_set_room(true);
    assert_int_equal(error, FB_FULL);
    assert_null(rekey);
    assert_non_null(strstr(fixture->cause.text, "MB free on the disk"));
    snprintf(copy, sizeof copy, "%s.rekey", fixture->path);
    assert_int_equal(access(copy, F_OK), -1);
    fixture_batch_of(fixture, REKEY_BATCH_READINGS); /* it goes on */
}

#define RECORDS_A_COMMIT 400
#define RECORDS 8800 /* more than the rekey notes */

static void add_records(struct fixture *fixture) {
    uint64_t number;
    for (size_t i = 0; i < RECORDS; i++) {
        assert_int_equal(
            store_record_add(fixture->store, STORE_RECORD_EVENT, FIXTURE_TIME_MS, "{}", 2, &number, &fixture->cause),
            FB_OK);
        if (i % RECORDS_A_COMMIT == RECORDS_A_COMMIT - 1)
            fixture_commit(fixture);
    }
}

static void copy_until_ready(struct fixture *fixture, struct store_rekey *rekey) {
    bool ready = false;
    for (unsigned round = 0; !ready; round++) {
        assert_in_range(round, 0, REKEY_STEPS_MOST);
        assert_int_equal(store_rekey_step(rekey, 10000, &ready, &fixture->cause), FB_OK);
    }
}

static void what_changes_too_fast_is_copied_anew(void **state) {
    struct fixture *fixture = *state;
    struct store_figures before;
    struct store_records_figures records;
    uint8_t next[STORE_KEY_BYTES];
    bool ready;
    memset(next, 0x77, sizeof next);
    rekey_make_batches(fixture);
    struct store_rekey *rekey = rekey_begin(fixture, next);
    copy_until_ready(fixture, rekey);
    add_records(fixture);
    assert_int_equal(store_rekey_step(rekey, 10000, &ready, &fixture->cause), FB_AGAIN);
    store_rekey_end(rekey);
    rekey = rekey_begin(fixture, next);
    copy_until_ready(fixture, rekey);
    store_figures(fixture->store, &before);
    assert_int_equal(store_rekey_switch(rekey, next, &fixture->cause), FB_OK);
    store_rekey_end(rekey);
    store_records_figures(fixture->store, STORE_RECORD_EVENT, &records);
    assert_int_equal(records.last, RECORDS);
    rekey_assert_all_there(fixture, before.unsent_readings);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_rekeyed_store_has_all_that_came_while_it_was_copied, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_copy_that_is_given_up_leaves_nothing, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_disk_without_room_for_the_copy_is_told_before_it_is_begun, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(what_changes_too_fast_is_copied_anew, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
