// links: store/*.c gateway/common/*.c
/* test_store.c - what was committed is there once, in order, chained and named; what is sent stays as history. */
#include "store/store_parked.h"
#include "store_fixture.h"

static void a_new_store_says_that_it_was_created(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    assert_true(fixture->opening.created);
    assert_string_equal(fixture->opening.set_aside, "");
    assert_string_equal(fixture->opening.reason, "");
    assert_int_equal(store_last_number(fixture->store), 0);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_false(fixture->opening.created);
}

static void readings_come_back_once_in_chained_batches(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    for (size_t i = 0; i < 20; i++)
        fixture_batch_of(fixture, 500);
    struct fixture_harvest harvest = fixture_harvest(fixture, 10001);
    assert_int_equal(harvest.batches, 20);
    assert_int_equal(harvest.last_number, store_last_number(fixture->store));
    for (size_t value = 1; value <= 10000; value++)
        assert_int_equal(harvest.seen[value], 1);
    free(harvest.seen);
}

static void the_committed_tail_is_there_again_after_opening(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    fixture_append(fixture, 100);
    fixture_commit(fixture);
    fixture_append(fixture, 7); /* not committed */
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(store_tail_readings(fixture->store), 100);
    assert_int_equal(store_committed_cursor(fixture->store).sequence, 100);
    assert_int_equal(fixture_seal(fixture), 1);
    struct fixture_harvest harvest = fixture_harvest(fixture, 200);
    assert_int_equal(harvest.readings, 100);
    free(harvest.seen);
}

static void commits_of_every_size_come_back_after_each_opening(void **state) {
    struct fixture *fixture = *state;
    static const size_t sizes[] = {1, 3, 350, 2, 5000, 1, 30, 390, 391, 20000, 1};
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            if (i % 3 == 0)
                fixture_open(fixture);
            fixture_append(fixture, sizes[i]);
            fixture_commit(fixture);
            if (i % 3 == 2)
                fixture_close(fixture);
        }
        const size_t readings = store_tail_readings(fixture->store);
        fixture_close(fixture);
        fixture_open(fixture);
        assert_int_equal(store_tail_readings(fixture->store), readings);
        assert_true(fixture_seal(fixture) > 0);
        fixture_close(fixture);
    }
    fixture_open(fixture);
    assert_int_equal(store_tail_readings(fixture->store), 0);
    struct fixture_harvest harvest = fixture_harvest(fixture, fixture->sequence + 1);
    for (size_t n = 1; n <= fixture->sequence; n++)
        assert_int_equal(harvest.seen[n], 1);
    free(harvest.seen);
}

static void many_small_commits_ask_for_a_seal_before_they_take_much_disk(void **state) {
    struct fixture *fixture = *state;
    struct store_figures figures;
    fixture_open(fixture);
    while (!store_tail_full(fixture->store)) {
        fixture_append(fixture, 300);
        fixture_commit(fixture);
    }
    store_figures(fixture->store, &figures);
    assert_in_range(figures.bytes, 1, 16 * 1024 * 1024);
    assert_true(fixture_seal(fixture) > 0);
    assert_false(store_tail_full(fixture->store));
}

static void sealing_takes_only_what_is_committed(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    assert_int_equal(fixture_seal(fixture), 0);
    fixture_append(fixture, 10);
    fixture_commit(fixture);
    fixture_append(fixture, 5);
    assert_int_equal(fixture_seal(fixture), 1);
    assert_int_equal(store_tail_readings(fixture->store), 5);
    fixture_commit(fixture);
    assert_int_equal(fixture_seal(fixture), 1);
    struct fixture_harvest harvest = fixture_harvest(fixture, 16);
    assert_int_equal(harvest.readings, 15);
    free(harvest.seen);
}

