/* cloud_world.h - for tests: core's side of the exchange with forebay-cloud, on a real store, and forebay-cloud's end
 * of the socket. */
#ifndef FB_TESTS_CLOUD_WORLD_H
#define FB_TESTS_CLOUD_WORLD_H

#include <sys/socket.h>
#include <sys/un.h>

#include "gateway/common/protocol.h"
#include "gateway/core/catalogue_lane.h"
#include "gateway/core/cloud_peer.h"
#include "gateway/core/lanes.h"
#include "store_fixture.h"

#define CLOUD_LIMIT_US 10000000

struct cloud_world {
    struct fixture *store; /* its own setup and teardown */
    sd_event *event;
    struct cloud_peer *cloud;
    int program; /* forebay-cloud's end */
    bool link_up;
    unsigned attempts;
    char happened[32]; /* what has happened last */
    unsigned happened_count;
    uint8_t packet[MESSAGE_BYTES_MAX];
    uint64_t settled[LANES_IN_FLIGHT_MAX]; /* numbers of the last SETTLED, heard up to settled_at */
    size_t settled_at, settled_end;
};

struct cloud_parcel {
    uint8_t kind, flags;
    uint64_t number;
};

static inline void cloud_on_link_changed(bool up, void *user) {
    ((struct cloud_world *)user)->link_up = up;
}

static inline void cloud_on_attempted(json_t *attempt, void *user) {
    ((struct cloud_world *)user)->attempts++;
    json_decref(attempt);
}

static inline void cloud_on_happened(const char *event, json_t *details, void *user) {
    struct cloud_world *world = user;
    snprintf(world->happened, sizeof world->happened, "%s", event);
    world->happened_count++;
    json_decref(details);
}

static const struct cloud_peer_handlers cloud_handlers = {
    .link_changed = cloud_on_link_changed, .attempted = cloud_on_attempted, .happened = cloud_on_happened};

static inline void cloud_settle(struct cloud_world *world) {
    while (sd_event_run(world->event, 1000) > 0) {
    }
}

static inline void cloud_say(struct cloud_world *world, uint8_t type, const void *payload, size_t length) {
    uint8_t packet[512];
    struct message_writer writer = message_begin(packet, sizeof packet, type, 0);
    message_put_bytes(&writer, payload, length);
    assert_int_equal(message_finish(&writer), FB_OK);
    assert_int_equal(send(world->program, packet, writer.used, MSG_NOSIGNAL), (ssize_t)writer.used);
}

static inline void cloud_say_next(struct cloud_world *world, uint32_t messages) {
    const uint32_t room[2] = {messages, 1000000};
    cloud_say(world, PROTOCOL_NEXT, room, sizeof room);
}

static inline void cloud_say_up(struct cloud_world *world, uint32_t bytes_most) {
    cloud_say(world, PROTOCOL_LINK_UP, &bytes_most, sizeof bytes_most);
}

static inline void cloud_say_outcome_of(struct cloud_world *world, uint8_t kind, uint64_t number, uint8_t outcome,
                                        const char *reason) {
    uint8_t bytes[400] = {kind};
    memcpy(bytes + 1, &number, sizeof number);
    bytes[9] = outcome;
    memcpy(bytes + 10, reason, strlen(reason));
    cloud_say(world, PROTOCOL_OUTCOME, bytes, 10 + strlen(reason));
}

static inline void cloud_say_outcome(struct cloud_world *world, uint64_t number, uint8_t outcome, const char *reason) {
    cloud_say_outcome_of(world, PARCEL_BATCH, number, outcome, reason);
}

/* The next message of that type that is there; others are passed over. */
static inline bool cloud_hear(struct cloud_world *world, uint8_t type, struct message_reader *ret_reader) {
    ssize_t got;
    while ((got = recv(world->program, world->packet, sizeof world->packet, MSG_DONTWAIT)) > 0) {
        assert_int_equal(message_open(world->packet, (size_t)got, ret_reader), FB_OK);
        if (ret_reader->type == type)
            return true;
    }
    return false;
}

