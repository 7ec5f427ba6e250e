// links: gateway/core/plot.c gateway/core/text.c store/*.c gateway/common/*.c
/* test_plot.c - a history is answered without keeping the loop from its work, and ends in time. */
#include <jansson.h>

#include "gateway/common/clock.h"
#include "gateway/core/plot.h"
#include "store_fixture.h"

static void queries_are_read_and_wrong_ones_say_what_is_expected(void **state) {
    (void)state;
    struct plot_request request;
    struct fb_cause cause;
    assert_int_equal(plot_parse("tag=17&from=1000&to=2000&buckets=40", &request, &cause), FB_OK);
    assert_int_equal(request.tag, 17);
    assert_int_equal(request.from_ms, 1000);
    assert_int_equal(request.to_ms, 2000);
    assert_int_equal(request.buckets, 40);
    assert_int_equal(plot_parse("to=2000&from=0&tag=1", &request, &cause), FB_OK);
    assert_int_equal(request.buckets, PLOT_BUCKETS_DEFAULT);
    static const char *const wrong[] = {"",
                                        "tag=17",
                                        "tag=0&from=1&to=2",
                                        "tag=17&from=2&to=2",
                                        "tag=17&from=1&to=2&buckets=0",
                                        "tag=17&from=1&to=2&buckets=4097",
                                        "tag=17&from=1&to=2&more=3",
                                        "tag=17&from=-1&to=2",
                                        "tag=17&from=1x&to=2",
                                        "tag=4294967296&from=1&to=2",
                                        "tag=17&from=1&to=99999999999999999999",
                                        "tag= 17&from=1&to=2",
                                        "&&"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cause.text[0] = '\0';
        assert_int_equal(plot_parse(wrong[i], &request, &cause), FB_INVALID);
        assert_string_not_equal(cause.text, "");
    }
}

static void one_of_so_many_batches_is_read_that_the_time_suffices(void **state) {
    (void)state;
    assert_int_equal(plot_stride(1000000, 1, 15, 1000000), 1);      /* nobody knows yet what a batch takes */
    assert_int_equal(plot_stride(1000, 100000, 100, 10000), 1);     /* just so */
    assert_int_equal(plot_stride(1001, 100000, 100, 10000), 2);     /* one too many */
    assert_int_equal(plot_stride(100000, 100000, 100, 10000), 101); /* leaves a little time */
    assert_int_equal(plot_stride(0, 100000, 100, 10000), 1);
    assert_int_equal(plot_stride(1, 0, 100, 10000), HISTORY_LOOK_MOST);
    assert_int_equal(plot_stride(1000000000, 1, 100, 10000), HISTORY_LOOK_MOST);
}

struct world {
    sd_event *event;
    struct plot *plot;
    enum fb_error error;
    json_t *answer;
    bool done;
    unsigned beats;
    int64_t beat_ms, latest_ms;
};

static void on_done(enum fb_error error, const struct text *answer, const struct fb_cause *cause, void *user) {
    (void)cause;
    struct world *world = user;
    world->error = error;
    world->answer = json_loadb(answer->data, answer->used, 0, NULL);
    world->done = true;
    plot_free(world->plot);
    world->plot = NULL;
}

/* What this process has computed: what else the machine does is not its fault. */
static int64_t worked_ms(void) {
    struct timespec worked;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &worked), 0);
    return worked.tv_sec * INT64_C(1000) + worked.tv_nsec / 1000000;
}

/* Something else that wants to be done every millisecond. */
static int on_beat(sd_event_source *source, uint64_t time_us, void *user) {
    (void)time_us;
    struct world *world = user;
    const int64_t now_ms = worked_ms();
    if (world->beats++ > 0 && now_ms - world->beat_ms > world->latest_ms)
        world->latest_ms = now_ms - world->beat_ms;
    world->beat_ms = now_ms;
    sd_event_source_set_time_relative(source, 1000);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void run(struct fixture *fixture, struct world *world, const struct plot_request *request) {
    sd_event_source *beat;
    assert_int_equal(sd_event_new(&world->event), 0);
    assert_true(sd_event_add_time_relative(world->event, &beat, CLOCK_MONOTONIC, 0, 1, on_beat, world) >= 0);
    assert_int_equal(plot_start(world->event, fixture->store, request, on_done, world, &world->plot, &fixture->cause),
                     FB_OK);
    while (!world->done)
        assert_true(sd_event_run(world->event, 10000000) > 0);
    sd_event_source_disable_unref(beat);
    sd_event_unref(world->event);
}

static void a_large_history_is_complete_and_leaves_time_for_others(void **state) {
    struct fixture *fixture = *state;
    struct world world = {.done = false};
    fixture_open(fixture);
    for (size_t i = 0; i < 300; i++)
        fixture_batch_of(fixture, 5000);
    fixture_append(fixture, 1000);
    const struct plot_request request = {
        .tag = 3, .from_ms = FIXTURE_TIME_MS, .to_ms = FIXTURE_TIME_MS + 1501001, .buckets = 100, .aim_ms = 600000};
    run(fixture, &world, &request);
    assert_int_equal(world.error, FB_OK);
    json_int_t readings = 0;
    const json_t *buckets = json_object_get(world.answer, "buckets");
    assert_int_equal(json_array_size(buckets), 100);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(json_array_size(json_array_get(buckets, i)), 8);
        readings += json_integer_value(json_array_get(json_array_get(buckets, i), 1));
    }
    assert_int_equal(readings, 1501000 / FIXTURE_TAGS);
    assert_int_equal(json_integer_value(json_object_get(world.answer, "left_out_batches")), 0);
    assert_true(world.beats > 5);
    /* Slices are short, but each has a whole batch. */
    print_message("beats %u, latest after %lld ms of work\n", world.beats, (long long)world.latest_ms);
    assert_in_range(world.latest_ms, 0, 10 * PLOT_SLICE_MS);
    json_decref(world.answer);
}

