// links: gateway/core/cloud_peer.c gateway/core/cloud_hand_out.c gateway/core/cloud_outcomes.c gateway/core/catalogue_lane.c gateway/core/damage.c gateway/core/lanes.c gateway/core/live_age.c gateway/core/event_lane.c gateway/core/text.c gateway/core/pace.c gateway/core/budget.c gateway/core/peers.c gateway/core/resend.c store/*.c gateway/common/*.c
/* test_cloud_hand_out.c - what core hands out to forebay-cloud, in which order, and how much of it at a time. */
#include "cloud_world.h"
#include "store/store_records.h"
#include "store_account.h"

static void nothing_goes_out_before_it_is_asked_for(void **state) {
    struct cloud_world *world = cloud_open(state, 2, 8);
    cloud_expect_nothing(world);
    cloud_say_next(world, 2);
    cloud_expect(world, PARCEL_CATALOGUE, 1, 0);
    cloud_expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    cloud_expect_nothing(world);
    cloud_say_next(world, 8);
    cloud_expect(world, PARCEL_BATCH, 2, PARCEL_HISTORICAL);
    cloud_seal_batches(world, 1);
    cloud_expect(world, PARCEL_BATCH, 3, 0);
    cloud_expect_nothing(world);
    cloud_close(world);
}

static void a_window_of_one_message_is_enough(void **state) {
    struct cloud_world *world = cloud_open(state, 1, 1);
    cloud_say_next(world, 1);
    cloud_expect(world, PARCEL_CATALOGUE, 1, 0);
    cloud_expect_nothing(world);
    cloud_say_next(world, 1);
    cloud_expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    cloud_close(world);
}

static void what_is_in_flight_stays_within_the_configured_window(void **state) {
    struct cloud_world *world = cloud_open(state, 5, 2);
    cloud_say_next(world, 100);
    cloud_expect(world, PARCEL_CATALOGUE, 1, 0);
    cloud_expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    cloud_expect(world, PARCEL_BATCH, 2, PARCEL_HISTORICAL);
    cloud_expect_nothing(world);
    cloud_say_outcome(world, 1, PARCEL_ACCEPTED, "");
    cloud_expect(world, PARCEL_BATCH, 3, PARCEL_HISTORICAL); /* at once, whenever the acceptance is written down */
    cloud_expect_settled(world, 1);
    assert_int_equal(cloud_figures(world).unsent_batches, 4);
    cloud_close(world);
}

/* More than the smallest store holds, in batches that are too small to be thinned. */
#define FLOOD_BATCHES 600
#define FLOOD_READINGS 300

/* As long as nothing else is left. */
static void what_is_in_flight_does_not_give_way_to_the_quota(void **state) {
    ((struct fixture *)*state)->quota_bytes = STORE_QUOTA_MIN;
    struct cloud_world *world = cloud_open(state, 3, 2);
    struct store_batch *batch = &(struct store_batch){0};
    cloud_say_next(world, 100);
    cloud_expect(world, PARCEL_CATALOGUE, 1, 0);
    cloud_expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    cloud_expect(world, PARCEL_BATCH, 2, PARCEL_HISTORICAL);
    for (unsigned i = 0; i < FLOOD_BATCHES; i++)
        fixture_batch_of(world->store, FLOOD_READINGS);
    assert_true(cloud_figures(world).lost_readings > 0);
    assert_int_equal(store_next(world->store->store, 3, 3, batch, NULL), FB_NOT_FOUND);
    assert_int_equal(store_next(world->store->store, 1, 1, batch, NULL), FB_OK);
    const uint64_t unsent = cloud_figures(world).unsent_batches;
    for (uint64_t number = 1; number <= 2; number++)
        cloud_say_outcome(world, number, PARCEL_ACCEPTED, "");
    for (uint64_t number = 1; number <= 2; number++)
        cloud_expect_settled(world, number);
    assert_int_equal(cloud_figures(world).unsent_batches, unsent - 2);
    cloud_close(world);
}

/* Names that do not compress make the catalogue larger than a batch. */
static void name_at_random(struct fixture *fixture) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < FIXTURE_TAGS; i++)
        for (size_t k = 0; k + 1 < sizeof fixture->tags[i].name; k++)
            fixture->tags[i].name[k] = letters[(uint64_t)fixture_reading(i * 64 + k).value.integer % 64];
}

