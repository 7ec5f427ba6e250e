/* core_world.h - for fuzz targets: a whole forebay-core on its real loop, with a real store in memory and real sockets.
 * It is started once and lives as long as the process; one input is one connection. */
#ifndef FB_TESTS_CORE_WORLD_H
#define FB_TESTS_CORE_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/message.h"
#include "gateway/core/core.h"

/* The one core, started at the first call. */
struct core *core_world(void);

/* Connect to one of its sockets, by its name in protocol.h. */
int core_world_connect(const char *name);
/* Send one message; the payload is cut to what fits. What core does not take or no longer wants is lost. */
void core_world_send(int descriptor, uint8_t type, const void *payload, size_t length);
/* The next message from core; false when there is none. packet: MESSAGE_BYTES_MAX of room. */
bool core_world_receive(int descriptor, uint8_t *packet, struct message_reader *ret_reader);
/* Let core work until it rests, which must be soon. */
void core_world_settle(void);
/* Whatever was said, core's status and values can be told, as JSON. */
void core_world_check(void);

/* A part of the input: the next byte, or up to length bytes. 0 and none at the end. */
struct core_world_input {
    const uint8_t *data;
    size_t left;
};
uint8_t core_world_byte(struct core_world_input *input);
const uint8_t *core_world_bytes(struct core_world_input *input, size_t length, size_t *ret_length);
/* Bytes behind a length of 16 bits. */
const uint8_t *core_world_block(struct core_world_input *input, size_t *ret_length);

#endif
