// links: drivers/core_peer.c drivers/instructions.c drivers/ring.c gateway/common/backoff.c gateway/common/channel.c gateway/common/error.c gateway/common/file.c gateway/common/json.c gateway/common/log.c gateway/common/message.c gateway/common/plant.c gateway/common/quality.c gateway/common/reading.c gateway/common/clock.c gateway/common/plant_lines.c gateway/common/plant_write.c
/* forebay-field's conversation with core, against a core that is played here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/core_peer.h"
#include "gateway/common/channel.h"
#include "gateway/common/clock.h"
#include "gateway/common/protocol.h"

#define PATIENCE_MS 10000

struct world {
    sd_event *event;
    char folder[32], path[64];
    struct ring ring;
    struct core_peer *peer;
    struct channel_listener *listener;
    struct channel *core; /* core's end */
    uint64_t epoch, sequence, readings, connections;
    unsigned plants, ready, statuses;
    size_t plant_buses;
};

static bool core_hears(struct channel *channel, struct message_reader *reader, void *user) {
    (void)channel;
    struct world *world = user;
    size_t rest;
    if (reader->type == PROTOCOL_FIELD_HELLO) {
        world->epoch = message_get_u64(reader);
    } else if (reader->type == PROTOCOL_READINGS) {
        assert_int_equal(message_get_u64(reader), ++world->sequence);
        message_get_rest(reader, &rest);
        world->readings += rest / sizeof(struct reading);
    } else {
        assert_int_equal(reader->type, PROTOCOL_BUS_STATUS);
        message_get_rest(reader, &rest);
        world->statuses++;
    }
    return message_done(reader);
}

static void core_loses(struct channel *channel, const char *reason, void *user) {
    (void)reason;
    channel_free(channel);
    ((struct world *)user)->core = NULL;
}

static const struct channel_handlers core_handlers = {.message = core_hears, .closed = core_loses};

static void core_accepts(int descriptor, void *user) {
    struct world *world = user;
    struct fb_cause cause;
    channel_free(world->core);
    world->connections++;
    world->epoch = 0;
    assert_int_equal(channel_adopt(world->event, descriptor, &core_handlers, world, &world->core, &cause), FB_OK);
}

static void on_plant(struct plant *plant, void *user) {
    struct world *world = user;
    world->plants++;
    world->plant_buses = plant->bus_count;
}

static void on_ready(void *user) {
    ((struct world *)user)->ready++;
}

static const struct core_peer_handlers handlers = {.plant = on_plant, .ready = on_ready};

static void core_starts(struct world *world) {
    const struct channel_listener_settings settings = {
        .path = world->path, .mode = 0600, .type = SOCK_SEQPACKET, .accepted = core_accepts, .user = world};
    struct fb_cause cause;
    assert_int_equal(channel_listen(world->event, &settings, &world->listener, &cause), FB_OK);
}

static void open_world(struct world *world) {
    *world = (struct world){.folder = "/tmp/forebay-test-XXXXXX"};
    assert_non_null(mkdtemp(world->folder));
    snprintf(world->path, sizeof world->path, "%s/%s", world->folder, PROTOCOL_FIELD_SOCKET);
    assert_true(sd_event_new(&world->event) >= 0);
    ring_init(&world->ring, 8);
    struct fb_cause cause;
    assert_int_equal(core_peer_new(world->event, world->folder, &world->ring, &handlers, world, &world->peer, &cause),
                     FB_OK);
}

static void close_world(struct world *world) {
    core_peer_free(world->peer);
    channel_free(world->core);
    channel_listener_free(world->listener);
    ring_done(&world->ring);
    sd_event_unref(world->event);
    rmdir(world->folder);
}

/* Run the loop until the number that grows has reached what is wanted. */
#define AWAIT(world, number, wanted)                                                                                   \
    do {                                                                                                               \
        const int64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;                                                \
        while ((number) < (wanted)) {                                                                                  \
            assert_true(clock_monotonic_ms() < deadline_ms);                                                           \
            assert_true(sd_event_run((world)->event, 100000) >= 0);                                                    \
        }                                                                                                              \
    } while (0)

static void core_says(struct world *world, uint8_t type, uint64_t number) {
    channel_send_bytes(world->core, type, &number, sizeof number);
}

