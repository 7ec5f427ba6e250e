// links: gateway/core/cloud_peer.c gateway/core/cloud_hand_out.c gateway/core/cloud_outcomes.c gateway/core/damage.c gateway/core/lanes.c gateway/core/live_age.c gateway/core/event_lane.c gateway/core/text.c gateway/core/pace.c gateway/core/budget.c gateway/core/peers.c gateway/core/resend.c store/*.c gateway/common/*.c
/* test_cloud_peer.c - what core hands out to forebay-cloud and what it makes of the outcomes, over a real socket. */
#include <sys/socket.h>
#include <sys/un.h>

#include "gateway/common/clock.h"
#include "gateway/common/protocol.h"
#include "gateway/core/cloud_peer.h"
#include "gateway/core/lanes.h"
#include "store/store_parked.h"
#include "store/store_records.h"
#include "store_fixture.h"

#define LIMIT_US 10000000
/* The longest wait of a batch that was refused once, see lanes.c. */
#define FIRST_WAIT_MS 2000

struct world {
    struct fixture *store; /* its own setup and teardown */
    sd_event *event;
    struct cloud_peer *cloud;
    int program; /* forebay-cloud's end */
    bool link_up;
    unsigned attempts;
    char happened[32]; /* what has happened last */
    uint8_t packet[MESSAGE_BYTES_MAX];
    uint64_t settled[LANES_IN_FLIGHT_MAX]; /* numbers of the last SETTLED, heard up to settled_at */
    size_t settled_at, settled_end;
};

struct parcel {
    uint8_t kind, flags;
    uint64_t number;
};

static void on_link_changed(bool up, void *user) {
    ((struct world *)user)->link_up = up;
}

static void on_attempted(json_t *attempt, void *user) {
    ((struct world *)user)->attempts++;
    json_decref(attempt);
}

static void on_happened(const char *event, json_t *details, void *user) {
    struct world *world = user;
    snprintf(world->happened, sizeof world->happened, "%s", event);
    json_decref(details);
}

static const struct cloud_peer_handlers handlers = {
    .link_changed = on_link_changed, .attempted = on_attempted, .happened = on_happened};

static void settle(struct world *world) {
    while (sd_event_run(world->event, 1000) > 0) {
    }
}

static void say(struct world *world, uint8_t type, const void *payload, size_t length) {
    uint8_t packet[512];
    struct message_writer writer = message_begin(packet, sizeof packet, type, 0);
    message_put_bytes(&writer, payload, length);
    assert_int_equal(message_finish(&writer), FB_OK);
    assert_int_equal(send(world->program, packet, writer.used, MSG_NOSIGNAL), (ssize_t)writer.used);
}

static void say_next(struct world *world, uint32_t messages) {
    const uint32_t room[2] = {messages, 1000000};
    say(world, PROTOCOL_NEXT, room, sizeof room);
}

static void say_up(struct world *world, uint32_t bytes_most) {
    say(world, PROTOCOL_LINK_UP, &bytes_most, sizeof bytes_most);
}

static void say_outcome(struct world *world, uint64_t number, uint8_t outcome, const char *reason) {
    uint8_t bytes[400] = {PARCEL_BATCH};
    memcpy(bytes + 1, &number, sizeof number);
    bytes[9] = outcome;
    memcpy(bytes + 10, reason, strlen(reason));
    say(world, PROTOCOL_OUTCOME, bytes, 10 + strlen(reason));
}

/* The next message of that type that is there; others are passed over. */
static bool hear(struct world *world, uint8_t type, struct message_reader *ret_reader) {
    ssize_t got;
    while ((got = recv(world->program, world->packet, sizeof world->packet, MSG_DONTWAIT)) > 0) {
        assert_int_equal(message_open(world->packet, (size_t)got, ret_reader), FB_OK);
        if (ret_reader->type == type)
            return true;
    }
    return false;
}

static bool hear_parcel(struct world *world, struct parcel *ret_parcel) {
    struct message_reader reader;
    settle(world);
    if (!hear(world, PROTOCOL_PARCEL, &reader))
        return false;
    ret_parcel->kind = message_get_u8(&reader);
    ret_parcel->flags = message_get_u8(&reader);
    ret_parcel->number = message_get_u64(&reader);
    return true;
}

