// links: store/*.c gateway/common/*.c
/* test_store_clock.c - what was found out about the clock reaches the receiver once, whatever happens in between. */
#include "gateway/common/file.h"
#include "store/store_salvage.h"
#include "store_fixture.h"

static const struct batch_correction before_the_clock_was_set = {
    .first_batch = 1, .from_ms = 0, .to_ms = 60000, .right_ms = FIXTURE_TIME_MS};

static struct batch_info read_batch(struct fixture *fixture, uint64_t number) {
    struct store_batch *batch = malloc(sizeof *batch);
    struct batch_info info;
    struct reading *readings = NULL;
    size_t units;
    assert_int_equal(store_next(fixture->store, number, number, batch, &fixture->cause), FB_OK);
    assert_int_equal(batch_decode(batch->bytes, batch->length, &info, &readings, &units, &fixture->cause), FB_OK);
    free(readings);
    free(batch);
    return info;
}

static void a_correction_goes_out_with_the_next_batch_alone(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    fixture_batch_of(fixture, 100);
    store_note_correction(fixture->store, &before_the_clock_was_set);
    fixture_batch_of(fixture, 100);
    fixture_batch_of(fixture, 100);
    assert_int_equal(read_batch(fixture, 1).correction_count, 0);
    const struct batch_info info = read_batch(fixture, 2);
    assert_int_equal(info.correction_count, 1);
    assert_int_equal(info.corrections[0].first_batch, 1);
    assert_int_equal(info.corrections[0].last_batch, 2);
    assert_int_equal(info.corrections[0].to_ms, 60000);
    assert_int_equal(info.corrections[0].right_ms, FIXTURE_TIME_MS);
    assert_int_equal(read_batch(fixture, 3).correction_count, 0);
}

static void a_correction_needs_no_readings_to_go_out(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    fixture_batch_of(fixture, 100);
    store_note_correction(fixture->store, &before_the_clock_was_set);
    assert_int_equal(fixture_seal(fixture), 1);
    assert_int_equal(read_batch(fixture, 2).correction_count, 1);
    assert_int_equal(fixture_seal(fixture), 0);
}

static void a_committed_correction_survives_the_end_of_the_program(void **state) {
    struct fixture *fixture = *state;
    struct batch_correction known[STORE_CORRECTIONS_MAX];
    fixture_open(fixture);
    store_note_correction(fixture->store, &before_the_clock_was_set);
    fixture_commit(fixture);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(store_corrections(fixture->store, known), 1);
    assert_int_equal(known[0].last_batch, 1); /* the batch that it will be in */
    fixture_batch_of(fixture, 10);
    assert_int_equal(read_batch(fixture, 1).correction_count, 1);
    fixture_close(fixture);
    fixture_open(fixture);
    fixture_batch_of(fixture, 10);
    assert_int_equal(store_corrections(fixture->store, known), 1);
    assert_int_equal(known[0].last_batch, 1);
    assert_int_equal(read_batch(fixture, 2).correction_count, 0);
}

static void a_correction_whose_batch_gave_way_unsent_is_told_again(void **state) {
    struct fixture *fixture = *state;
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture_open(fixture);
    store_note_correction(fixture->store, &before_the_clock_was_set);
    fixture_batch_of(fixture, 4000);
    struct store_figures figures;
    do {
        fixture_batch_of(fixture, 4000);
        store_figures(fixture->store, &figures);
        assert_in_range(figures.last_number, 1, 10000); /* each thinned batch leaves a page */
    } while (figures.last_number == figures.unsent_batches);
    fixture_batch_of(fixture, 10);
    bool told = false;
    for (uint64_t number = 2; number <= store_last_number(fixture->store) && !told; number++) {
        struct store_batch *batch = malloc(sizeof *batch);
        const bool there = store_next(fixture->store, number, number, batch, &fixture->cause) == FB_OK;
        free(batch);
        told = there && read_batch(fixture, number).correction_count == 1;
    }
    assert_true(told);
}

static void of_very_many_corrections_the_newest_are_kept(void **state) {
    struct fixture *fixture = *state;
    struct batch_correction known[STORE_CORRECTIONS_MAX], correction = before_the_clock_was_set;
    fixture_open(fixture);
    for (int64_t i = 0; i < STORE_CORRECTIONS_MAX + 5; i++) {
        correction.from_ms = i;
        store_note_correction(fixture->store, &correction);
        fixture_batch_of(fixture, 1);
    }
    assert_int_equal(store_corrections(fixture->store, known), STORE_CORRECTIONS_MAX);
    assert_int_equal(known[0].from_ms, 5);
}

