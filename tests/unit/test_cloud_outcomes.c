// links: gateway/core/cloud_peer.c gateway/core/cloud_hand_out.c gateway/core/cloud_outcomes.c gateway/core/catalogue_lane.c gateway/core/damage.c gateway/core/lanes.c gateway/core/live_age.c gateway/core/event_lane.c gateway/core/text.c gateway/core/pace.c gateway/core/budget.c gateway/core/peers.c gateway/core/resend.c store/*.c gateway/common/*.c
/* test_cloud_outcomes.c - what core makes of the peer's outcomes: marked as sent, tried again, or parked. */
#include "cloud_world.h"
#include "gateway/common/clock.h"
#include "store/store_parked.h"

/* The longest wait of a batch that was refused once, see lanes.c. */
#define FIRST_WAIT_MS 2000

static void what_is_accepted_is_marked_even_if_the_program_leaves_at_once(void **state) {
    struct cloud_world *world = cloud_open(state, 1, 8);
    cloud_say_next(world, 8);
    cloud_expect(world, PARCEL_CATALOGUE, 1, 0);
    cloud_say_outcome(world, 1, PARCEL_ACCEPTED, "");
    close(world->program);
    cloud_settle(world);
    assert_int_equal(cloud_figures(world).unsent_batches, 0);
    assert_false(world->link_up);
    cloud_connect(world);
    cloud_close(world);
}

static void an_outcome_of_an_earlier_session_is_settled_all_the_same(void **state) {
    struct cloud_world *world = cloud_open(state, 2, 8);
    cloud_say_outcome(world, 1, PARCEL_RELEASED, "later");
    cloud_expect_settled(world, 1);
    cloud_say_outcome(world, 2, PARCEL_ACCEPTED, "");
    cloud_expect_settled(world, 2);
    assert_int_equal(cloud_figures(world).unsent_batches, 1);
    cloud_close(world);
}

static void check_refusal(struct cloud_world *world, const char *said, const char *shown) {
    cloud_say_outcome(world, 1, PARCEL_REJECTED, said);
    cloud_expect_settled(world, 1);
    json_t *link = cloud_peer_link_to_json(world->cloud);
    assert_string_equal(json_string_value(json_object_get(link, "refusal")), shown);
    json_decref(link);
    cloud_say_up(world, 0);
    cloud_say_next(world, 8);
    cloud_expect(world, PARCEL_CATALOGUE, 1, 0);
    cloud_expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
}

static void the_peers_words_are_shown_whatever_they_are(void **state) {
    struct cloud_world *world = cloud_open(state, 1, 8);
    char far[301], cut[STORE_REASON_MAX + 16];
    cloud_say_next(world, 8);
    cloud_settle(world);
    check_refusal(world, "queue is full", "rejected: queue is full");
    check_refusal(world, "h\xc3\xb6her \x07", "rejected: h\xc3\xb6her ?");
    check_refusal(world, "bad \xff\xfe", "rejected: bad ??");
    for (size_t i = 0; i < 300; i += 2)
        memcpy(far + i, "\xc3\xb6", 3);
    snprintf(cut, sizeof cut, "rejected: %.254s", far);
    check_refusal(world, far, cut);
    cloud_close(world);
}

static void a_refused_batch_goes_again_by_itself(void **state) {
    struct cloud_world *world = cloud_open(state, 1, 8);
    struct cloud_parcel parcel;
    cloud_say_next(world, 8);
    cloud_expect(world, PARCEL_CATALOGUE, 1, 0);
    cloud_expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    cloud_say_outcome(world, 1, PARCEL_RELEASED, "");
    cloud_expect_settled(world, 1);
    while (!cloud_hear_parcel(world, &parcel))
        assert_true(sd_event_run(world->event, CLOUD_LIMIT_US) > 0);
    assert_int_equal(parcel.number, 1);
    cloud_close(world);
}

static void refuse_catalogue(struct cloud_world *world, const char *reason) {
    cloud_say_outcome_of(world, PARCEL_CATALOGUE, 1, PARCEL_REJECTED, reason);
    cloud_settle(world);
}

/* Batches that wait for nothing go meanwhile. */
static void a_refused_catalogue_is_told_and_goes_again_by_itself(void **state) {
    struct cloud_world *world = cloud_open(state, 1, 8);
    struct cloud_parcel parcel;
    cloud_say_next(world, 8);
    cloud_expect(world, PARCEL_CATALOGUE, 1, 0);
    cloud_expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    refuse_catalogue(world, "no \xff");
    assert_string_equal(cloud_missing_catalogue(world), "rejected: no ?");
    assert_string_equal(world->happened, "catalogue-refused");
    cloud_seal_batches(world, 1);
    cloud_expect(world, PARCEL_BATCH, 2, 0);
    while (!cloud_hear_parcel(world, &parcel))
        assert_true(sd_event_run(world->event, CLOUD_LIMIT_US) > 0);
    assert_int_equal(parcel.kind, PARCEL_CATALOGUE);
    assert_int_equal(parcel.number, 1);
    refuse_catalogue(world, "still not");
    assert_string_equal(cloud_missing_catalogue(world), "rejected: still not");
    assert_int_equal(world->happened_count, 1);
    cloud_say_outcome_of(world, PARCEL_CATALOGUE, 1, PARCEL_ACCEPTED, "");
    cloud_expect_nothing(world);
    assert_string_equal(cloud_missing_catalogue(world), "");
    cloud_close(world);
}