static void expect(struct world *world, uint8_t kind, uint64_t number, uint8_t flags) {
    struct parcel parcel;
    assert_true(hear_parcel(world, &parcel));
    assert_int_equal(parcel.kind, kind);
    assert_int_equal(parcel.number, number);
    assert_int_equal(parcel.flags, flags);
}

static void expect_nothing(struct world *world) {
    struct parcel parcel;
    assert_false(hear_parcel(world, &parcel));
}

static void hear_settled(struct world *world) {
    struct message_reader reader;
    size_t length;
    settle(world);
    while (!hear(world, PROTOCOL_SETTLED, &reader))
        assert_true(sd_event_run(world->event, LIMIT_US) > 0);
    assert_int_equal(message_get_u8(&reader), PARCEL_BATCH);
    const uint8_t *numbers = message_get_rest(&reader, &length);
    assert_in_range(length, 1, sizeof world->settled);
    memcpy(world->settled, numbers, length);
    world->settled_end = length / sizeof world->settled[0];
    world->settled_at = 0;
}

/* The next number that core says is settled. */
static void expect_settled(struct world *world, uint64_t number) {
    if (world->settled_at == world->settled_end)
        hear_settled(world);
    assert_int_equal(world->settled[world->settled_at++], number);
}

static void seal_batches(struct world *world, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        fixture_batch_of(world->store, 10);
    cloud_peer_sealed(world->cloud);
}

static void connect_program(struct world *world) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", world->store->folder, PROTOCOL_CLOUD_SOCKET);
    world->program = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    assert_int_equal(connect(world->program, (const struct sockaddr *)&address, sizeof address), 0);
    say(world, PROTOCOL_CLOUD_HELLO, NULL, 0);
}

/* With forebay-cloud there, its link up, and batches stored before that. */
static struct world *open_world(void **state, unsigned batches, uint32_t window_messages) {
    static struct world world;
    world = (struct world){.store = *state};
    fixture_open(world.store);
    assert_int_equal(sd_event_new(&world.event), 0);
    assert_int_equal(cloud_peer_new(world.event, world.store->folder, world.store->store, &handlers, &world,
                                    &world.cloud, &world.store->cause),
                     FB_OK);
    const struct link_settings link = {.window_messages = window_messages, .window_bytes = LINK_WINDOW_BYTES_MIN};
    cloud_peer_set_link(world.cloud, &link);
    for (unsigned i = 0; i < batches; i++)
        fixture_batch_of(world.store, 10);
    connect_program(&world);
    say_up(&world, 0);
    settle(&world);
    assert_true(world.link_up);
    return &world;
}

static void close_world(struct world *world) {
    close(world->program);
    cloud_peer_free(world->cloud);
    sd_event_unref(world->event);
}

static struct store_figures figures_of(const struct world *world) {
    struct store_figures figures;
    store_figures(world->store->store, &figures);
    return figures;
}

static void nothing_goes_out_before_it_is_asked_for(void **state) {
    struct world *world = open_world(state, 2, 8);
    expect_nothing(world);
    say_next(world, 2);
    expect(world, PARCEL_CATALOGUE, 1, 0);
    expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    expect_nothing(world);
    say_next(world, 8);
    expect(world, PARCEL_BATCH, 2, PARCEL_HISTORICAL);
    seal_batches(world, 1);
    expect(world, PARCEL_BATCH, 3, 0);
    expect_nothing(world);
    close_world(world);
}

static void a_window_of_one_message_is_enough(void **state) {
    struct world *world = open_world(state, 1, 1);
    say_next(world, 1);
    expect(world, PARCEL_CATALOGUE, 1, 0);
    expect_nothing(world);
    say_next(world, 1);
    expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    close_world(world);
}

static void what_is_in_flight_stays_within_the_configured_window(void **state) {
    struct world *world = open_world(state, 5, 2);
    say_next(world, 100);
    expect(world, PARCEL_CATALOGUE, 1, 0);
    expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    expect(world, PARCEL_BATCH, 2, PARCEL_HISTORICAL);
    expect_nothing(world);
    say_outcome(world, 1, PARCEL_ACCEPTED, "");
    expect(world, PARCEL_BATCH, 3, PARCEL_HISTORICAL); /* at once, whenever the acceptance is written down */
    expect_settled(world, 1);
    assert_int_equal(figures_of(world).unsent_batches, 4);
    close_world(world);
}

