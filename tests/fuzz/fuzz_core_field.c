// links: tests/fuzz/core_world.c gateway/core/[!m]*.c gateway/config/*.c store/*.c drivers/plan.c gateway/common/[!l]*.c gateway/common/link_settings.c gateway/common/pin.c gateway/amqp/validity.c gateway/amqp/certificate.c gateway/common/cloud_profile.c
/* What forebay-field may say to core: one message after the other, each an operation, then its payload behind a length
 * of 16 bits. What core has taken must seal into batches that decode. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core_world.h"
#include "gateway/common/protocol.h"

#define MESSAGES_MOST 64
#define EPOCH 7

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum operation {
    OPERATION_HELLO,         /* with a fixed epoch */
    OPERATION_NEXT_READINGS, /* the payload behind the right sequence */
    OPERATION_NEXT_LOST,
    OPERATION_BUS_STATUS,
    OPERATION_SEAL,
    OPERATION_RECONNECT,
    OPERATION_ANY, /* the payload's first byte is the type */
    OPERATIONS
};

static void send_next(int field, uint8_t type, const uint8_t *payload, size_t length) {
    static uint8_t bytes[sizeof(uint64_t) + UINT16_MAX];
    const uint64_t sequence = intake_resume(core_world()->intake, EPOCH) + 1;
    memcpy(bytes, &sequence, sizeof sequence);
    memcpy(bytes + sizeof sequence, payload, length);
    core_world_send(field, type, bytes, sizeof sequence + length);
}

static void seal(void) {
    static struct store_batch batch;
    struct core *core = core_world();
    struct fb_cause cause;
    assert(intake_seal_now(core->intake, &cause) == FB_OK);
    while (store_next(core->store, 1, UINT64_MAX, &batch, &cause) == FB_OK) {
        struct batch_info *info = malloc(sizeof *info);
        struct reading *readings = NULL;
        size_t count;
        assert(batch_decode(batch.bytes, batch.length, info, &readings, &count, &cause) == FB_OK);
        free(readings);
        free(info);
        assert(store_mark_sent(core->store, &batch.number, 1, 1, &cause) == FB_OK);
    }
}

static int reconnect(int field) {
    if (field >= 0)
        close(field);
    return core_world_connect(PROTOCOL_FIELD_SOCKET);
}

static int say(int field, uint8_t operation, const uint8_t *payload, size_t length) {
    const uint64_t epoch = EPOCH;
    if (operation == OPERATION_HELLO)
        core_world_send(field, PROTOCOL_FIELD_HELLO, &epoch, sizeof epoch);
    else if (operation == OPERATION_NEXT_READINGS)
        send_next(field, PROTOCOL_READINGS, payload, length);
    else if (operation == OPERATION_NEXT_LOST)
        send_next(field, PROTOCOL_READINGS_LOST, payload, length);
    else if (operation == OPERATION_BUS_STATUS)
        core_world_send(field, PROTOCOL_BUS_STATUS, payload, length);
    else if (operation == OPERATION_SEAL)
        seal();
    else if (operation == OPERATION_RECONNECT)
        field = reconnect(field);
    else if (length > 0)
        core_world_send(field, payload[0], payload + 1, length - 1);
    return field;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t packet[MESSAGE_BYTES_MAX];
    struct core_world_input input = {data, size};
    struct message_reader reader;
    int field = reconnect(-1);
    for (int i = 0; i < MESSAGES_MOST && input.left > 0; i++) {
        size_t length;
        const uint8_t operation = core_world_byte(&input) % OPERATIONS;
        const uint8_t *payload = core_world_block(&input, &length);
        field = say(field, operation, payload, length);
        core_world_settle();
        while (core_world_receive(field, packet, &reader)) {
        }
    }
    core_world_check();
    close(field);
    core_world_settle();
    seal();
    assert(field_peer_peer(core_world()->field)->channel == NULL);
    return 0;
}