/* As a full queue is: what was refused for that need not wait for minutes once there is room. */
static void a_refused_catalogue_goes_again_as_soon_as_the_peer_takes_anything(void **state) {
    struct cloud_world *world = cloud_open(state, 1, 8);
    cloud_say_next(world, 8);
    cloud_expect(world, PARCEL_CATALOGUE, 1, 0);
    cloud_expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    refuse_catalogue(world, "full");
    cloud_expect_nothing(world);
    cloud_say_outcome(world, 1, PARCEL_ACCEPTED, "");
    cloud_expect(world, PARCEL_CATALOGUE, 1, 0);
    cloud_expect_nothing(world);
    cloud_close(world);
}

/* It did: for as long as the link was down a timer that was due ran again and again. */
static void a_refused_batch_does_not_keep_core_busy_while_the_link_is_down(void **state) {
    struct cloud_world *world = cloud_open(state, 1, 8);
    cloud_say_next(world, 8);
    cloud_settle(world);
    cloud_say_outcome(world, 1, PARCEL_RELEASED, "");
    cloud_say(world, PROTOCOL_LINK_DOWN, NULL, 0);
    cloud_settle(world);
    cloud_peer_sealed(world->cloud);
    const int64_t end_ms = clock_monotonic_ms() + FIRST_WAIT_MS + 100;
    int64_t left_ms;
    for (int events = 0; (left_ms = end_ms - clock_monotonic_ms()) > 0; events++) {
        assert_true(events < 20);
        sd_event_run(world->event, (uint64_t)(left_ms + 1) * 1000);
    }
    cloud_close(world);
}

/* A new session each time, since the waits within one grow. The peer accepts the batch that was sealed last. */
static void reject_first(struct cloud_world *world, const char *reason) {
    cloud_say_up(world, 0);
    cloud_say_next(world, 8);
    cloud_seal_batches(world, 1);
    cloud_settle(world);
    const uint64_t last = store_last_number(world->store->store);
    cloud_say_outcome(world, last, PARCEL_ACCEPTED, "");
    cloud_expect_settled(world, last);
    cloud_say_outcome(world, 1, PARCEL_REJECTED, reason);
    cloud_expect_settled(world, 1);
}

static void a_batch_rejected_five_times_is_parked_and_the_others_go(void **state) {
    struct cloud_world *world = cloud_open(state, 1, 8);
    for (int i = 0; i < STORE_REJECTIONS_MOST; i++) {
        assert_int_equal(cloud_figures(world).parked_batches, 0);
        reject_first(world, "no such tag");
    }
    const struct store_figures figures = cloud_figures(world);
    assert_int_equal(figures.unsent_batches, 1);
    assert_int_equal(figures.parked_batches, 1);
    assert_int_equal(figures.parked_readings, 10);
    assert_string_equal(world->happened, "batch-parked");
    cloud_peer_free(world->cloud);
    world->cloud = NULL;
    fixture_close(world->store); /* and it still is after a restart */
    fixture_open(world->store);
    struct store_parked parked;
    assert_int_equal(store_next_parked(world->store->store, 0, &parked, NULL), FB_OK);
    assert_int_equal(parked.number, 1);
    assert_int_equal(parked.rejections, STORE_REJECTIONS_MOST);
    assert_string_equal(parked.reason, "rejected: no such tag");
    assert_true(parked.since_ms > 0);
    cloud_close(world);
}

static void a_released_batch_goes_out_at_once(void **state) {
    struct cloud_world *world = cloud_open(state, 3, 8);
    size_t released;
    cloud_say_up(world, 1); /* all are larger */
    cloud_say_next(world, 8);
    cloud_expect_nothing(world);
    assert_int_equal(cloud_figures(world).parked_batches, 3);
    assert_int_equal(cloud_peer_release(world->cloud, 2, 2, &released, NULL), FB_OK);
    assert_int_equal(released, 1);
    assert_int_equal(cloud_figures(world).parked_batches, 3); /* still larger than the peer takes */
    cloud_say_up(world, 0);
    cloud_say_next(world, 8);
    cloud_expect(world, PARCEL_CATALOGUE, 1, 0);
    for (uint64_t number = 1; number <= 3; number++)
        cloud_expect(world, PARCEL_BATCH, number, PARCEL_HISTORICAL);
    assert_int_equal(cloud_figures(world).parked_batches, 0);
    cloud_close(world);
}

/* A full queue rejects all alike: that says nothing of any one batch, and parking them would help nobody. */
static void a_peer_that_rejects_everything_parks_nothing(void **state) {
    struct cloud_world *world = cloud_open(state, 1, 8);
    for (int i = 0; i < 2 * STORE_REJECTIONS_MOST; i++) {
        cloud_say_up(world, 0);
        cloud_say_next(world, 8);
        cloud_settle(world);
        cloud_say_outcome(world, 1, PARCEL_REJECTED, "queue is full");
        cloud_expect_settled(world, 1);
    }
    assert_int_equal(cloud_figures(world).parked_batches, 0);
    assert_int_equal(cloud_figures(world).unsent_batches, 1);
    cloud_close(world);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_accepted_is_marked_even_if_the_program_leaves_at_once),
        TEST(an_outcome_of_an_earlier_session_is_settled_all_the_same),
        TEST(the_peers_words_are_shown_whatever_they_are),
        TEST(a_refused_batch_goes_again_by_itself),
        TEST(a_refused_catalogue_is_told_and_goes_again_by_itself),
        TEST(a_refused_catalogue_goes_again_as_soon_as_the_peer_takes_anything),
        TEST(a_refused_batch_does_not_keep_core_busy_while_the_link_is_down),
        TEST(a_batch_rejected_five_times_is_parked_and_the_others_go),
        TEST(a_released_batch_goes_out_at_once),
        TEST(a_peer_that_rejects_everything_parks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