static void what_is_accepted_is_marked_even_if_the_program_leaves_at_once(void **state) {
    struct world *world = open_world(state, 1, 8);
    say_next(world, 8);
    expect(world, PARCEL_CATALOGUE, 1, 0);
    say_outcome(world, 1, PARCEL_ACCEPTED, "");
    close(world->program);
    settle(world);
    assert_int_equal(figures_of(world).unsent_batches, 0);
    assert_false(world->link_up);
    connect_program(world);
    close_world(world);
}

static void a_link_that_went_down_is_handed_nothing_more(void **state) {
    struct world *world = open_world(state, 3, 1);
    say_next(world, 100);
    expect(world, PARCEL_CATALOGUE, 1, 0);
    expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    say_outcome(world, 1, PARCEL_ACCEPTED, ""); /* makes room in the window */
    expect(world, PARCEL_BATCH, 2, PARCEL_HISTORICAL);
    say_outcome(world, 2, PARCEL_RELEASED, "");
    say(world, PROTOCOL_LINK_DOWN, NULL, 0);
    expect_nothing(world);
    assert_false(world->link_up);
    assert_int_equal(figures_of(world).unsent_batches, 2);
    seal_batches(world, 1);
    say_next(world, 100);
    expect_nothing(world);
    close_world(world);
}

static void a_new_session_begins_anew_with_its_catalogue(void **state) {
    struct world *world = open_world(state, 1, 8);
    say_next(world, 8);
    seal_batches(world, 1);
    expect(world, PARCEL_CATALOGUE, 1, 0);
    expect(world, PARCEL_BATCH, 2, 0); /* live ones first */
    expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    say_outcome(world, 2, PARCEL_ACCEPTED, "");
    say_up(world, 0);
    say_next(world, 8);
    expect(world, PARCEL_CATALOGUE, 1, 0);
    expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    expect_nothing(world);
    close_world(world);
}

static void an_outcome_of_an_earlier_session_is_settled_all_the_same(void **state) {
    struct world *world = open_world(state, 2, 8);
    say_outcome(world, 1, PARCEL_RELEASED, "later");
    expect_settled(world, 1);
    say_outcome(world, 2, PARCEL_ACCEPTED, "");
    expect_settled(world, 2);
    assert_int_equal(figures_of(world).unsent_batches, 1);
    close_world(world);
}

static void check_refusal(struct world *world, const char *said, const char *shown) {
    say_outcome(world, 1, PARCEL_REJECTED, said);
    expect_settled(world, 1);
    json_t *link = cloud_peer_link_to_json(world->cloud);
    assert_string_equal(json_string_value(json_object_get(link, "refusal")), shown);
    json_decref(link);
    say_up(world, 0);
    say_next(world, 8);
    expect(world, PARCEL_CATALOGUE, 1, 0);
    expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
}

static void the_peers_words_are_shown_whatever_they_are(void **state) {
    struct world *world = open_world(state, 1, 8);
    char far[301], cut[STORE_REASON_MAX + 16];
    say_next(world, 8);
    settle(world);
    check_refusal(world, "queue is full", "rejected: queue is full");
    check_refusal(world, "h\xc3\xb6her \x07", "rejected: h\xc3\xb6her ?");
    check_refusal(world, "bad \xff\xfe", "rejected: bad ??");
    for (size_t i = 0; i < 300; i += 2)
        memcpy(far + i, "\xc3\xb6", 3);
    snprintf(cut, sizeof cut, "rejected: %.254s", far);
    check_refusal(world, far, cut);
    close_world(world);
}

static void a_refused_batch_goes_again_by_itself(void **state) {
    struct world *world = open_world(state, 1, 8);
    struct parcel parcel;
    say_next(world, 8);
    expect(world, PARCEL_CATALOGUE, 1, 0);
    expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    say_outcome(world, 1, PARCEL_RELEASED, "");
    expect_settled(world, 1);
    while (!hear_parcel(world, &parcel))
        assert_true(sd_event_run(world->event, LIMIT_US) > 0);
    assert_int_equal(parcel.number, 1);
    close_world(world);
}

