// links: tests/fuzz/core_world.c gateway/core/[!m]*.c gateway/config/*.c store/*.c drivers/plan.c gateway/common/[!l]*.c gateway/common/link_settings.c gateway/common/pin.c gateway/amqp/validity.c gateway/amqp/certificate.c gateway/common/cloud_profile.c
/* What forebay-cloud may say to core: one message after the other, each an operation, then its payload behind a length
 * of 16 bits. Core must hand out no batch twice within a session, and each after its catalogue. */
#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "core_world.h"
#include "gateway/common/protocol.h"
#include "store/store_parked.h"

#define MESSAGES_MOST 64
#define PARCELS_MOST 4096
#define WINDOW_MESSAGES 8 /* of core_world.c's configuration */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct parcel {
    uint8_t kind;
    uint64_t number;
    bool decided;
};

/* The peer's view of one session. */
static struct {
    int descriptor;
    struct parcel parcels[PARCELS_MOST];
    size_t count, first_open;
    size_t catalogues;
    bool forged; /* it has said what an honest peer would not: only core's own rules are watched */
} cloud;

static void begin_session(void) {
    cloud.count = cloud.first_open = cloud.catalogues = 0;
}

static void note_parcel(struct message_reader *reader) {
    size_t length;
    const uint8_t kind = message_get_u8(reader);
    (void)message_get_u8(reader);
    const uint64_t number = message_get_u64(reader);
    (void)message_get_rest(reader, &length);
    assert(message_done(reader) && length > 0);
    assert(kind == PARCEL_CATALOGUE || kind == PARCEL_BATCH || kind == PARCEL_EVENT);
    cloud.catalogues += kind == PARCEL_CATALOGUE;
    assert(cloud.catalogues > 0 || kind == PARCEL_EVENT || cloud.forged);
    size_t open_batches = 0;
    for (size_t i = 0; i < cloud.count; i++) {
        const struct parcel *parcel = &cloud.parcels[i];
        open_batches += parcel->kind == PARCEL_BATCH && !parcel->decided;
        assert(kind == PARCEL_CATALOGUE || parcel->kind != kind || parcel->number != number || parcel->decided ||
               cloud.forged);
    }
    assert(open_batches < WINDOW_MESSAGES || cloud.forged || kind != PARCEL_BATCH);
    if (cloud.count < PARCELS_MOST)
        cloud.parcels[cloud.count++] = (struct parcel){.kind = kind, .number = number};
}

static void listen_to_core(void) {
    static uint8_t packet[MESSAGE_BYTES_MAX];
    struct message_reader reader;
    core_world_settle();
    while (core_world_receive(cloud.descriptor, packet, &reader))
        if (reader.type == PROTOCOL_PARCEL)
            note_parcel(&reader);
}

static void say_next(const uint8_t *payload, size_t length) {
    uint32_t room[2] = {length > 0 ? payload[0] : 2, 65536};
    if (length >= 5)
        memcpy(&room[1], payload + 1, sizeof room[1]);
    core_world_send(cloud.descriptor, PROTOCOL_NEXT, room, sizeof room);
}

static void say_outcome(const uint8_t *payload, size_t length) {
    uint8_t bytes[10 + 2048];
    if (cloud.first_open == cloud.count || length > 2048)
        return;
    struct parcel *parcel = &cloud.parcels[cloud.first_open++];
    parcel->decided = true;
    bytes[0] = parcel->kind;
    memcpy(bytes + 1, &parcel->number, sizeof parcel->number);
    bytes[9] = length > 0 ? payload[0] : PARCEL_ACCEPTED;
    if (length > 1)
        memcpy(bytes + 10, payload + 1, length - 1);
    core_world_send(cloud.descriptor, PROTOCOL_OUTCOME, bytes, 10 + (length > 1 ? length - 1 : 0));
}

static void seal_one(void) {
    const struct core *core = core_world();
    const struct reading reading = reading_integer(2, 1795293200000, 0, 5);
    const uint64_t sequence = intake_resume(core->intake, 1) + 1;
    struct fb_cause cause;
    intake_follow_epoch(core->intake, 1);
    assert(intake_take(core->intake, sequence, &reading, 1));
    assert(intake_seal_now(core->intake, &cause) == FB_OK);
}