static void a_tail_too_large_for_one_batch_becomes_several(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    struct reading *readings = calloc(40000, sizeof *readings);
    uint64_t noise = 1;
    for (size_t i = 0; i < 40000; i++) {
        noise = noise * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        readings[i] = reading_integer(1, FIXTURE_TIME_MS, QUALITY_GOOD, (int64_t)noise);
    }
    assert_int_equal(store_append(fixture->store, readings, 40000), FB_OK);
    assert_true(store_tail_full(fixture->store));
    fixture_commit(fixture);
    assert_in_range(fixture_seal(fixture), 3, 8);
    assert_int_equal(store_tail_readings(fixture->store), 0);
    struct store_batch *batch = malloc(sizeof *batch);
    size_t at = 0;
    while (store_next(fixture->store, 1, UINT64_MAX, batch, NULL) == FB_OK) {
        struct batch_info info;
        struct reading *back = NULL;
        size_t count;
        assert_int_equal(batch_decode(batch->bytes, batch->length, &info, &back, &count, NULL), FB_OK);
        assert_memory_equal(back, readings + at, count * sizeof *back);
        at += count;
        free(back);
        assert_int_equal(store_mark_sent(fixture->store, &batch->number, 1, FIXTURE_TIME_MS, NULL), FB_OK);
    }
    assert_int_equal(at, 40000);
    free(batch);
    free(readings);
}

/* Each takes three units. */
static size_t make_texts(struct reading *readings, size_t count) {
    static const char *const said[] = {"waiting for its turn at filter 3", "backwash of filter 3 in operation"};
    size_t units = 0;
    for (size_t i = 0; i < count; i++)
        units += reading_make_text(1 + i % FIXTURE_TAGS, FIXTURE_TIME_MS + (int64_t)i, QUALITY_GOOD, said[i / 100 % 2],
                                   strlen(said[i / 100 % 2]), readings + units);
    return units;
}

static void texts_count_as_one_reading_and_come_back(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    struct reading *readings = calloc(9000 * READING_UNITS_MAX, sizeof *readings), *back = NULL;
    const size_t units = make_texts(readings, 9000);
    assert_int_equal(units, 9000 * 3);
    assert_int_equal(store_append(fixture->store, readings, units), FB_OK);
    assert_int_equal(store_tail_readings(fixture->store), 9000);
    fixture->sequence = 1;
    fixture_commit(fixture);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(store_tail_readings(fixture->store), 9000);
    struct store_figures figures;
    store_figures(fixture->store, &figures);
    assert_int_equal(figures.unsent_readings, 9000);
    assert_int_equal(fixture_seal(fixture), 1);
    store_figures(fixture->store, &figures);
    assert_int_equal(figures.readings, 9000);
    assert_int_equal(figures.unsent_readings, 9000);
    struct store_batch *batch = malloc(sizeof *batch);
    assert_int_equal(store_next(fixture->store, 1, UINT64_MAX, batch, NULL), FB_OK);
    struct batch_info info;
    size_t back_units;
    assert_int_equal(batch_decode(batch->bytes, batch->length, &info, &back, &back_units, NULL), FB_OK);
    assert_int_equal(back_units, units);
    assert_int_equal(readings_count(back, back_units), 9000);
    assert_memory_equal(back, readings, 3 * sizeof *back);
    free(back);
    free(batch);
    free(readings);
}

static void a_tail_that_nobody_seals_has_an_end(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    struct reading *readings = calloc(STORE_TAIL_MAX, sizeof *readings);
    assert_int_equal(store_append(fixture->store, readings, STORE_TAIL_MAX - 1), FB_OK);
    assert_int_equal(store_append(fixture->store, readings, 2), FB_FULL);
    assert_int_equal(store_append(fixture->store, readings, 1), FB_OK);
    assert_int_equal(store_append(fixture->store, readings, 1), FB_FULL);
    free(readings);
}

#define MARK_EACH 1000

/* As intake.c does with each message while the disk takes nothing. */
static void append_with_marks(struct fixture *fixture, size_t readings) {
    for (size_t i = 0; i < readings; i += MARK_EACH) {
        fixture_append(fixture, MARK_EACH);
        store_mark(fixture->store, (struct store_cursor){1, fixture->sequence});
    }
}