/* It did: for as long as the link was down a timer that was due ran again and again. */
static void a_refused_batch_does_not_keep_core_busy_while_the_link_is_down(void **state) {
    struct world *world = open_world(state, 1, 8);
    say_next(world, 8);
    settle(world);
    say_outcome(world, 1, PARCEL_RELEASED, "");
    say(world, PROTOCOL_LINK_DOWN, NULL, 0);
    settle(world);
    cloud_peer_sealed(world->cloud);
    const int64_t end_ms = clock_monotonic_ms() + FIRST_WAIT_MS + 100;
    for (int events = 0; clock_monotonic_ms() < end_ms; events++) {
        assert_true(events < 20);
        sd_event_run(world->event, (uint64_t)(end_ms - clock_monotonic_ms() + 1) * 1000);
    }
    close_world(world);
}

static void a_bad_message_drops_the_program_and_its_link(void **state) {
    struct world *world = open_world(state, 1, 8);
    say(world, PROTOCOL_LINK_STATUS, "{\"state\": \"up\"}", 15);
    settle(world);
    say(world, PROTOCOL_LINK_UP, "x", 1);
    settle(world);
    assert_false(world->link_up);
    assert_int_equal(cloud_peer_peer(world->cloud)->dropped, 1);
    json_t *link = cloud_peer_link_to_json(world->cloud);
    assert_string_equal(json_string_value(json_object_get(link, "state")), "off");
    assert_true(json_is_true(json_object_get(link, "configured")));
    json_decref(link);
    close_world(world);
}

static void send_all(struct world *world, unsigned first, unsigned last) {
    struct parcel parcel;
    while (hear_parcel(world, &parcel)) {
    }
    for (unsigned number = first; number <= last; number++)
        say_outcome(world, number, PARCEL_ACCEPTED, "");
    for (unsigned number = first; number <= last; number++)
        expect_settled(world, number);
}

static enum fb_error resend_all(struct world *world) {
    return cloud_peer_resend(world->cloud, 0, INT64_MAX / 2, &world->store->cause);
}

static void what_was_sent_goes_again_when_asked_for_and_marked_so(void **state) {
    struct world *world = open_world(state, 6, 16);
    say_next(world, 16);
    send_all(world, 1, 6);
    assert_int_equal(resend_all(world), FB_OK);
    assert_int_equal(resend_all(world), FB_AGAIN);
    for (unsigned number = 1; number <= 4; number++)
        expect(world, PARCEL_BATCH, number, PARCEL_HISTORICAL);
    expect_nothing(world); /* few at a time */
    say_outcome(world, 1, PARCEL_REJECTED, "no");
    expect(world, PARCEL_BATCH, 5, PARCEL_HISTORICAL);
    for (unsigned number = 2; number <= 5; number++)
        say_outcome(world, number, PARCEL_ACCEPTED, "");
    expect(world, PARCEL_BATCH, 6, PARCEL_HISTORICAL);
    say_outcome(world, 6, PARCEL_ACCEPTED, "");
    expect_nothing(world);
    json_t *link = cloud_peer_link_to_json(world->cloud);
    const json_t *backfill = json_object_get(link, "backfill");
    assert_true(json_is_false(json_object_get(backfill, "active")));
    assert_int_equal(json_integer_value(json_object_get(backfill, "sent")), 5);
    assert_int_equal(json_integer_value(json_object_get(backfill, "refused")), 1);
    json_decref(link);
    assert_int_equal(figures_of(world).unsent_batches, 0);
    close_world(world);
}

static void what_is_live_goes_before_what_goes_again(void **state) {
    struct world *world = open_world(state, 6, 16);
    say_next(world, 16);
    send_all(world, 1, 6);
    say_next(world, 2);
    settle(world);
    assert_int_equal(resend_all(world), FB_OK);
    expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    expect(world, PARCEL_BATCH, 2, PARCEL_HISTORICAL);
    expect_nothing(world);
    seal_batches(world, 1);
    say_next(world, 2);
    expect(world, PARCEL_BATCH, 7, 0);
    expect(world, PARCEL_BATCH, 3, PARCEL_HISTORICAL);
    close_world(world);
}