static void meet(struct world *world, uint64_t resume) {
    AWAIT(world, world->epoch, 1);
    world->sequence = resume;
    core_says(world, PROTOCOL_FIELD_RESUME, resume);
    const unsigned ready = world->ready + 1;
    AWAIT(world, world->ready, ready);
}

static void poll_some(struct world *world, size_t messages) {
    for (size_t i = 0; i < messages; i++) {
        const struct reading reading = reading_integer(1, 1000, 0, (int64_t)i);
        ring_add(&world->ring, &reading, 1);
        ring_seal(&world->ring);
    }
    core_peer_flush(world->peer);
}

static void it_connects_as_soon_as_core_is_there(void **state) {
    (void)state;
    struct world world;
    open_world(&world);
    poll_some(&world, 5);
    for (int i = 0; i < 3; i++)
        assert_true(sd_event_run(world.event, 200000) >= 0);
    core_starts(&world);
    meet(&world, 0);
    AWAIT(&world, world.readings, 5);
    assert_int_equal(world.sequence, 5);
    close_world(&world);
}

static void nothing_but_hello_is_said_before_resume(void **state) {
    (void)state;
    struct world world;
    open_world(&world);
    core_starts(&world);
    poll_some(&world, 2);
    AWAIT(&world, world.epoch, 1);
    core_peer_send_status(world.peer, "{}");
    core_peer_flush(world.peer);
    assert_true(sd_event_run(world.event, 50000) >= 0);
    assert_int_equal(world.readings + world.statuses, 0);
    meet(&world, 0);
    core_peer_send_status(world.peer, "{}");
    AWAIT(&world, world.statuses, 1);
    assert_int_equal(world.readings, 2);
    close_world(&world);
}

static void a_core_that_died_gets_what_it_had_not_committed(void **state) {
    (void)state;
    struct world world;
    open_world(&world);
    core_starts(&world);
    meet(&world, 0);
    const uint64_t epoch = world.epoch;
    poll_some(&world, 10);
    AWAIT(&world, world.readings, 10);
    core_says(&world, PROTOCOL_COMMITTED, 6);
    assert_true(sd_event_run(world.event, 1000000) >= 0);
    channel_free(world.core);
    world.core = NULL;
    poll_some(&world, 3);
    AWAIT(&world, world.connections, 2);
    meet(&world, 6);
    assert_true(world.epoch == epoch);
    AWAIT(&world, world.sequence, 13);
    assert_int_equal(world.readings, 10 + 7);
    close_world(&world);
}

static void a_plant_is_handed_on_whole(void **state) {
    (void)state;
    const struct plant_bus bus = {
        .name = "b", .kind = PLANT_MODBUS_TCP, .host = "h", .port = 502, .baud = 9600, .timeout_ms = 500};
    json_t *json = plant_bus_to_json(&bus);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    struct world world;
    open_world(&world);
    core_starts(&world);
    meet(&world, 0);
    channel_send_bytes(world.core, PROTOCOL_PLANT_BEGIN, NULL, 0);
    channel_send_text(world.core, PROTOCOL_PLANT_BUS, text);
    free(text);
    channel_send_bytes(world.core, PROTOCOL_PLANT_END, NULL, 0);
    AWAIT(&world, world.plants, 1);
    assert_int_equal(world.plant_buses, 1);
    close_world(&world);
}

static void a_core_that_talks_nonsense_is_left_and_met_again(void **state) {
    (void)state;
    static const struct {
        uint8_t type;
        const char *text;
    } rows[] = {{PROTOCOL_PLANT_BUS, "{}"},
                {PROTOCOL_PLANT_END, ""},
                {PROTOCOL_COMMITTED, "\xff\xff\xff\xff\xff\xff\xff\xff"},
                {PROTOCOL_FIELD_RESUME, "short"},
                {PROTOCOL_READINGS, "nonsense"}};
    struct world world;
    open_world(&world);
    core_starts(&world);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AWAIT(&world, world.connections, i + 1);
        meet(&world, 0);
        channel_send_text(world.core, rows[i].type, rows[i].text);
        AWAIT(&world, world.connections, i + 2);
    }
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_connects_as_soon_as_core_is_there),
        cmocka_unit_test(nothing_but_hello_is_said_before_resume),
        cmocka_unit_test(a_core_that_died_gets_what_it_had_not_committed),
        cmocka_unit_test(a_plant_is_handed_on_whole),
        cmocka_unit_test(a_core_that_talks_nonsense_is_left_and_met_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
