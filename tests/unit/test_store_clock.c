// links: store/*.c gateway/common/*.c
/* test_store_clock.c - what was found out about the clock reaches the receiver once, whatever happens in between. */
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_correction_goes_out_with_the_next_batch_alone),
        TEST(a_correction_needs_no_readings_to_go_out),
        TEST(a_committed_correction_survives_the_end_of_the_program),
        TEST(a_correction_whose_batch_gave_way_unsent_is_told_again),
        TEST(of_very_many_corrections_the_newest_are_kept),
        TEST(the_run_of_the_clock_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