static void what_goes_again_begins_anew_with_the_session(void **state) {
    struct world *world = open_world(state, 3, 16);
    say_next(world, 16);
    send_all(world, 1, 3);
    assert_int_equal(resend_all(world), FB_OK);
    expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    expect(world, PARCEL_BATCH, 2, PARCEL_HISTORICAL);
    say_outcome(world, 1, PARCEL_ACCEPTED, "");
    say(world, PROTOCOL_LINK_DOWN, NULL, 0);
    settle(world);
    const uint32_t no_limit = 0;
    say(world, PROTOCOL_LINK_UP, &no_limit, sizeof no_limit);
    say_next(world, 2); /* room for the catalogue and one */
    expect(world, PARCEL_BATCH, 3, PARCEL_HISTORICAL);
    expect(world, PARCEL_CATALOGUE, 1, 0);
    expect(world, PARCEL_BATCH, 2, PARCEL_HISTORICAL);
    expect_nothing(world);
    say_next(world, 2);
    expect(world, PARCEL_BATCH, 3, PARCEL_HISTORICAL);
    close_world(world);
}

static void say_attempt(struct world *world, uint64_t number, const char *run) {
    uint8_t bytes[200];
    memcpy(bytes, &number, sizeof number);
    const int length = snprintf((char *)bytes + sizeof number, sizeof bytes - sizeof number,
                                "{\"run\": \"%s\", \"number\": %llu}", run, (unsigned long long)number);
    say(world, PROTOCOL_ATTEMPT, bytes, sizeof number + (size_t)length);
    settle(world);
}

static void expect_kept(struct world *world, uint64_t number) {
    struct message_reader reader;
    cloud_peer_attempts_kept(world->cloud);
    settle(world);
    assert_true(hear(world, PROTOCOL_ATTEMPT_KEPT, &reader));
    assert_int_equal(message_get_u64(&reader), number);
}

static void attempts_are_acknowledged_when_they_are_on_disk_and_taken_once(void **state) {
    struct world *world = open_world(state, 0, 8);
    struct message_reader reader;
    say_attempt(world, 1, "aa");
    say_attempt(world, 2, "aa");
    assert_int_equal(world->attempts, 2);
    assert_false(hear(world, PROTOCOL_ATTEMPT_KEPT, &reader)); /* not on disk yet */
    close(world->program);
    settle(world);
    connect_program(world);
    say_attempt(world, 1, "aa"); /* told again, since nothing was acknowledged */
    say_attempt(world, 2, "aa");
    say_attempt(world, 3, "aa");
    assert_int_equal(world->attempts, 3);
    expect_kept(world, 3);
    cloud_peer_attempts_kept(world->cloud);
    settle(world);
    assert_false(hear(world, PROTOCOL_ATTEMPT_KEPT, &reader));
    say_attempt(world, 1, "bb"); /* forebay-cloud has been started anew */
    assert_int_equal(world->attempts, 4);
    expect_kept(world, 1);
    close_world(world);
}

/* A new session each time, since the waits within one grow. The peer accepts the batch that was sealed last. */
static void reject_first(struct world *world, const char *reason) {
    say_up(world, 0);
    say_next(world, 8);
    seal_batches(world, 1);
    settle(world);
    const uint64_t last = store_last_number(world->store->store);
    say_outcome(world, last, PARCEL_ACCEPTED, "");
    expect_settled(world, last);
    say_outcome(world, 1, PARCEL_REJECTED, reason);
    expect_settled(world, 1);
}

static void a_batch_rejected_five_times_is_parked_and_the_others_go(void **state) {
    struct world *world = open_world(state, 1, 8);
    for (int i = 0; i < STORE_REJECTIONS_MOST; i++) {
        assert_int_equal(figures_of(world).parked_batches, 0);
        reject_first(world, "no such tag");
    }
    const struct store_figures figures = figures_of(world);
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
    close_world(world);
}

static void a_released_batch_goes_out_at_once(void **state) {
    struct world *world = open_world(state, 3, 8);
    size_t released;
    say_up(world, 1); /* all are larger */
    say_next(world, 8);
    expect_nothing(world);
    assert_int_equal(figures_of(world).parked_batches, 3);
    assert_int_equal(cloud_peer_release(world->cloud, 2, 2, &released, NULL), FB_OK);
    assert_int_equal(released, 1);
    assert_int_equal(figures_of(world).parked_batches, 3); /* still larger than the peer takes */
    say_up(world, 0);
    say_next(world, 8);
    expect(world, PARCEL_CATALOGUE, 1, 0);
    for (uint64_t number = 1; number <= 3; number++)
        expect(world, PARCEL_BATCH, number, PARCEL_HISTORICAL);
    assert_int_equal(figures_of(world).parked_batches, 0);
    close_world(world);
}