static uint32_t catalogue_length(struct cloud_world *world) {
    static uint8_t bytes[CATALOGUE_BYTES_MAX];
    struct store_batch *batch = &(struct store_batch){0};
    uint64_t revision;
    size_t length;
    assert_int_equal(store_next(world->store->store, 1, 1, batch, NULL), FB_OK);
    assert_int_equal(
        store_read_catalogue(world->store->store, batch->catalogue, &revision, bytes, &length, &world->store->cause),
        FB_OK);
    assert_true(batch->length < length);
    return (uint32_t)length;
}

static void a_catalogue_larger_than_the_peer_takes_is_told_once_and_batches_go(void **state) {
    name_at_random(*state);
    struct cloud_world *world = cloud_open(state, 2, 8);
    const uint32_t length = catalogue_length(world);
    cloud_say_up(world, length - 1);
    cloud_say_next(world, 8);
    cloud_expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    cloud_expect(world, PARCEL_BATCH, 2, PARCEL_HISTORICAL);
    assert_string_equal(world->happened, "catalogue-refused");
    char told[64];
    snprintf(told, sizeof told, "catalogue 1 is larger than the peer takes: %u bytes, it takes %u;", length,
             length - 1);
    assert_ptr_equal(strstr(cloud_missing_catalogue(world), told), cloud_missing_catalogue(world));
    cloud_say_outcome(world, 1, PARCEL_ACCEPTED, "");
    cloud_seal_batches(world, 1);
    cloud_expect(world, PARCEL_BATCH, 3, 0); /* and still no catalogue */
    cloud_expect_nothing(world);
    assert_int_equal(world->happened_count, 1);
    cloud_say_up(world, length); /* a session whose peer takes it */
    cloud_say_next(world, 8);
    cloud_expect(world, PARCEL_CATALOGUE, 1, 0);
    assert_string_equal(cloud_missing_catalogue(world), "");
    cloud_close(world);
}

static void send_all(struct cloud_world *world, unsigned first, unsigned last) {
    struct cloud_parcel parcel;
    while (cloud_hear_parcel(world, &parcel)) {
    }
    for (unsigned number = first; number <= last; number++)
        cloud_say_outcome(world, number, PARCEL_ACCEPTED, "");
    for (unsigned number = first; number <= last; number++)
        cloud_expect_settled(world, number);
}

static enum fb_error resend_all(struct cloud_world *world) {
    return cloud_peer_resend(world->cloud, 0, INT64_MAX / 2, &world->store->cause);
}

static void what_was_sent_goes_again_when_asked_for_and_marked_so(void **state) {
    struct cloud_world *world = cloud_open(state, 6, 16);
    cloud_say_next(world, 16);
    send_all(world, 1, 6);
    assert_int_equal(resend_all(world), FB_OK);
    assert_int_equal(resend_all(world), FB_AGAIN);
    for (unsigned number = 1; number <= 4; number++)
        cloud_expect(world, PARCEL_BATCH, number, PARCEL_HISTORICAL);
    cloud_expect_nothing(world); /* few at a time */
    cloud_say_outcome(world, 1, PARCEL_REJECTED, "no");
    cloud_expect(world, PARCEL_BATCH, 5, PARCEL_HISTORICAL);
    for (unsigned number = 2; number <= 5; number++)
        cloud_say_outcome(world, number, PARCEL_ACCEPTED, "");
    cloud_expect(world, PARCEL_BATCH, 6, PARCEL_HISTORICAL);
    cloud_say_outcome(world, 6, PARCEL_ACCEPTED, "");
    cloud_expect_nothing(world);
    json_t *link = cloud_peer_link_to_json(world->cloud);
    const json_t *backfill = json_object_get(link, "backfill");
    assert_true(json_is_false(json_object_get(backfill, "active")));
    assert_int_equal(json_integer_value(json_object_get(backfill, "sent")), 5);
    assert_int_equal(json_integer_value(json_object_get(backfill, "refused")), 1);
    json_decref(link);
    assert_int_equal(cloud_figures(world).unsent_batches, 0);
    cloud_close(world);
}

static void what_is_live_goes_before_what_goes_again(void **state) {
    struct cloud_world *world = cloud_open(state, 6, 16);
    cloud_say_next(world, 16);
    send_all(world, 1, 6);
    cloud_say_next(world, 2);
    cloud_settle(world);
    assert_int_equal(resend_all(world), FB_OK);
    cloud_expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    cloud_expect(world, PARCEL_BATCH, 2, PARCEL_HISTORICAL);
    cloud_expect_nothing(world);
    cloud_seal_batches(world, 1);
    cloud_say_next(world, 2);
    cloud_expect(world, PARCEL_BATCH, 7, 0);
    cloud_expect(world, PARCEL_BATCH, 3, PARCEL_HISTORICAL);
    cloud_close(world);
}

