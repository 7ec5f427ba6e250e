// links: gateway/core/pace.c
/* test_pace.c - how much backlog is under way, on simulated paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/core/pace.h"

#define BATCH_BYTES ((size_t)120 * 1024)
#define UNDER_WAY_MOST 4096

/* A path: so many bytes a second, so long there and back beside that. Backlog is sent as the pace allows. */
struct path {
    uint64_t bytes_per_s;
    int64_t round_trip_ms;
    int64_t answers_every_ms; /* the peer answers only so often, all at once; 0: each by itself */
    int64_t stall_every_ms;   /* and not at all in the second half of each such time; 0: never */
    struct pace pace;
    int64_t now_ms;
    int64_t free_ms; /* when its last byte has gone */
    struct {
        struct pace_flight flight;
        int64_t answer_ms;
    } under_way[UNDER_WAY_MOST]; /* in order */
    size_t first, count;
    uint64_t sent;
    int64_t queue_worst_ms; /* how long a live batch would have had to wait behind backlog */
};

static int64_t answer_ms(const struct path *path, int64_t taken_ms) {
    int64_t at_ms = taken_ms;
    const int64_t every_ms = path->answers_every_ms, stall_ms = path->stall_every_ms;
    if (every_ms > 0)
        at_ms = (at_ms + every_ms - 1) / every_ms * every_ms;
    if (stall_ms > 0 && at_ms % stall_ms > stall_ms / 2)
        at_ms = (at_ms / stall_ms + 1) * stall_ms;
    return at_ms;
}

static void send_one(struct path *path) {
    const size_t at = (path->first + path->count++) % UNDER_WAY_MOST;
    path->free_ms = (path->free_ms > path->now_ms ? path->free_ms : path->now_ms) +
                    (int64_t)(BATCH_BYTES * 1000 / path->bytes_per_s);
    path->under_way[at].flight = pace_out(&path->pace, path->now_ms);
    path->under_way[at].answer_ms = answer_ms(path, path->free_ms + path->round_trip_ms);
    pace_spend(&path->pace, BATCH_BYTES);
}

static void answer_due(struct path *path) {
    while (path->count > 0 && path->under_way[path->first].answer_ms <= path->now_ms) {
        pace_answer(&path->pace, &path->under_way[path->first].flight, BATCH_BYTES, path->now_ms);
        path->first = (path->first + 1) % UNDER_WAY_MOST;
        path->count--;
        path->sent += BATCH_BYTES;
    }
}

static void run(struct path *path, int64_t for_ms) {
    const int64_t end_ms = path->now_ms + for_ms;
    for (; path->now_ms < end_ms; path->now_ms++) {
        answer_due(path);
        while (path->count < UNDER_WAY_MOST && pace_open(&path->pace, path->count * BATCH_BYTES, path->now_ms))
            send_one(path);
        if (path->free_ms - path->now_ms > path->queue_worst_ms)
            path->queue_worst_ms = path->free_ms - path->now_ms;
    }
}

static struct path begin(uint64_t bytes_per_s, int64_t round_trip_ms) {
    struct path path = {.bytes_per_s = bytes_per_s, .round_trip_ms = round_trip_ms, .now_ms = 1};
    pace_begin(&path.pace, path.now_ms);
    return path;
}

static void assert_fills_without_queueing(uint64_t bytes_per_s, int64_t round_trip_ms) {
    struct path path = begin(bytes_per_s, round_trip_ms);
    run(&path, 10000); /* finds out what the path takes */
    path.sent = 0;
    path.queue_worst_ms = 0;
    run(&path, 60000);
    const int64_t one_ms = (int64_t)(BATCH_BYTES * 1000 / bytes_per_s);
    assert_true(path.sent >= bytes_per_s * 60 * 9 / 10 ||
                path.sent >= BATCH_BYTES * 60000 * 9 / 10 / (uint64_t)(one_ms + round_trip_ms));
    assert_true(path.queue_worst_ms <= PACE_AHEAD_MS + round_trip_ms / 4 + 2 * one_ms);
}

