// links: gateway/core/lanes.c gateway/common/backoff.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "gateway/core/lanes.h"

/* The longest wait lanes.c makes, and a little more. */
#define LONG_MS (6 * 60 * 1000)
#define BATCHES_MAX 6000

static struct lanes lanes;

static struct lanes_range next_range(int64_t now_ms) {
    struct lanes_range range;
    assert_true(lanes_next(&lanes, now_ms, true, &range));
    return range;
}

static void go_out(const struct lanes_range *range, uint64_t number) {
    const struct lanes_flight flight = {.number = number, .bytes = 10};
    lanes_out(&lanes, range, &flight);
}

static struct lanes_flight settled;

static bool settle(uint64_t number) {
    return lanes_settle(&lanes, number, &settled);
}

static void wait_for(uint64_t number, uint32_t attempts, int64_t now_ms, uint32_t random) {
    settled.number = number;
    lanes_wait(&lanes, &settled, attempts, now_ms, random);
}

static void hand_out(uint64_t number) {
    const struct lanes_range range = next_range(0);
    assert_in_range(number, range.first, range.last);
    go_out(&range, number);
}

static void live_batches_go_before_the_backlog(void **state) {
    (void)state;
    lanes_begin(&lanes, 5);
    struct lanes_range range = next_range(0);
    assert_int_equal(range.first, 5);
    assert_false(range.historical);
    lanes_none(&lanes, &range);
    range = next_range(0);
    assert_int_equal(range.first, 1);
    assert_int_equal(range.last, 4);
    assert_true(range.historical);
    go_out(&range, 2);
    lanes_sealed(&lanes);
    range = next_range(0);
    assert_int_equal(range.first, 5);
    go_out(&range, 5);
    range = next_range(0);
    assert_int_equal(range.first, 6);
    lanes_none(&lanes, &range);
    assert_int_equal(next_range(0).first, 3);
}

/* Nothing was salvaged: the last lane is looked into once. */
static void end_salvaged(void) {
    struct lanes_range range = next_range(0);
    assert_int_equal(range.first, STORE_SALVAGED_FIRST);
    assert_true(range.historical);
    lanes_none(&lanes, &range);
}

static void a_backlog_of_one_batch_ends(void **state) {
    (void)state;
    lanes_begin(&lanes, 2);
    struct lanes_range range = next_range(0);
    lanes_none(&lanes, &range);
    range = next_range(0);
    assert_int_equal(range.first, range.last);
    go_out(&range, 1);
    end_salvaged();
    assert_false(lanes_next(&lanes, 0, true, &range));
}

static void what_was_salvaged_goes_last_and_once(void **state) {
    (void)state;
    lanes_begin(&lanes, 1);
    struct lanes_range range = next_range(0);
    lanes_none(&lanes, &range);
    end_salvaged();
    lanes_salvaged(&lanes);
    range = next_range(0);
    go_out(&range, STORE_SALVAGED_FIRST + 4);
    range = next_range(0);
    assert_int_equal(range.first, STORE_SALVAGED_FIRST + 5);
    lanes_sealed(&lanes); /* a live one overtakes */
    range = next_range(0);
    assert_int_equal(range.first, 1);
    assert_int_equal(range.last, STORE_SALVAGED_FIRST - 1);
    assert_false(range.historical);
    assert_true(settle(STORE_SALVAGED_FIRST + 4));
    wait_for(STORE_SALVAGED_FIRST + 4, 1, 0, 0);
    range = next_range(lanes_wake_ms(&lanes, true));
    assert_int_equal(range.first, STORE_SALVAGED_FIRST + 4);
    assert_true(range.historical);
}

static void an_empty_store_has_nothing_to_look_for(void **state) {
    (void)state;
    lanes_begin(&lanes, 1);
    struct lanes_range range = next_range(0);
    assert_int_equal(range.first, 1);
    assert_false(range.historical);
    lanes_none(&lanes, &range);
    end_salvaged();
    assert_false(lanes_next(&lanes, 0, true, &range));
    assert_int_equal(lanes_wake_ms(&lanes, true), 0);
}