/* No time at all: after the first few one batch of 1024 is read. */
static void a_history_that_takes_too_long_is_coarse_and_says_so(void **state) {
    struct fixture *fixture = *state;
    struct world world = {.done = false};
    fixture_open(fixture);
    for (size_t i = 0; i < 3000; i++)
        fixture_batch_of(fixture, FIXTURE_TAGS);
    fixture_append(fixture, FIXTURE_TAGS);
    const struct plot_request request = {
        .tag = 3, .from_ms = FIXTURE_TIME_MS, .to_ms = FIXTURE_TIME_MS + 1501001, .buckets = 100};
    run(fixture, &world, &request);
    assert_int_equal(world.error, FB_OK);
    const json_int_t left_out = json_integer_value(json_object_get(world.answer, "left_out_batches"));
    json_int_t readings = 0;
    const json_t *buckets = json_object_get(world.answer, "buckets");
    for (size_t i = 0; i < json_array_size(buckets); i++)
        readings += json_integer_value(json_array_get(json_array_get(buckets, i), 1));
    assert_in_range(left_out, 2900, 2999);
    assert_int_equal(readings, 3000 - left_out + 1); /* the tail is never left out */
    json_decref(world.answer);
}

static void append_before_the_clock_was_set(struct fixture *fixture, int64_t from_ms, int64_t to_ms) {
    for (int64_t time_ms = from_ms; time_ms < to_ms; time_ms += 1000) {
        const struct reading reading = reading_integer(1, time_ms, QUALITY_CLOCK_NOT_SET, time_ms);
        assert_int_equal(store_append(fixture->store, &reading, 1), FB_OK);
    }
    fixture_commit(fixture);
}

/* The readings of tag 1 from then on, told by a plot of one bucket. */
static json_int_t readings_within(struct fixture *fixture, int64_t from_ms, int64_t to_ms, double *ret_first,
                                  double *ret_last) {
    struct world world = {.done = false};
    run(fixture, &world,
        &(struct plot_request){.tag = 1, .from_ms = from_ms, .to_ms = to_ms, .buckets = 1, .aim_ms = 8000});
    assert_int_equal(world.error, FB_OK);
    const json_t *bucket = json_array_get(json_object_get(world.answer, "buckets"), 0);
    const json_int_t readings = json_integer_value(json_array_get(bucket, 1));
    *ret_first = json_number_value(json_array_get(bucket, 3));
    *ret_last = json_number_value(json_array_get(bucket, 4));
    json_decref(world.answer);
    return readings;
}

static void readings_are_found_under_their_true_times(void **state) {
    struct fixture *fixture = *state;
    const int64_t ahead_ms = FIXTURE_TIME_MS - 1000000;
    const struct batch_correction record = {.first_batch = 1, .to_ms = 90000, .right_ms = ahead_ms};
    double first, last;
    fixture_open(fixture);
    append_before_the_clock_was_set(fixture, 0, 50000);
    fixture_append(fixture, 10); /* one batch may hold both */
    fixture_commit(fixture);
    assert_int_equal(fixture_seal(fixture), 1);
    append_before_the_clock_was_set(fixture, 50000, 60000);
    assert_int_equal(readings_within(fixture, 0, 90000, &first, &last), 60);
    store_note_correction(fixture->store, &record);
    fixture_append(fixture, 10);
    for (int sealed = 0; sealed < 2; sealed++) {
        assert_int_equal(readings_within(fixture, 0, ahead_ms, &first, &last), 0);
        assert_int_equal(readings_within(fixture, 0, FIXTURE_TIME_MS + 1000, &first, &last), 62);
        assert_int_equal(readings_within(fixture, ahead_ms + 1, ahead_ms + 55001, &first, &last), 55);
        assert_true(first == 1000 && last == 55000);
        fixture_commit(fixture);
        assert_int_equal(fixture_seal(fixture), sealed == 0);
    }
}

static void a_tag_that_never_was_has_an_empty_history(void **state) {
    struct fixture *fixture = *state;
    struct world world = {.done = false};
    fixture_open(fixture);
    fixture_batch_of(fixture, 100);
    const struct plot_request request = {.tag = 4000, .from_ms = 0, .to_ms = 7258118400000, .buckets = 4096};
    run(fixture, &world, &request);
    assert_int_equal(world.error, FB_OK);
    assert_int_equal(json_array_size(json_object_get(world.answer, "buckets")), 0);
    json_decref(world.answer);
}

static void a_plot_can_be_given_up_at_any_time(void **state) {
    struct fixture *fixture = *state;
    struct world world = {.done = false};
    fixture_open(fixture);
    fixture_batch_of(fixture, 100);
    const struct plot_request request = {.tag = 1, .from_ms = 0, .to_ms = 7258118400000, .buckets = 10};
    assert_int_equal(sd_event_new(&world.event), 0);
    assert_int_equal(plot_start(world.event, fixture->store, &request, on_done, &world, &world.plot, &fixture->cause),
                     FB_OK);
    plot_free(world.plot);
    assert_int_equal(sd_event_run(world.event, 0), 0);
    assert_false(world.done);
    sd_event_unref(world.event);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_are_read_and_wrong_ones_say_what_is_expected),
        cmocka_unit_test(one_of_so_many_batches_is_read_that_the_time_suffices),
        cmocka_unit_test_setup_teardown(a_history_that_takes_too_long_is_coarse_and_says_so, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_large_history_is_complete_and_leaves_time_for_others, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(readings_are_found_under_their_true_times, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_tag_that_never_was_has_an_empty_history, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_plot_can_be_given_up_at_any_time, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