static const struct batch_loss told_once = {
    .reason = BATCH_LOSS_STORE_FULL, .readings = 5, .from_ms = FIXTURE_TIME_MS, .to_ms = FIXTURE_TIME_MS};

static void a_long_tail_is_committed_in_parts_that_end_where_it_may_be_cut(void **state) {
    struct fixture *fixture = *state;
    size_t parts = 0;
    fixture_open(fixture);
    append_with_marks(fixture, 100000);
    uint64_t before = 0;
    do {
        const struct store_cursor cursor = {1, fixture->sequence};
        assert_int_equal(store_commit(fixture->store, cursor, &fixture->cause), FB_OK);
        const uint64_t now = store_committed_cursor(fixture->store).sequence;
        assert_in_range(now - before, 1, STORE_COMMIT_UNITS);
        before = now;
        fixture_seal(fixture);
        parts++;
    } while (store_commit_waits(fixture->store));
    assert_int_equal(before, 100000);
    assert_in_range(parts, 100000 / STORE_COMMIT_UNITS, 100000 / (STORE_COMMIT_UNITS - STORE_COMMIT_UNITS / 4) + 1);
    struct fixture_harvest harvest = fixture_harvest(fixture, 100001);
    for (size_t n = 1; n <= 100000; n++)
        assert_int_equal(harvest.seen[n], 1);
    free(harvest.seen);
}

/* What was noted as lost after the last part that is on disk will be noted again, by whoever sends from there on. */
static void a_program_that_ends_between_two_parts_goes_on_from_the_first(void **state) {
    struct fixture *fixture = *state;
    struct store_figures figures;
    fixture_open(fixture);
    append_with_marks(fixture, 40000);
    store_note_loss(fixture->store, &told_once);
    fixture_commit(fixture);
    assert_true(store_commit_waits(fixture->store));
    fixture_seal(fixture);
    fixture_close(fixture);
    fixture_open(fixture);
    const uint64_t kept = store_committed_cursor(fixture->store).sequence;
    assert_in_range(kept, 1, STORE_COMMIT_UNITS);
    store_figures(fixture->store, &figures);
    assert_int_equal(figures.readings, kept);
    fixture->sequence = kept;
    append_with_marks(fixture, 40000 - kept);
    store_note_loss(fixture->store, &told_once);
    do {
        fixture_commit(fixture);
        fixture_seal(fixture);
    } while (store_commit_waits(fixture->store));
    struct fixture_harvest harvest = fixture_harvest(fixture, 40001);
    for (size_t n = 1; n <= 40000; n++)
        assert_int_equal(harvest.seen[n], 1);
    assert_int_equal(harvest.lost, told_once.readings);
    free(harvest.seen);
}

/* A part never says that a loss came before it without telling the loss. */
static void a_loss_in_the_middle_of_a_long_tail_is_kept_with_its_part(void **state) {
    struct fixture *fixture = *state;
    struct store_figures figures;
    fixture_open(fixture);
    append_with_marks(fixture, 2000);
    store_note_loss(fixture->store, &told_once);
    append_with_marks(fixture, 38000);
    fixture_commit(fixture);
    assert_in_range(store_committed_cursor(fixture->store).sequence, 2001, STORE_COMMIT_UNITS);
    fixture_close(fixture);
    fixture_open(fixture);
    fixture_seal(fixture);
    struct fixture_harvest harvest = fixture_harvest(fixture, 40001);
    assert_int_equal(harvest.lost, told_once.readings);
    free(harvest.seen);
    store_figures(fixture->store, &figures);
    assert_true(figures.readings > 0);
}

static void the_cursor_is_as_old_as_the_readings(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    fixture_append(fixture, 10);
    assert_int_equal(store_commit(fixture->store, (struct store_cursor){UINT64_MAX, 10}, NULL), FB_OK);
    assert_int_equal(store_commit(fixture->store, (struct store_cursor){UINT64_MAX, 12}, NULL), FB_OK);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(store_committed_cursor(fixture->store).epoch, UINT64_MAX);
    assert_int_equal(store_committed_cursor(fixture->store).sequence, 12);
    assert_int_equal(fixture_seal(fixture), 1);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(store_committed_cursor(fixture->store).sequence, 12);
}