static void a_refused_batch_waits_alone(void **state) {
    (void)state;
    lanes_begin(&lanes, 1);
    hand_out(1);
    assert_true(settle(1));
    wait_for(1, 1, 1000, 0);
    const int64_t wake_ms = lanes_wake_ms(&lanes, true);
    assert_true(wake_ms > 1000);
    assert_int_equal(next_range(wake_ms - 1).first, 2);
    const struct lanes_range range = next_range(wake_ms);
    assert_int_equal(range.first, 1);
    assert_int_equal(range.last, 1);
    go_out(&range, 1);
    assert_int_equal(next_range(wake_ms).first, 2);
    assert_int_equal(lanes_wake_ms(&lanes, true), 0);
}

static void a_waiting_batch_that_is_gone_is_forgotten(void **state) {
    (void)state;
    lanes_begin(&lanes, 1);
    hand_out(1);
    assert_true(settle(1));
    wait_for(1, 1, 0, 0);
    struct lanes_range range = next_range(LONG_MS);
    assert_int_equal(range.first, 1);
    lanes_none(&lanes, &range);
    assert_int_equal(lanes_wake_ms(&lanes, true), 0);
    assert_int_equal(next_range(LONG_MS).first, 2);
}

static void waits_grow_with_the_attempts_and_stay_bounded(void **state) {
    (void)state;
    int64_t last_ms = 0;
    for (uint32_t attempts = 1; attempts < 64; attempts++) {
        lanes_begin(&lanes, 1);
        hand_out(1);
        assert_true(settle(1));
        wait_for(1, attempts, 0, UINT32_MAX);
        assert_true(lanes_wake_ms(&lanes, true) >= last_ms);
        last_ms = lanes_wake_ms(&lanes, true);
        assert_true(last_ms < LONG_MS);
    }
    assert_true(last_ms >= 60000);
}

static void what_is_not_in_flight_has_no_outcome(void **state) {
    (void)state;
    lanes_begin(&lanes, 1);
    assert_false(settle(1));
    hand_out(1);
    assert_int_equal(lanes.open_bytes, 10);
    assert_true(settle(1));
    assert_false(settle(1));
    assert_int_equal(lanes.open_bytes, 0);
}

static void a_peer_that_refuses_all_is_asked_for_no_more_than_can_wait(void **state) {
    (void)state;
    lanes_begin(&lanes, 1);
    for (uint64_t number = 1; number <= LANES_WAITING_MAX; number++) {
        hand_out(number);
        assert_true(settle(number));
        wait_for(number, 1, 1000, 0);
    }
    struct lanes_range range;
    assert_false(lanes_next(&lanes, 1000, true, &range));
    for (unsigned i = 0; i < LANES_WAITING_MAX; i++) {
        range = next_range(LONG_MS);
        assert_int_equal(range.first, range.last);
        go_out(&range, range.first);
    }
    assert_false(lanes_next(&lanes, LONG_MS, true, &range));
    assert_int_equal(lanes.in_flight_count, LANES_IN_FLIGHT_MAX);
}

/* Against a model: a store, a peer, and a link that comes and goes, all at random. */
enum place { PLACE_UNSENT, PLACE_IN_FLIGHT, PLACE_WAITING, PLACE_GONE };

static struct model {
    uint64_t random;
    int64_t now_ms;
    uint64_t last; /* number of the newest batch */
    uint64_t session_first;
    enum place place[BATCHES_MAX + 1];
    size_t in_flight;
} model;

static uint32_t draw(uint32_t below) {
    model.random = model.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((model.random >> 33) % below);
}

static void begin_session(void) {
    model.session_first = model.last + 1;
    lanes_begin(&lanes, model.session_first);
    for (uint64_t number = 1; number <= model.last; number++)
        if (model.place[number] != PLACE_GONE)
            model.place[number] = PLACE_UNSENT;
    model.in_flight = 0;
}

static void seal_some(void) {
    for (uint32_t count = 1 + draw(3); count > 0 && model.last < BATCHES_MAX; count--)
        model.place[++model.last] = PLACE_UNSENT;
    lanes_sealed(&lanes);
}

/* What the store would give: it knows of what was sent, not of what is under way. */
static uint64_t lowest_unsent(const struct lanes_range *range) {
    for (uint64_t number = range->first; number <= range->last && number <= model.last; number++)
        if (model.place[number] != PLACE_GONE)
            return number;
    return 0;
}

static bool any_unsent(uint64_t first, uint64_t last) {
    for (uint64_t number = first; number <= last; number++)
        if (model.place[number] == PLACE_UNSENT)
            return true;
    return false;
}