static void every_path_is_filled_and_no_more_than_a_moment_ahead(void **state) {
    (void)state;
    assert_fills_without_queueing(20 * 1000, 300);       /* a bad cell */
    assert_fills_without_queueing(1000 * 1000, 50);      /* a good one */
    assert_fills_without_queueing(1000 * 1000, 700);     /* a satellite */
    assert_fills_without_queueing(12 * 1000 * 1000, 20); /* a line */
    assert_fills_without_queueing(100 * 1000 * 1000, 2); /* the same building */
}

static void assert_bursts_do_not_look_like_a_fast_path(uint64_t bytes_per_s, int64_t round_trip_ms, int64_t every_ms,
                                                       int64_t stall_ms) {
    struct path path = begin(bytes_per_s, round_trip_ms);
    path.answers_every_ms = every_ms;
    path.stall_every_ms = stall_ms;
    run(&path, 5 * 60 * 1000);
    const int64_t one_ms = (int64_t)(BATCH_BYTES * 1000 / bytes_per_s);
    const int64_t shortest_ms = path.pace.round_trip_ms;
    assert_true(path.queue_worst_ms <= PACE_AHEAD_MS + shortest_ms / 4 + 2 * one_ms);
    assert_true(pace_most(&path.pace) <= bytes_per_s * (uint64_t)(2 * PACE_AHEAD_MS + 2 * shortest_ms) / 1000 ||
                pace_most(&path.pace) == PACE_BYTES_LEAST);
    assert_true(path.sent > 0);
}

static void answers_in_bursts_do_not_look_like_a_fast_path(void **state) {
    (void)state;
    assert_bursts_do_not_look_like_a_fast_path(1000 * 1000, 2, 100, 0);
    assert_bursts_do_not_look_like_a_fast_path(1000 * 1000, 50, 0, 2000);
    assert_bursts_do_not_look_like_a_fast_path(1000 * 1000, 2, 0, 7000);
    assert_bursts_do_not_look_like_a_fast_path(1000 * 1000, 2, 30, 1100);
    assert_bursts_do_not_look_like_a_fast_path(4 * 1000 * 1000, 10, 250, 0);
    assert_bursts_do_not_look_like_a_fast_path(12 * 1000 * 1000, 20, 0, 600);
}

static void a_slow_path_has_one_batch_under_way(void **state) {
    (void)state;
    struct path path = begin(20 * 1000, 300);
    for (int i = 0; i < 100; i++) {
        run(&path, 1000);
        assert_in_range(path.count, 0, 1);
    }
}

static void a_path_that_becomes_slow_is_filled_less_after_a_while(void **state) {
    (void)state;
    struct path path = begin(10 * 1000 * 1000, 20);
    run(&path, 10000);
    assert_true(pace_most(&path.pace) > 1000 * 1000);
    path.bytes_per_s = 100 * 1000;
    run(&path, 3 * PACE_RATE_MS);
    run(&path, 60000);
    assert_true(pace_most(&path.pace) <= 2 * PACE_BYTES_LEAST);
}

static void a_configured_rate_is_kept_over_time_and_not_saved_up(void **state) {
    (void)state;
    struct path path = begin(100 * 1000 * 1000, 2);
    pace_limit(&path.pace, 50 * 1000, path.now_ms);
    run(&path, 600 * 1000);
    assert_in_range(path.sent, UINT64_C(600) * 50 * 1000 * 98 / 100, UINT64_C(600) * 50 * 1000 + 2 * BATCH_BYTES);
    path.now_ms += 3600 * 1000; /* nothing to send for an hour */
    path.sent = 0;
    run(&path, 10 * 1000);
    assert_true(path.sent <= 11 * 50 * 1000 + BATCH_BYTES);
    assert_true(pace_wake_ms(&path.pace) > path.now_ms - 10);
    pace_limit(&path.pace, 0, path.now_ms);
    assert_int_equal(pace_wake_ms(&path.pace), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_path_is_filled_and_no_more_than_a_moment_ahead),
        cmocka_unit_test(answers_in_bursts_do_not_look_like_a_fast_path),
        cmocka_unit_test(a_slow_path_has_one_batch_under_way),
        cmocka_unit_test(a_path_that_becomes_slow_is_filled_less_after_a_while),
        cmocka_unit_test(a_configured_rate_is_kept_over_time_and_not_saved_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