static void the_run_of_the_clock_is_kept(void **state) {
    struct fixture *fixture = *state;
    const struct store_clock kept = {.boot = {1, 2, 3}, .first_batch = 7, .ahead_ms = -5, .set = true};
    struct store_clock found;
    fixture_open(fixture);
    assert_false(store_clock(fixture->store, &found));
    store_keep_clock(fixture->store, &kept);
    fixture_commit(fixture);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_true(store_clock(fixture->store, &found));
    assert_memory_equal(found.boot, kept.boot, sizeof kept.boot);
    assert_int_equal(found.first_batch, 7);
    assert_int_equal(found.ahead_ms, -5);
    assert_true(found.set);
}

static void a_correction_goes_out_with_each_batch_of_a_tail_too_large_for_one(void **state) {
    struct fixture *fixture = *state;
    struct batch_correction known[STORE_CORRECTIONS_MAX];
    fixture_open(fixture);
    store_note_correction(fixture->store, &before_the_clock_was_set);
    fixture_append(fixture, 40000);
    fixture_commit(fixture);
    const size_t sealed = fixture_seal(fixture);
    assert_in_range(sealed, 2, 10);
    for (uint64_t number = 1; number <= sealed; number++) {
        const struct batch_info info = read_batch(fixture, number);
        assert_int_equal(info.correction_count, 1);
        assert_int_equal(info.corrections[0].first_batch, 1);
        assert_int_equal(info.corrections[0].last_batch, number);
    }
    assert_int_equal(store_corrections(fixture->store, known), 1);
    assert_int_equal(known[0].last_batch, sealed);
    assert_int_equal(fixture_seal(fixture), 0);
}

/* Close the store, and find it unusable when it is opened again. ret_id: of the one that is set aside. */
static void set_aside(struct fixture *fixture, uint8_t ret_id[static BATCH_STORE_ID_BYTES]) {
    char mark[160];
    memcpy(ret_id, store_id(fixture->store), BATCH_STORE_ID_BYTES);
    fixture_close(fixture);
    snprintf(mark, sizeof mark, "%s.failed", fixture->path);
    assert_int_equal(file_write(mark, "damaged: a test\nand again\n", 26, 0600, NULL), FB_OK);
    fixture_open(fixture);
    assert_string_not_equal(fixture->opening.set_aside, "");
    assert_true(fixture->opening.inherited);
}

static void assert_speaks_of(const struct batch_correction *record, const uint8_t *id, uint64_t first, uint64_t last) {
    assert_memory_equal(record->store_id, id, BATCH_STORE_ID_BYTES);
    assert_int_equal(record->first_batch, first);
    assert_int_equal(record->last_batch, last);
    assert_int_equal(record->right_ms, FIXTURE_TIME_MS);
}

static void what_was_told_of_a_store_set_aside_is_told_again_by_the_new_one(void **state) {
    struct fixture *fixture = *state;
    uint8_t id[BATCH_STORE_ID_BYTES], second[BATCH_STORE_ID_BYTES];
    fixture_open(fixture);
    fixture_batch_of(fixture, 10);
    store_note_correction(fixture->store, &before_the_clock_was_set);
    fixture_batch_of(fixture, 10);
    fixture_batch_of(fixture, 10);
    set_aside(fixture, id);
    fixture_batch_of(fixture, 10);
    struct batch_info info = read_batch(fixture, 1);
    assert_int_equal(info.correction_count, 1);
    assert_speaks_of(&info.corrections[0], id, 1, 2);
    set_aside(fixture, second);
    fixture_batch_of(fixture, 10);
    info = read_batch(fixture, 1);
    assert_int_equal(info.correction_count, 1);
    assert_speaks_of(&info.corrections[0], id, 1, 2);
}

/* What was found out just before: it is about the tail, too, which the new store has taken over. */
static void a_correction_not_told_yet_is_about_both_stores(void **state) {
    struct fixture *fixture = *state;
    uint8_t id[BATCH_STORE_ID_BYTES];
    fixture_open(fixture);
    fixture_batch_of(fixture, 10);
    fixture_batch_of(fixture, 10);
    fixture_append(fixture, 10);
    store_note_correction(fixture->store, &before_the_clock_was_set);
    fixture_commit(fixture);
    set_aside(fixture, id);
    assert_int_equal(fixture_seal(fixture), 1);
    const struct batch_info info = read_batch(fixture, 1);
    assert_int_equal(info.correction_count, 2);
    assert_speaks_of(&info.corrections[0], id, 1, 2);
    assert_speaks_of(&info.corrections[1], store_id(fixture->store), 1, 1);
}

static const struct store_clock not_set_yet = {.boot = {1, 2, 3}, .first_batch = 2, .ahead_ms = -5};

