// links: gateway/core/event_lane.c gateway/core/text.c store/*.c gateway/common/*.c
/* test_event_lane.c - events go out in order, each until it is accepted, or rejected too often. */
#include "gateway/core/event_lane.h"
#include "store/store_records.h"
#include "store_fixture.h"

static struct event_lane lane;

static void record(struct fixture *fixture, const char *body) {
    uint64_t number;
    assert_int_equal(store_record_add(fixture->store, STORE_RECORD_EVENT, FIXTURE_TIME_MS, body, strlen(body), &number,
                                      &fixture->cause),
                     FB_OK);
    fixture_append(fixture, 1);
    fixture_commit(fixture);
}

static uint64_t next(struct fixture *fixture, int64_t now_ms) {
    struct text body;
    if (event_lane_next(&lane, fixture->store, "plant-1", now_ms, &body, &fixture->cause) != FB_OK)
        return 0;
    text_done(&body);
    return lane.under_way;
}

static void begin(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    lane = (struct event_lane){.open = true};
    event_lane_begin(&lane);
    for (int i = 0; i < 3; i++)
        record(fixture, "{\"event\":\"x\"}");
}

static void a_refused_event_goes_again_before_the_next(void **state) {
    struct fixture *fixture = *state;
    begin(state);
    assert_int_equal(next(fixture, 0), 1);
    assert_int_equal(next(fixture, 0), 0);
    assert_false(event_lane_refused(&lane, 1, false, 0, 0, 0));
    assert_int_equal(next(fixture, 0), 0);
    assert_true(event_lane_wake_ms(&lane) > 0);
    assert_int_equal(next(fixture, event_lane_wake_ms(&lane)), 1);
    assert_true(event_lane_accepted(&lane, 1));
    assert_false(event_lane_accepted(&lane, 1));
    assert_int_equal(next(fixture, 0), 2);
}

/* Its reason may be the queue: only when batches get through is it the event. */
static void an_event_is_given_up_only_when_batches_are_taken_meanwhile(void **state) {
    struct fixture *fixture = *state;
    int64_t now_ms = 1;
    begin(state);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(next(fixture, now_ms), 1);
        assert_false(event_lane_refused(&lane, 1, true, 0, now_ms, 0));
        now_ms = event_lane_wake_ms(&lane);
    }
    for (uint64_t accepted = 1; accepted < EVENT_LANE_REJECTIONS_MOST; accepted++) {
        assert_int_equal(next(fixture, now_ms), 1);
        assert_false(event_lane_refused(&lane, 1, true, accepted, now_ms, 0));
        now_ms = event_lane_wake_ms(&lane);
    }
    assert_int_equal(next(fixture, now_ms), 1);
    assert_true(event_lane_refused(&lane, 1, true, EVENT_LANE_REJECTIONS_MOST, now_ms, 0));
    assert_int_equal(next(fixture, now_ms), 2);
}

static void a_new_session_sends_what_was_under_way_again(void **state) {
    struct fixture *fixture = *state;
    begin(state);
    assert_int_equal(next(fixture, 0), 1);
    event_lane_begin(&lane);
    assert_int_equal(next(fixture, 0), 1);
}

static void a_body_that_names_itself_is_overruled(void **state) {
    struct fixture *fixture = *state;
    struct text body;
    begin(state);
    record(fixture, "{\"number\":99,\"gateway\":\"other\",\"event\":\"y\"}");
    lane.sent = 3;
    assert_int_equal(event_lane_next(&lane, fixture->store, "plant-1", 0, &body, &fixture->cause), FB_OK);
    json_t *json = json_loadb(body.data, body.used, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(json, "number")), 4);
    assert_string_equal(json_string_value(json_object_get(json, "gateway")), "plant-1");
    assert_string_equal(json_string_value(json_object_get(json, "event")), "y");
    json_decref(json);
    text_done(&body);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_refused_event_goes_again_before_the_next),
        TEST(an_event_is_given_up_only_when_batches_are_taken_meanwhile),
        TEST(a_new_session_sends_what_was_under_way_again),
        TEST(a_body_that_names_itself_is_overruled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