static void what_goes_again_begins_anew_with_the_session(void **state) {
    struct cloud_world *world = cloud_open(state, 3, 16);
    cloud_say_next(world, 16);
    send_all(world, 1, 3);
    assert_int_equal(resend_all(world), FB_OK);
    cloud_expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    cloud_expect(world, PARCEL_BATCH, 2, PARCEL_HISTORICAL);
    cloud_say_outcome(world, 1, PARCEL_ACCEPTED, "");
    cloud_say(world, PROTOCOL_LINK_DOWN, NULL, 0);
    cloud_settle(world);
    const uint32_t no_limit = 0;
    cloud_say(world, PROTOCOL_LINK_UP, &no_limit, sizeof no_limit);
    cloud_say_next(world, 2); /* room for the catalogue and one */
    cloud_expect(world, PARCEL_BATCH, 3, PARCEL_HISTORICAL);
    cloud_expect(world, PARCEL_CATALOGUE, 1, 0);
    cloud_expect(world, PARCEL_BATCH, 2, PARCEL_HISTORICAL);
    cloud_expect_nothing(world);
    cloud_say_next(world, 2);
    cloud_expect(world, PARCEL_BATCH, 3, PARCEL_HISTORICAL);
    cloud_close(world);
}

static void say_bytes(struct cloud_world *world, unsigned long long bytes) {
    char text[64];
    snprintf(text, sizeof text, "{\"bytes_in\": 0, \"bytes_out\": %llu}", bytes);
    cloud_say(world, PROTOCOL_LINK_STATUS, text, strlen(text));
    cloud_settle(world);
}

static void backlog_waits_when_the_months_budget_is_spent_and_live_batches_go_on(void **state) {
    struct cloud_world *world = cloud_open(state, 2, 8);
    struct delivery_settings delivery = {.month_bytes = 1000000};
    cloud_peer_set_delivery(world->cloud, &delivery);
    say_bytes(world, 999999);
    say_bytes(world, 1000000);
    assert_string_equal(world->happened, "budget-spent");
    cloud_say_next(world, 8);
    cloud_expect_nothing(world);
    cloud_seal_batches(world, 1);
    cloud_expect(world, PARCEL_CATALOGUE, 1, 0);
    cloud_expect(world, PARCEL_BATCH, 3, 0);
    cloud_expect_nothing(world);
    assert_int_equal(store_link(world->store->store).month_bytes, 1000000);
    cloud_say_outcome(world, 3, PARCEL_ACCEPTED, ""); /* kept with it */
    cloud_expect_settled(world, 3);
    cloud_peer_free(world->cloud);
    fixture_close(world->store);
    fixture_open(world->store);
    assert_int_equal(store_link(world->store->store).month_bytes, 1000000);
    assert_int_equal(cloud_peer_new(world->event, world->store->folder, world->store->store, &cloud_handlers, world,
                                    &world->cloud, &world->store->cause),
                     FB_OK);
    delivery.month_bytes = 2000000;
    cloud_peer_set_delivery(world->cloud, &delivery);
    json_t *link = cloud_peer_link_to_json(world->cloud);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(link, "month"), "bytes")), 1000000);
    assert_true(json_is_false(json_object_get(json_object_get(link, "month"), "spent")));
    json_decref(link);
    cloud_close(world);
}

static void backlog_keeps_to_its_rate_and_live_batches_do_not(void **state) {
    struct cloud_world *world = cloud_open(state, 3, 8);
    const struct delivery_settings crawling = {.backlog_bytes_per_s = 1}, slow = {.backlog_bytes_per_s = 200};
    cloud_peer_set_delivery(world->cloud, &crawling); /* minutes for each batch */
    cloud_say_next(world, 8);
    cloud_expect(world, PARCEL_CATALOGUE, 1, 0);
    cloud_expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    cloud_expect_nothing(world);
    cloud_seal_batches(world, 1);
    cloud_expect(world, PARCEL_BATCH, 4, 0);
    cloud_expect_nothing(world);
    cloud_peer_set_delivery(world->cloud, &slow); /* a new rate begins with a second's worth: less than a batch */
    cloud_expect(world, PARCEL_BATCH, 2, PARCEL_HISTORICAL);
    struct cloud_parcel parcel;
    while (!cloud_hear_parcel(world, &parcel)) /* by itself, in a second or two */
        assert_true(sd_event_run(world->event, CLOUD_LIMIT_US) > 0);
    assert_int_equal(parcel.number, 3);
    cloud_close(world);
}

