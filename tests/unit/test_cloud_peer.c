// links: gateway/core/cloud_peer.c gateway/core/cloud_hand_out.c gateway/core/cloud_outcomes.c gateway/core/catalogue_lane.c gateway/core/damage.c gateway/core/lanes.c gateway/core/live_age.c gateway/core/event_lane.c gateway/core/text.c gateway/core/pace.c gateway/core/budget.c gateway/core/peers.c gateway/core/resend.c store/*.c gateway/common/*.c
/* test_cloud_peer.c - the exchange with forebay-cloud, over a real socket: sessions, what breaks the rules, attempts.
 */
#include "cloud_world.h"

static void a_link_that_went_down_is_handed_nothing_more(void **state) {
    struct cloud_world *world = cloud_open(state, 3, 1);
    cloud_say_next(world, 100);
    cloud_expect(world, PARCEL_CATALOGUE, 1, 0);
    cloud_expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    cloud_say_outcome(world, 1, PARCEL_ACCEPTED, ""); /* makes room in the window */
    cloud_expect(world, PARCEL_BATCH, 2, PARCEL_HISTORICAL);
    cloud_say_outcome(world, 2, PARCEL_RELEASED, "");
    cloud_say(world, PROTOCOL_LINK_DOWN, NULL, 0);
    cloud_expect_nothing(world);
    assert_false(world->link_up);
    assert_int_equal(cloud_figures(world).unsent_batches, 2);
    cloud_seal_batches(world, 1);
    cloud_say_next(world, 100);
    cloud_expect_nothing(world);
    cloud_close(world);
}

static void a_new_session_begins_anew_with_its_catalogue(void **state) {
    struct cloud_world *world = cloud_open(state, 1, 8);
    cloud_say_next(world, 8);
    cloud_seal_batches(world, 1);
    cloud_expect(world, PARCEL_CATALOGUE, 1, 0);
    cloud_expect(world, PARCEL_BATCH, 2, 0); /* live ones first */
    cloud_expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    cloud_say_outcome(world, 2, PARCEL_ACCEPTED, "");
    cloud_say_up(world, 0);
    cloud_say_next(world, 8);
    cloud_expect(world, PARCEL_CATALOGUE, 1, 0);
    cloud_expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    cloud_expect_nothing(world);
    cloud_close(world);
}

static void a_bad_message_drops_the_program_and_its_link(void **state) {
    struct cloud_world *world = cloud_open(state, 1, 8);
    cloud_say(world, PROTOCOL_LINK_STATUS, "{\"state\": \"up\"}", 15);
    cloud_settle(world);
    cloud_say(world, PROTOCOL_LINK_UP, "x", 1);
    cloud_settle(world);
    assert_false(world->link_up);
    assert_int_equal(cloud_peer_peer(world->cloud)->dropped, 1);
    json_t *link = cloud_peer_link_to_json(world->cloud);
    assert_string_equal(json_string_value(json_object_get(link, "state")), "off");
    assert_true(json_is_true(json_object_get(link, "configured")));
    json_decref(link);
    cloud_close(world);
}

static void say_attempt(struct cloud_world *world, uint64_t number, const char *run) {
    uint8_t bytes[200];
    memcpy(bytes, &number, sizeof number);
    const int length = snprintf((char *)bytes + sizeof number, sizeof bytes - sizeof number,
                                "{\"run\": \"%s\", \"number\": %llu}", run, (unsigned long long)number);
    cloud_say(world, PROTOCOL_ATTEMPT, bytes, sizeof number + (size_t)length);
    cloud_settle(world);
}

static void expect_kept(struct cloud_world *world, uint64_t number) {
    struct message_reader reader;
    cloud_peer_attempts_kept(world->cloud);
    cloud_settle(world);
    assert_true(cloud_hear(world, PROTOCOL_ATTEMPT_KEPT, &reader));
    assert_int_equal(message_get_u64(&reader), number);
}

static void attempts_are_acknowledged_when_they_are_on_disk_and_taken_once(void **state) {
    struct cloud_world *world = cloud_open(state, 0, 8);
    struct message_reader reader;
    say_attempt(world, 1, "aa");
    say_attempt(world, 2, "aa");
    assert_int_equal(world->attempts, 2);
    assert_false(cloud_hear(world, PROTOCOL_ATTEMPT_KEPT, &reader)); /* not on disk yet */
    close(world->program);
    cloud_settle(world);
    cloud_connect(world);
    say_attempt(world, 1, "aa"); /* told again, since nothing was acknowledged */
    say_attempt(world, 2, "aa");
    say_attempt(world, 3, "aa");
    assert_int_equal(world->attempts, 3);
    expect_kept(world, 3);
    cloud_peer_attempts_kept(world->cloud);
    cloud_settle(world);
    assert_false(cloud_hear(world, PROTOCOL_ATTEMPT_KEPT, &reader));
    say_attempt(world, 1, "bb"); /* forebay-cloud has been started anew */
    assert_int_equal(world->attempts, 4);
    expect_kept(world, 1);
    cloud_close(world);
}

static void new_batches_stay_below_what_the_peer_takes(void **state) {
    struct cloud_world *world = cloud_open(state, 0, 8);
    static struct store_batch batch;
    cloud_say_up(world, 20000);
    cloud_settle(world);
    fixture_append(world->store, 10000); /* about 80 kB */
    fixture_commit(world->store);
    assert_true(fixture_seal(world->store) >= 4);
    for (uint64_t number = 1; number <= store_last_number(world->store->store); number++) {
        assert_int_equal(store_next(world->store->store, number, number, &batch, NULL), FB_OK);
        assert_in_range(batch.length, 1, 20000);
    }
    cloud_close(world);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_link_that_went_down_is_handed_nothing_more),
        TEST(a_new_session_begins_anew_with_its_catalogue),
        TEST(a_bad_message_drops_the_program_and_its_link),
        TEST(attempts_are_acknowledged_when_they_are_on_disk_and_taken_once),
        TEST(new_batches_stay_below_what_the_peer_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