/* A full queue rejects all alike: that says nothing of any one batch, and parking them would help nobody. */
static void a_peer_that_rejects_everything_parks_nothing(void **state) {
    struct world *world = open_world(state, 1, 8);
    for (int i = 0; i < 2 * STORE_REJECTIONS_MOST; i++) {
        say_up(world, 0);
        say_next(world, 8);
        settle(world);
        say_outcome(world, 1, PARCEL_REJECTED, "queue is full");
        expect_settled(world, 1);
    }
    assert_int_equal(figures_of(world).parked_batches, 0);
    assert_int_equal(figures_of(world).unsent_batches, 1);
    close_world(world);
}

static void say_bytes(struct world *world, unsigned long long bytes) {
    char text[64];
    snprintf(text, sizeof text, "{\"bytes_in\": 0, \"bytes_out\": %llu}", bytes);
    say(world, PROTOCOL_LINK_STATUS, text, strlen(text));
    settle(world);
}

static void backlog_waits_when_the_months_budget_is_spent_and_live_batches_go_on(void **state) {
    struct world *world = open_world(state, 2, 8);
    struct delivery_settings delivery = {.month_bytes = 1000000};
    cloud_peer_set_delivery(world->cloud, &delivery);
    say_bytes(world, 999999);
    say_bytes(world, 1000000);
    assert_string_equal(world->happened, "budget-spent");
    say_next(world, 8);
    expect_nothing(world);
    seal_batches(world, 1);
    expect(world, PARCEL_CATALOGUE, 1, 0);
    expect(world, PARCEL_BATCH, 3, 0);
    expect_nothing(world);
    assert_int_equal(store_link(world->store->store).month_bytes, 1000000);
    say_outcome(world, 3, PARCEL_ACCEPTED, ""); /* kept with it */
    expect_settled(world, 3);
    cloud_peer_free(world->cloud);
    fixture_close(world->store);
    fixture_open(world->store);
    assert_int_equal(store_link(world->store->store).month_bytes, 1000000);
    assert_int_equal(cloud_peer_new(world->event, world->store->folder, world->store->store, &handlers, world,
                                    &world->cloud, &world->store->cause),
                     FB_OK);
    delivery.month_bytes = 2000000;
    cloud_peer_set_delivery(world->cloud, &delivery);
    json_t *link = cloud_peer_link_to_json(world->cloud);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(link, "month"), "bytes")), 1000000);
    assert_true(json_is_false(json_object_get(json_object_get(link, "month"), "spent")));
    json_decref(link);
    close_world(world);
}

static void backlog_keeps_to_its_rate_and_live_batches_do_not(void **state) {
    struct world *world = open_world(state, 3, 8);
    const struct delivery_settings delivery = {.backlog_bytes_per_s = 500};
    cloud_peer_set_delivery(world->cloud, &delivery);
    say_next(world, 8);
    expect(world, PARCEL_CATALOGUE, 1, 0);
    expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    expect_nothing(world);
    seal_batches(world, 1);
    expect(world, PARCEL_BATCH, 4, 0);
    expect_nothing(world);
    struct parcel parcel;
    while (!hear_parcel(world, &parcel))
        assert_true(sd_event_run(world->event, LIMIT_US) > 0);
    assert_int_equal(parcel.number, 2);
    close_world(world);
}

static void new_batches_stay_below_what_the_peer_takes(void **state) {
    struct world *world = open_world(state, 0, 8);
    static struct store_batch batch;
    say_up(world, 20000);
    settle(world);
    fixture_append(world->store, 10000); /* about 80 kB */
    fixture_commit(world->store);
    assert_true(fixture_seal(world->store) >= 4);
    for (uint64_t number = 1; number <= store_last_number(world->store->store); number++) {
        assert_int_equal(store_next(world->store->store, number, number, &batch, NULL), FB_OK);
        assert_in_range(batch.length, 1, 20000);
    }
    close_world(world);
}