static inline bool cloud_hear_parcel(struct cloud_world *world, struct cloud_parcel *ret_parcel) {
    struct message_reader reader;
    cloud_settle(world);
    if (!cloud_hear(world, PROTOCOL_PARCEL, &reader))
        return false;
    ret_parcel->kind = message_get_u8(&reader);
    ret_parcel->flags = message_get_u8(&reader);
    ret_parcel->number = message_get_u64(&reader);
    return true;
}

static inline void cloud_expect(struct cloud_world *world, uint8_t kind, uint64_t number, uint8_t flags) {
    struct cloud_parcel parcel;
    assert_true(cloud_hear_parcel(world, &parcel));
    assert_int_equal(parcel.kind, kind);
    assert_int_equal(parcel.number, number);
    assert_int_equal(parcel.flags, flags);
}

static inline void cloud_expect_nothing(struct cloud_world *world) {
    struct cloud_parcel parcel;
    assert_false(cloud_hear_parcel(world, &parcel));
}

static inline void cloud_hear_settled(struct cloud_world *world) {
    struct message_reader reader;
    size_t length;
    cloud_settle(world);
    do
        while (!cloud_hear(world, PROTOCOL_SETTLED, &reader))
            assert_true(sd_event_run(world->event, CLOUD_LIMIT_US) > 0);
    while (message_get_u8(&reader) != PARCEL_BATCH);
    const uint8_t *numbers = message_get_rest(&reader, &length);
    assert_in_range(length, 1, sizeof world->settled);
    memcpy(world->settled, numbers, length);
    world->settled_end = length / sizeof world->settled[0];
    world->settled_at = 0;
}

/* The next number that core says is settled. */
static inline void cloud_expect_settled(struct cloud_world *world, uint64_t number) {
    if (world->settled_at == world->settled_end)
        cloud_hear_settled(world);
    assert_int_equal(world->settled[world->settled_at++], number);
}

/* What the status says of a catalogue that the peer does not have; "" when nothing is wrong. */
static inline const char *cloud_missing_catalogue(const struct cloud_world *world) {
    static char reason[CATALOGUE_LANE_REASON_MAX];
    json_t *link = cloud_peer_link_to_json(world->cloud);
    const json_t *catalogue = json_object_get(link, "catalogue");
    assert_non_null(catalogue);
    const char *told = json_string_value(json_object_get(catalogue, "reason"));
    snprintf(reason, sizeof reason, "%s", told != NULL ? told : "");
    json_decref(link);
    return reason;
}

static inline void cloud_seal_batches(struct cloud_world *world, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        fixture_batch_of(world->store, 10);
    cloud_peer_sealed(world->cloud);
}

static inline void cloud_connect(struct cloud_world *world) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", world->store->folder, PROTOCOL_CLOUD_SOCKET);
    world->program = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    assert_int_equal(connect(world->program, (const struct sockaddr *)&address, sizeof address), 0);
    cloud_say(world, PROTOCOL_CLOUD_HELLO, NULL, 0);
}

/* With forebay-cloud there, its link up, and batches stored before that. */
static inline struct cloud_world *cloud_open(void **state, unsigned batches, uint32_t window_messages) {
    static struct cloud_world world;
    world = (struct cloud_world){.store = *state};
    fixture_open(world.store);
    assert_int_equal(sd_event_new(&world.event), 0);
    assert_int_equal(cloud_peer_new(world.event, world.store->folder, world.store->store, &cloud_handlers, &world,
                                    &world.cloud, &world.store->cause),
                     FB_OK);
    const struct link_settings link = {.window_messages = window_messages, .window_bytes = LINK_WINDOW_BYTES_MIN};
    cloud_peer_set_link(world.cloud, &link);
    for (unsigned i = 0; i < batches; i++)
        fixture_batch_of(world.store, 10);
    cloud_connect(&world);
    cloud_say_up(&world, 0);
    cloud_settle(&world);
    assert_true(world.link_up);
    return &world;
}

static inline void cloud_close(struct cloud_world *world) {
    close(world->program);
    cloud_peer_free(world->cloud);
    sd_event_unref(world->event);
}

static inline struct store_figures cloud_figures(const struct cloud_world *world) {
    struct store_figures figures;
    store_figures(world->store->store, &figures);
    return figures;
}

#endif