static void numbers_of_tags_stay_whatever_the_plant_becomes(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    for (uint32_t i = 0; i < FIXTURE_TAGS; i++)
        assert_int_equal(fixture->tags[i].number, i + 1);
    snprintf(fixture->tags[3].name, sizeof fixture->tags[3].name, "renamed");
    fixture->tags[3].number = fixture->tags[9].number = 0;
    assert_int_equal(store_number_tags(fixture->store, &fixture->plant, NULL), FB_OK);
    assert_int_equal(fixture->tags[3].number, FIXTURE_TAGS + 1);
    assert_int_equal(fixture->tags[9].number, 10);
}

static void a_catalogue_is_new_only_when_it_names_other_tags(void **state) {
    struct fixture *fixture = *state;
    static uint8_t bytes[CATALOGUE_BYTES_MAX];
    uint8_t hash[BATCH_HASH_BYTES];
    size_t length;
    uint64_t revision;
    struct catalogue catalogue;
    struct store_batch *batch = malloc(sizeof *batch);
    fixture_open(fixture);
    assert_int_equal(store_set_catalogue(fixture->store, &fixture->plant, FIXTURE_TIME_MS + 9, NULL), FB_OK);
    fixture_batch_of(fixture, 10);
    snprintf(fixture->tags[3].unit, sizeof fixture->tags[3].unit, "NTU");
    fixture_append(fixture, 1);
    assert_int_equal(store_set_catalogue(fixture->store, &fixture->plant, FIXTURE_TIME_MS, NULL), FB_AGAIN);
    fixture_commit(fixture);
    assert_int_equal(fixture_seal(fixture), 1);
    assert_int_equal(store_set_catalogue(fixture->store, &fixture->plant, FIXTURE_TIME_MS, NULL), FB_OK);
    fixture_batch_of(fixture, 10);
    for (uint64_t number = 1; number <= 3; number++) {
        assert_int_equal(store_next(fixture->store, number, number, batch, NULL), FB_OK);
        assert_int_equal(store_read_catalogue(fixture->store, batch->catalogue, &revision, bytes, &length, NULL),
                         FB_OK);
        assert_int_equal(revision, number < 3 ? 1 : 2);
        batch_hash(bytes, length, hash);
        assert_memory_equal(hash, batch->catalogue, sizeof hash);
        assert_int_equal(catalogue_decode(bytes, length, &catalogue, NULL), FB_OK);
        assert_int_equal(catalogue.tag_count, FIXTURE_TAGS);
        assert_string_equal(catalogue.tags[3].unit, number < 3 ? "" : "NTU");
        catalogue_done(&catalogue);
    }
    hash[0] ^= 1;
    assert_int_equal(store_read_catalogue(fixture->store, hash, &revision, bytes, &length, NULL), FB_NOT_FOUND);
    free(batch);
}

static void what_is_sent_is_not_handed_out_again_and_stays_as_history(void **state) {
    struct fixture *fixture = *state;
    struct store_batch *batch = malloc(sizeof *batch);
    struct store_figures figures;
    fixture_open(fixture);
    for (size_t i = 0; i < 3; i++)
        fixture_batch_of(fixture, 10);
    const uint64_t sent[] = {2, 3, 3, 77};
    assert_int_equal(store_mark_sent(fixture->store, sent, 4, FIXTURE_TIME_MS, NULL), FB_OK);
    assert_int_equal(store_next(fixture->store, 2, 3, batch, NULL), FB_NOT_FOUND);
    assert_int_equal(store_next(fixture->store, 0, UINT64_MAX, batch, NULL), FB_OK);
    assert_int_equal(batch->number, 1);
    fixture_close(fixture);
    fixture_open(fixture);
    store_figures(fixture->store, &figures);
    assert_int_equal(figures.batches, 3);
    assert_int_equal(figures.readings, 30);
    assert_int_equal(figures.unsent_batches, 1);
    assert_int_equal(figures.unsent_readings, 10);
    assert_int_equal(figures.oldest_unsent_ms, FIXTURE_TIME_MS + 1);
    free(batch);
}