static uint64_t record_event(struct cloud_world *world, const char *body) {
    uint64_t number = 0;
    assert_int_equal(store_record_add(world->store->store, STORE_RECORD_EVENT, FIXTURE_TIME_MS, body, strlen(body),
                                      &number, &world->store->cause),
                     FB_OK);
    fixture_append(world->store, 1);
    fixture_commit(world->store);
    cloud_peer_committed(world->cloud);
    return number;
}

static void let_events_leave(struct cloud_world *world, bool leave) {
    const struct delivery_settings delivery = {.events = leave ? DELIVERY_EVENTS_YES : DELIVERY_EVENTS_NO};
    cloud_peer_set_delivery(world->cloud, &delivery);
}

static void say_event_outcome(struct cloud_world *world, uint64_t number, uint8_t outcome) {
    uint8_t bytes[10] = {PARCEL_EVENT};
    memcpy(bytes + 1, &number, sizeof number);
    bytes[9] = outcome;
    cloud_say(world, PROTOCOL_OUTCOME, bytes, sizeof bytes);
}

static void events_go_first_and_one_after_the_other(void **state) {
    struct cloud_world *world = cloud_open(state, 1, 8);
    let_events_leave(world, true);
    record_event(world, "{\"event\":\"bus-down\",\"severity\":\"warning\"}");
    record_event(world, "{\"event\":\"bus-up\",\"severity\":\"info\"}");
    cloud_say_next(world, 8);
    struct message_reader reader;
    cloud_settle(world);
    assert_true(cloud_hear(world, PROTOCOL_PARCEL, &reader));
    assert_int_equal(message_get_u8(&reader), PARCEL_EVENT);
    assert_int_equal(message_get_u8(&reader), 0);
    assert_int_equal(message_get_u64(&reader), 1);
    size_t length;
    message_get_bytes(&reader, PROTOCOL_STORE_BYTES);
    const char *body = (const char *)message_get_rest(&reader, &length);
    json_t *json = json_loadb(body, length, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(json, "event")), "bus-down");
    assert_int_equal(json_integer_value(json_object_get(json, "number")), 1);
    assert_int_equal(json_integer_value(json_object_get(json, "time_ms")), FIXTURE_TIME_MS);
    json_decref(json);
    cloud_expect(world, PARCEL_CATALOGUE, 1, 0);
    cloud_expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    cloud_expect_nothing(world);
    say_event_outcome(world, 1, PARCEL_ACCEPTED);
    cloud_expect(world, PARCEL_EVENT, 2, 0);
    cloud_say_up(world, 0); /* not answered: it goes again */
    cloud_say_next(world, 8);
    cloud_expect(world, PARCEL_EVENT, 2, 0);
    say_event_outcome(world, 2, PARCEL_ACCEPTED);
    cloud_settle(world);
    assert_int_equal(store_link(world->store->store).event_sent, 2);
    cloud_close(world);
}

static void events_that_may_not_leave_never_do(void **state) {
    struct cloud_world *world = cloud_open(state, 0, 8);
    let_events_leave(world, false);
    record_event(world, "{\"event\":\"secret\"}");
    cloud_say_next(world, 8);
    cloud_expect_nothing(world);
    let_events_leave(world, true);
    cloud_expect_nothing(world);
    record_event(world, "{\"event\":\"public\"}");
    cloud_expect(world, PARCEL_EVENT, 2, 0);
    cloud_close(world);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_goes_out_before_it_is_asked_for),
        TEST(a_window_of_one_message_is_enough),
        TEST(what_is_in_flight_stays_within_the_configured_window),
        cmocka_unit_test_setup_teardown(what_is_in_flight_does_not_give_way_to_the_quota, account_setup,
                                        fixture_teardown),
        TEST(a_catalogue_larger_than_the_peer_takes_is_told_once_and_batches_go),
        TEST(what_was_sent_goes_again_when_asked_for_and_marked_so),
        TEST(what_is_live_goes_before_what_goes_again),
        TEST(what_goes_again_begins_anew_with_the_session),
        TEST(backlog_waits_when_the_months_budget_is_spent_and_live_batches_go_on),
        TEST(backlog_keeps_to_its_rate_and_live_batches_do_not),
        TEST(events_go_first_and_one_after_the_other),
        TEST(events_that_may_not_leave_never_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