static void a_clock_that_is_set_later_corrects_the_store_set_aside_too(void **state) {
    struct fixture *fixture = *state;
    struct store_clock clock;
    uint8_t id[BATCH_STORE_ID_BYTES], second[BATCH_STORE_ID_BYTES];
    fixture_open(fixture);
    store_keep_clock(fixture->store, &not_set_yet);
    fixture_batch_of(fixture, 10);
    fixture_batch_of(fixture, 10);
    fixture_batch_of(fixture, 10);
    set_aside(fixture, id);
    assert_true(store_clock(fixture->store, &clock));
    assert_int_equal(clock.first_batch, 1);
    assert_int_equal(clock.ahead_ms, -5);
    assert_false(clock.set);
    fixture_batch_of(fixture, 10);
    assert_int_equal(read_batch(fixture, 1).correction_count, 0);
    set_aside(fixture, second);
    fixture_batch_of(fixture, 10);
    store_note_correction(fixture->store, &before_the_clock_was_set);
    clock.set = true;
    store_keep_clock(fixture->store, &clock);
    fixture_batch_of(fixture, 10);
    const struct batch_info info = read_batch(fixture, 2);
    assert_int_equal(info.correction_count, 3);
    assert_speaks_of(&info.corrections[0], store_id(fixture->store), 1, 2);
    assert_speaks_of(&info.corrections[1], second, 1, 1);
    assert_speaks_of(&info.corrections[2], id, 2, 3);
    assert_int_equal(info.corrections[2].to_ms, 60000);
    store_note_correction(fixture->store, &before_the_clock_was_set); /* of a later start of the clock */
    fixture_batch_of(fixture, 10);
    assert_int_equal(read_batch(fixture, 3).correction_count, 1);
}

static void another_start_of_the_machine_ends_the_waiting_for_the_clock(void **state) {
    struct fixture *fixture = *state;
    uint8_t id[BATCH_STORE_ID_BYTES];
    fixture_open(fixture);
    store_keep_clock(fixture->store, &not_set_yet);
    for (int i = 0; i < 3; i++)
        fixture_batch_of(fixture, 10);
    set_aside(fixture, id);
    store_keep_clock(fixture->store, &(struct store_clock){.boot = {4}, .first_batch = 1});
    store_note_correction(fixture->store, &before_the_clock_was_set);
    fixture_batch_of(fixture, 10);
    const struct batch_info info = read_batch(fixture, 1);
    assert_int_equal(info.correction_count, 1);
    assert_speaks_of(&info.corrections[0], store_id(fixture->store), 1, 1);
}

static void a_file_that_is_salvaged_by_hand_brings_its_corrections(void **state) {
    struct fixture *fixture = *state;
    struct store_salvage *salvage;
    uint8_t id[BATCH_STORE_ID_BYTES];
    bool done = false;
    fixture_open(fixture);
    fixture_batch_of(fixture, 10);
    store_note_correction(fixture->store, &before_the_clock_was_set);
    fixture_batch_of(fixture, 10);
    memcpy(id, store_id(fixture->store), sizeof id);
    fixture_close(fixture);
    fixture->key[0] ^= 1;
    fixture_open(fixture);
    assert_false(fixture->opening.inherited);
    fixture->key[0] ^= 1;
    for (int round = 0; round < 2; round++) { /* the second time brings nothing more */
        assert_int_equal(store_salvage_begin(fixture->store, fixture->opening.set_aside, STORE_SALVAGE_UNSENT,
                                             fixture->key, &salvage, &fixture->cause),
                         FB_OK);
        for (done = false; !done;)
            assert_int_equal(store_salvage_step(salvage, 10000, &done, &fixture->cause), FB_OK);
        store_salvage_end(salvage);
    }
    assert_int_equal(fixture_seal(fixture), 1);
    const struct batch_info info = read_batch(fixture, 1);
    assert_int_equal(info.correction_count, 1);
    assert_speaks_of(&info.corrections[0], id, 1, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_correction_goes_out_with_the_next_batch_alone),
        TEST(a_correction_needs_no_readings_to_go_out),
        TEST(a_committed_correction_survives_the_end_of_the_program),
        TEST(a_correction_whose_batch_gave_way_unsent_is_told_again),
        TEST(of_very_many_corrections_the_newest_are_kept),
        TEST(the_run_of_the_clock_is_kept),
        TEST(a_correction_goes_out_with_each_batch_of_a_tail_too_large_for_one),
        TEST(what_was_told_of_a_store_set_aside_is_told_again_by_the_new_one),
        TEST(a_correction_not_told_yet_is_about_both_stores),
        TEST(a_clock_that_is_set_later_corrects_the_store_set_aside_too),
        TEST(another_start_of_the_machine_ends_the_waiting_for_the_clock),
        TEST(a_file_that_is_salvaged_by_hand_brings_its_corrections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