static void a_refused_batch_is_kept_and_its_attempts_counted(void **state) {
    struct fixture *fixture = *state;
    struct store_batch *batch = malloc(sizeof *batch);
    char reason[2 * STORE_REASON_MAX];
    struct store_refused refused = {7, 7, true};
    memset(reason, 'x', sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    fixture_open(fixture);
    fixture_batch_of(fixture, 10);
    struct store_refusal refusal = {.reason = "queue full", .now_ms = FIXTURE_TIME_MS};
    assert_int_equal(store_mark_refused(fixture->store, 1, &refusal, &refused, NULL), FB_OK);
    assert_int_equal(refused.attempts, 1);
    refusal.reason = reason;
    assert_int_equal(store_mark_refused(fixture->store, 1, &refusal, &refused, NULL), FB_OK);
    assert_int_equal(refused.attempts, 2);
    assert_int_equal(store_mark_refused(fixture->store, 99, &refusal, &refused, NULL), FB_OK);
    assert_int_equal(refused.attempts, 0);
    assert_false(refused.parked);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(store_next(fixture->store, 1, 1, batch, NULL), FB_OK);
    assert_int_equal(batch->attempts, 2);
    free(batch);
}

static void losses_go_out_once_with_the_next_batch(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    const struct batch_loss loss = {BATCH_LOSS_CORE_AWAY, 40, FIXTURE_TIME_MS - 1000, FIXTURE_TIME_MS, 0, 0};
    store_note_loss(fixture->store, &loss);
    fixture_commit(fixture);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture_seal(fixture), 1); /* no reading, but something to tell */
    fixture_batch_of(fixture, 10);
    struct fixture_harvest harvest = fixture_harvest(fixture, 11);
    struct store_figures figures;
    store_figures(fixture->store, &figures);
    assert_int_equal(harvest.batches, 2);
    assert_int_equal(harvest.lost, 40);
    assert_int_equal(figures.lost_readings, 40);
    free(harvest.seen);
}

static void losses_without_end_still_fit_and_add_up(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    for (int64_t i = 0; i < 2000; i++) {
        const struct batch_loss loss = {
            (enum batch_loss_reason)(i % 4 == 3 ? BATCH_LOSS_CORE_AWAY : BATCH_LOSS_STORE_FULL),
            3,
            FIXTURE_TIME_MS + i * 3600000,
            FIXTURE_TIME_MS + i * 3600000 + 1,
            0,
            0};
        store_note_loss(fixture->store, &loss);
    }
    fixture_batch_of(fixture, 1);
    struct fixture_harvest harvest = fixture_harvest(fixture, 2);
    assert_int_equal(harvest.lost, 6000);
    assert_in_range(harvest.last.loss_count, 200, BATCH_LOSSES_MAX);
    free(harvest.seen);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_store_says_that_it_was_created, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(readings_come_back_once_in_chained_batches, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_committed_tail_is_there_again_after_opening, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(commits_of_every_size_come_back_after_each_opening, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(many_small_commits_ask_for_a_seal_before_they_take_much_disk, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(sealing_takes_only_what_is_committed, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_tail_too_large_for_one_batch_becomes_several, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(texts_count_as_one_reading_and_come_back, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_tail_that_nobody_seals_has_an_end, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_long_tail_is_committed_in_parts_that_end_where_it_may_be_cut, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_program_that_ends_between_two_parts_goes_on_from_the_first, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_loss_in_the_middle_of_a_long_tail_is_kept_with_its_part, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(the_cursor_is_as_old_as_the_readings, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(numbers_of_tags_stay_whatever_the_plant_becomes, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_catalogue_is_new_only_when_it_names_other_tags, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(what_is_sent_is_not_handed_out_again_and_stays_as_history, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_refused_batch_is_kept_and_its_attempts_counted, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(losses_go_out_once_with_the_next_batch, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(losses_without_end_still_fit_and_add_up, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