/* One step of handing out. False when the lanes have nothing. */
static bool hand_out_one(void) {
    struct lanes_range range;
    if (!lanes_next(&lanes, model.now_ms, true, &range))
        return false;
    const uint64_t number = lowest_unsent(&range);
    if (number == 0) {
        lanes_none(&lanes, &range);
        return true;
    }
    if (lanes_holds(&lanes, &range, number)) {
        lanes_pass(&lanes, &range, number);
        return true;
    }
    assert_int_not_equal(model.place[number], PLACE_IN_FLIGHT);
    assert_int_equal(range.historical, number < model.session_first);
    if (range.historical && model.place[number] == PLACE_UNSENT)
        assert_false(any_unsent(model.session_first, model.last));
    model.place[number] = PLACE_IN_FLIGHT;
    model.in_flight++;
    go_out(&range, number);
    return true;
}

static uint64_t any_in_flight(void) {
    return model.in_flight > 0 ? lanes.in_flight[draw((uint32_t)model.in_flight)].number : 0;
}

static void settle_one(unsigned refused_percent) {
    const uint64_t number = any_in_flight();
    if (number == 0)
        return;
    assert_true(settle(number));
    model.in_flight--;
    if (draw(100) >= refused_percent) {
        model.place[number] = PLACE_GONE;
        return;
    }
    wait_for(number, 1 + draw(4), model.now_ms, draw(UINT32_MAX));
    if (model.place[number] != PLACE_GONE) /* it may have been evicted meanwhile */
        model.place[number] = PLACE_WAITING;
}

static void evict_one(void) {
    for (uint64_t number = 1; number <= model.last; number++)
        if (model.place[number] == PLACE_UNSENT || model.place[number] == PLACE_WAITING) {
            model.place[number] = PLACE_GONE;
            return;
        }
}

static void check_model(void) {
    assert_int_equal(lanes.in_flight_count, model.in_flight);
    assert_int_equal(lanes.open_bytes, 10 * model.in_flight);
    assert_true(lanes.in_flight_count + lanes.waiting_count <= LANES_WAITING_MAX);
}

static void do_anything(unsigned refused_percent) {
    const uint32_t what = draw(1000);
    if (what < 2)
        begin_session();
    else if (what < 200)
        seal_some();
    else if (what < 600)
        hand_out_one();
    else if (what < 900)
        settle_one(refused_percent);
    else if (what < 920)
        evict_one();
    else
        model.now_ms += draw(2000);
    check_model();
}

static bool all_gone(void) {
    for (uint64_t number = 1; number <= model.last; number++)
        if (model.place[number] != PLACE_GONE)
            return false;
    return true;
}

/* With a peer that takes everything, time alone must bring out all that is left. */
static void drain(void) {
    for (int round = 0; round < BATCHES_MAX && !all_gone(); round++) {
        while (hand_out_one())
            check_model();
        while (model.in_flight > 0)
            settle_one(0);
        const int64_t wake_ms = lanes_wake_ms(&lanes, true);
        if (wake_ms > model.now_ms)
            model.now_ms = wake_ms;
    }
    assert_true(all_gone());
    assert_int_equal(lanes.in_flight_count, 0);
}

static void whatever_happens_each_batch_goes_out_and_never_twice_at_once(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        memset(&model, 0, sizeof model);
        model.random = seed;
        model.now_ms = 1;
        model.last = draw(50);
        begin_session();
        const unsigned refused_percent = draw(101);
        for (int step = 0; step < 10000; step++)
            do_anything(refused_percent);
        drain();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_batches_go_before_the_backlog),
        cmocka_unit_test(a_backlog_of_one_batch_ends),
        cmocka_unit_test(what_was_salvaged_goes_last_and_once),
        cmocka_unit_test(an_empty_store_has_nothing_to_look_for),
        cmocka_unit_test(a_refused_batch_waits_alone),
        cmocka_unit_test(a_waiting_batch_that_is_gone_is_forgotten),
        cmocka_unit_test(waits_grow_with_the_attempts_and_stay_bounded),
        cmocka_unit_test(what_is_not_in_flight_has_no_outcome),
        cmocka_unit_test(a_peer_that_refuses_all_is_asked_for_no_more_than_can_wait),
        cmocka_unit_test(whatever_happens_each_batch_goes_out_and_never_twice_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
