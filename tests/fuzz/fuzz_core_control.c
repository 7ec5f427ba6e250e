// links: tests/fuzz/core_world.c gateway/core/[!m]*.c gateway/config/*.c store/*.c drivers/plan.c gateway/common/[!l]*.c gateway/common/link_settings.c gateway/common/pin.c gateway/amqp/validity.c gateway/amqp/certificate.c gateway/common/cloud_profile.c
/* What may be said on core's control socket: one request after the other, each behind a length of 16 bits; the flag in
 * front of it says whether it is a request or any type. Answers are whole JSON objects. */
#include <assert.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "core_world.h"
#include "gateway/common/protocol.h"
#include "gateway/core/text.h"

#define MESSAGES_MOST 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All pieces that are there; each answer ends with one that is not flagged. */
static void take_answers(int command) {
    static uint8_t packet[MESSAGE_BYTES_MAX];
    struct text text = {0};
    struct message_reader reader;
    while (core_world_receive(command, packet, &reader)) {
        size_t length;
        const char *bytes = (const char *)message_get_rest(&reader, &length);
        assert(reader.type == PROTOCOL_CONTROL_ANSWER && message_done(&reader));
        text_add(&text, bytes, length);
        if (reader.flags & MESSAGE_MORE)
            continue;
        json_t *answer = json_loadb(text.data, text.used, JSON_REJECT_DUPLICATES, NULL);
        const bool ok = json_is_true(json_object_get(answer, "ok"));
        assert(json_is_object(answer));
        assert(ok ? json_is_object(json_object_get(answer, "result"))
                  : json_is_string(json_object_get(answer, "cause")) &&
                        json_is_string(json_object_get(answer, "error")));
        json_decref(answer);
        text_done(&text);
    }
    assert(text.used == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct core_world_input input = {data, size};
    const int command = core_world_connect(PROTOCOL_CONTROL_SOCKET);
    for (int i = 0; i < MESSAGES_MOST && input.left > 0; i++) {
        size_t length;
        const uint8_t type = core_world_byte(&input);
        const uint8_t *payload = core_world_block(&input, &length);
        core_world_send(command, type == 0 ? PROTOCOL_CONTROL_REQUEST : type, payload, length);
        core_world_settle();
        take_answers(command);
    }
    core_world_check();
    close(command);
    core_world_settle();
    return 0;
}