static void reconnect(void) {
    if (cloud.descriptor > 0)
        close(cloud.descriptor);
    core_world_settle();
    cloud.descriptor = core_world_connect(PROTOCOL_CLOUD_SOCKET);
    begin_session();
}

static void say_any(const uint8_t *payload, size_t length) {
    if (length == 0)
        return;
    cloud.forged = true;
    core_world_send(cloud.descriptor, payload[0], payload + 1, length - 1);
}

static void say_hello(const uint8_t *payload, size_t length) {
    (void)payload;
    (void)length;
    core_world_send(cloud.descriptor, PROTOCOL_CLOUD_HELLO, NULL, 0);
}

static void say_up(const uint8_t *payload, size_t length) {
    const uint32_t bytes_most = length > 0 ? payload[0] : 0; /* all are larger than a few */
    listen_to_core();
    core_world_send(cloud.descriptor, PROTOCOL_LINK_UP, &bytes_most, sizeof bytes_most);
    begin_session();
}

static void say_down(const uint8_t *payload, size_t length) {
    (void)payload;
    (void)length;
    listen_to_core();
    core_world_send(cloud.descriptor, PROTOCOL_LINK_DOWN, NULL, 0);
    begin_session();
}

static void say_status(const uint8_t *payload, size_t length) {
    core_world_send(cloud.descriptor, PROTOCOL_LINK_STATUS, payload, length);
}

static void say_certificates(const uint8_t *payload, size_t length) {
    core_world_send(cloud.descriptor, PROTOCOL_LINK_CERTIFICATES, payload, length);
}

static void seal(const uint8_t *payload, size_t length) {
    (void)payload;
    (void)length;
    seal_one();
}

static void leave_and_return(const uint8_t *payload, size_t length) {
    (void)payload;
    (void)length;
    reconnect();
}

static void say_attempt(const uint8_t *payload, size_t length) {
    uint8_t bytes[sizeof(uint64_t) + 4096] = {length > 0 ? payload[0] : 1};
    const size_t text = length == 0 ? 0 : length - 1 < 4096 ? length - 1 : 4096;
    if (text > 0)
        memcpy(bytes + sizeof(uint64_t), payload + 1, text);
    core_world_send(cloud.descriptor, PROTOCOL_ATTEMPT, bytes, sizeof(uint64_t) + text);
}

static void (*const operations[])(const uint8_t *payload, size_t length) = {
    say_hello,        say_up,      say_down, say_next, /* messages: the first byte; bytes: the next four */
    say_outcome,                                       /* of the parcel that has waited longest: outcome, reason */
    say_status,       seal,                            /* one more batch */
    leave_and_return, say_any,                         /* the payload's first byte is the type */
    say_certificates, say_attempt,                     /* the payload's first byte is the number */
};

/* So that the next input finds little to do. */
static void empty_store(void) {
    static struct store_batch batch;
    struct core *core = core_world();
    struct fb_cause cause;
    size_t released;
    assert(store_release(core->store, 1, UINT64_MAX, &released, &cause) == FB_OK);
    while (store_next(core->store, 1, UINT64_MAX, &batch, &cause) == FB_OK)
        assert(store_mark_sent(core->store, &batch.number, 1, 1, &cause) == FB_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct core_world_input input = {data, size};
    cloud.forged = false;
    for (int i = 0; i < 3; i++)
        seal_one();
    reconnect();
    for (int i = 0; i < MESSAGES_MOST && input.left > 0; i++) {
        size_t length;
        const size_t operation = core_world_byte(&input) % (sizeof operations / sizeof operations[0]);
        const uint8_t *payload = core_world_block(&input, &length);
        operations[operation](payload, length);
        listen_to_core();
    }
    core_world_check();
    close(cloud.descriptor);
    cloud.descriptor = 0;
    core_world_settle();
    empty_store();
    assert(cloud_peer_peer(core_world()->cloud)->channel == NULL);
    return 0;
}