static uint64_t record_event(struct world *world, const char *body) {
    uint64_t number = 0;
    assert_int_equal(store_record_add(world->store->store, STORE_RECORD_EVENT, FIXTURE_TIME_MS, body, strlen(body),
                                      &number, &world->store->cause),
                     FB_OK);
    fixture_append(world->store, 1);
    fixture_commit(world->store);
    cloud_peer_committed(world->cloud);
    return number;
}

static void let_events_leave(struct world *world, bool leave) {
    const struct delivery_settings delivery = {.events = leave ? DELIVERY_EVENTS_YES : DELIVERY_EVENTS_NO};
    cloud_peer_set_delivery(world->cloud, &delivery);
}

static void say_event_outcome(struct world *world, uint64_t number, uint8_t outcome) {
    uint8_t bytes[10] = {PARCEL_EVENT};
    memcpy(bytes + 1, &number, sizeof number);
    bytes[9] = outcome;
    say(world, PROTOCOL_OUTCOME, bytes, sizeof bytes);
}

static void events_go_first_and_one_after_the_other(void **state) {
    struct world *world = open_world(state, 1, 8);
    let_events_leave(world, true);
    record_event(world, "{\"event\":\"bus-down\",\"severity\":\"warning\"}");
    record_event(world, "{\"event\":\"bus-up\",\"severity\":\"info\"}");
    say_next(world, 8);
    struct message_reader reader;
    settle(world);
    assert_true(hear(world, PROTOCOL_PARCEL, &reader));
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
    expect(world, PARCEL_CATALOGUE, 1, 0);
    expect(world, PARCEL_BATCH, 1, PARCEL_HISTORICAL);
    expect_nothing(world);
    say_event_outcome(world, 1, PARCEL_ACCEPTED);
    expect(world, PARCEL_EVENT, 2, 0);
    say_up(world, 0); /* not answered: it goes again */
    say_next(world, 8);
    expect(world, PARCEL_EVENT, 2, 0);
    say_event_outcome(world, 2, PARCEL_ACCEPTED);
    settle(world);
    assert_int_equal(store_link(world->store->store).event_sent, 2);
    close_world(world);
}

static void events_that_may_not_leave_never_do(void **state) {
    struct world *world = open_world(state, 0, 8);
    let_events_leave(world, false);
    record_event(world, "{\"event\":\"secret\"}");
    say_next(world, 8);
    expect_nothing(world);
    let_events_leave(world, true);
    expect_nothing(world);
    record_event(world, "{\"event\":\"public\"}");
    expect(world, PARCEL_EVENT, 2, 0);
    close_world(world);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_goes_out_before_it_is_asked_for),
        TEST(a_window_of_one_message_is_enough),
        TEST(what_is_in_flight_stays_within_the_configured_window),
        TEST(what_is_accepted_is_marked_even_if_the_program_leaves_at_once),
        TEST(a_link_that_went_down_is_handed_nothing_more),
        TEST(a_new_session_begins_anew_with_its_catalogue),
        TEST(an_outcome_of_an_earlier_session_is_settled_all_the_same),
        TEST(the_peers_words_are_shown_whatever_they_are),
        TEST(a_refused_batch_goes_again_by_itself),
        TEST(a_refused_batch_does_not_keep_core_busy_while_the_link_is_down),
        TEST(what_was_sent_goes_again_when_asked_for_and_marked_so),
        TEST(what_is_live_goes_before_what_goes_again),
        TEST(what_goes_again_begins_anew_with_the_session),
        TEST(a_bad_message_drops_the_program_and_its_link),
        TEST(attempts_are_acknowledged_when_they_are_on_disk_and_taken_once),
        TEST(a_batch_rejected_five_times_is_parked_and_the_others_go),
        TEST(a_released_batch_goes_out_at_once),
        TEST(a_peer_that_rejects_everything_parks_nothing),
        TEST(backlog_waits_when_the_months_budget_is_spent_and_live_batches_go_on),
        TEST(backlog_keeps_to_its_rate_and_live_batches_do_not),
        TEST(new_batches_stay_below_what_the_peer_takes),
        TEST(events_go_first_and_one_after_the_other),
        TEST(events_that_may_not_leave_never_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
