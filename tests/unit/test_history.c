// links: store/*.c gateway/common/*.c
/* test_history.c - what the store holds is found by time and by number, none twice; plots count every reading. */
#include "store/history.h"
#include "store_fixture.h"

#define BATCH 1000

static struct store_batch batch;

static void make_batches(struct fixture *fixture, size_t count) {
    fixture_open(fixture);
    for (size_t i = 0; i < count; i++)
        fixture_batch_of(fixture, BATCH);
}

static void batches_come_by_number_whether_sent_or_not(void **state) {
    struct fixture *fixture = *state;
    make_batches(fixture, 5);
    const uint64_t sent[] = {2, 3};
    assert_int_equal(store_mark_sent(fixture->store, sent, 2, FIXTURE_TIME_MS, NULL), FB_OK);
    uint64_t number = 0;
    while (history_after(fixture->store, number, &batch, &fixture->cause) == FB_OK) {
        struct batch_info info;
        struct reading *readings;
        size_t units;
        assert_int_equal(batch.number, number + 1);
        assert_int_equal(batch_decode(batch.bytes, batch.length, &info, &readings, &units, NULL), FB_OK);
        assert_int_equal(info.number, batch.number);
        assert_memory_equal(info.catalogue, batch.catalogue, BATCH_HASH_BYTES);
        free(readings);
        number = batch.number;
    }
    assert_int_equal(number, 5);
    assert_int_equal(history_after(fixture->store, UINT64_MAX, &batch, NULL), FB_NOT_FOUND);
}

/* The n-th batch holds the times from (n - 1) x BATCH + 1 to n x BATCH behind the fixture's. */
static size_t count_between(struct fixture *fixture, int64_t from, int64_t to, uint64_t *ret_first) {
    struct history_place place = history_begin(FIXTURE_TIME_MS + from);
    size_t count = 0;
    *ret_first = 0;
    while (history_next(fixture->store, &place, FIXTURE_TIME_MS + to, &batch, &fixture->cause) == FB_OK) {
        *ret_first = count == 0 ? batch.number : *ret_first;
        assert_int_equal(batch.number, place.number);
        assert_int_equal(batch.number, *ret_first + count);
        count++;
    }
    return count;
}

static void only_batches_of_the_time_asked_for_are_read(void **state) {
    struct fixture *fixture = *state;
    make_batches(fixture, 10);
    uint64_t first;
    assert_int_equal(count_between(fixture, -1000000, 1000000, &first), 10);
    assert_int_equal(count_between(fixture, 2500, 4500, &first), 3);
    assert_int_equal(first, 3);
    assert_int_equal(count_between(fixture, 3000, 3000, &first), 1);
    assert_int_equal(first, 3);
    assert_int_equal(count_between(fixture, 3001, 3001, &first), 1);
    assert_int_equal(first, 4);
    assert_int_equal(count_between(fixture, 10001, 20000, &first), 0);
    assert_int_equal(count_between(fixture, -20000, 0, &first), 0);
}

/* As many batches as one call looks at, all too late, and one behind them that begins in time. */
static void a_walk_past_many_batches_takes_many_short_steps(void **state) {
    struct fixture *fixture = *state;
    struct history_place place = history_begin(FIXTURE_TIME_MS);
    fixture_open(fixture);
    for (size_t i = 0; i < HISTORY_LOOK_MOST + 10; i++) {
        fixture->sequence = 1000 + i;
        fixture_append(fixture, 1);
        assert_int_equal(store_commit(fixture->store, (struct store_cursor){1, i + 1}, NULL), FB_OK);
        fixture_seal(fixture);
    }
    fixture->sequence = 0;
    fixture_append(fixture, 1);
    fixture->sequence = 100000;
    fixture_append(fixture, 1);
    fixture_commit(fixture);
    fixture_seal(fixture);
    const int64_t to_ms = FIXTURE_TIME_MS + 500;
    assert_int_equal(history_next(fixture->store, &place, to_ms, &batch, &fixture->cause), FB_AGAIN);
    assert_int_equal(place.number, HISTORY_LOOK_MOST);
    assert_int_equal(history_next(fixture->store, &place, to_ms, &batch, &fixture->cause), FB_OK);
    assert_int_equal(batch.number, HISTORY_LOOK_MOST + 11);
    assert_int_equal(history_next(fixture->store, &place, to_ms, &batch, &fixture->cause), FB_NOT_FOUND);
}

static void batches_with_the_same_times_come_once_each(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    for (size_t i = 0; i < 4; i++) {
        fixture->sequence = 0;
        fixture_append(fixture, 10);
        assert_int_equal(store_commit(fixture->store, (struct store_cursor){1, i + 1}, NULL), FB_OK);
        fixture_seal(fixture);
    }
    uint64_t first;
    assert_int_equal(count_between(fixture, 0, 100, &first), 4);
}

static struct history_plot plot_of(uint32_t tag, int64_t from, int64_t to, size_t buckets) {
    return (struct history_plot){.tag = tag,
                                 .from_ms = FIXTURE_TIME_MS + from,
                                 .to_ms = FIXTURE_TIME_MS + to,
                                 .bucket_count = buckets,
                                 .buckets = calloc(buckets, sizeof(struct history_bucket))};
}

static void a_bucket_knows_first_last_least_greatest_sum_and_bad(void **state) {
    (void)state;
    struct history_plot plot = plot_of(7, 0, 1000, 2);
    const struct reading readings[] = {
        reading_real64(7, FIXTURE_TIME_MS + 100, QUALITY_GOOD, 5),
        reading_real64(8, FIXTURE_TIME_MS + 150, QUALITY_GOOD, 1000),
        reading_real64(7, FIXTURE_TIME_MS + 400, QUALITY_ABOVE_RANGE, 9),
        reading_real64(7, FIXTURE_TIME_MS + 300, QUALITY_GOOD, 2),
        reading_bad(7, READING_REAL64, FIXTURE_TIME_MS + 310, QUALITY_TIMEOUT, 0),
        reading_real64(7, FIXTURE_TIME_MS + 500, QUALITY_GOOD, 1),
        reading_real64(7, FIXTURE_TIME_MS + 1000, QUALITY_GOOD, 77),
        reading_real64(7, FIXTURE_TIME_MS - 1, QUALITY_GOOD, 77),
    };
    history_plot_add(&plot, readings, sizeof readings / sizeof readings[0]);
    const struct history_bucket *bucket = plot.buckets;
    assert_int_equal(bucket[0].readings, 3);
    assert_int_equal(bucket[0].bad, 1);
    assert_true(bucket[0].first == 5 && bucket[0].last == 9 && bucket[0].least == 2 && bucket[0].greatest == 9);
    assert_true(bucket[0].sum == 16);
    assert_int_equal(bucket[1].readings, 1);
    assert_int_equal(bucket[1].bad, 0);
    free(plot.buckets);
}

static void a_plot_over_batches_and_tail_counts_each_reading_once(void **state) {
    struct fixture *fixture = *state;
    make_batches(fixture, 3);
    fixture_append(fixture, BATCH); /* not even committed */
    struct history_plot plot = plot_of(1, 1, 4001, 7);
    struct history_place place = history_begin(plot.from_ms);
    while (history_next(fixture->store, &place, plot.to_ms - 1, &batch, &fixture->cause) == FB_OK) {
        struct batch_info info;
        struct reading *readings;
        size_t units;
        assert_int_equal(batch_decode(batch.bytes, batch.length, &info, &readings, &units, NULL), FB_OK);
        history_plot_add(&plot, readings, units);
        free(readings);
    }
    history_plot_add_tail(&plot, fixture->store);
    uint64_t readings = 0;
    for (size_t i = 0; i < plot.bucket_count; i++)
        readings += plot.buckets[i].readings;
    assert_int_equal(readings, 4 * BATCH / FIXTURE_TAGS);
    free(plot.buckets);
}

static void history_that_gave_way_is_told_by_its_highest_number(void **state) {
    struct fixture *fixture = *state;
    fixture->quota_bytes = STORE_QUOTA_MIN;
    fixture_open(fixture);
    for (uint64_t number = 1; number <= 100; number++) {
        fixture_batch_of(fixture, BATCH);
        assert_int_equal(store_mark_sent(fixture->store, &number, 1, FIXTURE_TIME_MS, NULL), FB_OK);
    }
    const uint64_t gone = history_evicted_to(fixture->store);
    assert_in_range(gone, 10, 90);
    assert_int_equal(history_after(fixture->store, 0, &batch, &fixture->cause), FB_OK);
    assert_int_equal(batch.number, gone + 1);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(history_evicted_to(fixture->store), gone);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(batches_come_by_number_whether_sent_or_not, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(only_batches_of_the_time_asked_for_are_read, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_walk_past_many_batches_takes_many_short_steps, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(batches_with_the_same_times_come_once_each, fixture_setup, fixture_teardown),
        cmocka_unit_test(a_bucket_knows_first_last_least_greatest_sum_and_bad),
        cmocka_unit_test_setup_teardown(a_plot_over_batches_and_tail_counts_each_reading_once, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(history_that_gave_way_is_told_by_its_highest_number, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
