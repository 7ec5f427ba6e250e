/* message.h - building and reading the messages that Forebay's programs exchange (see protocol.h for their types).
 * Pure functions over memory; one packet of the SEQPACKET socket is one message:
 *
 *     0        1      2       4          8
 *     +--------+------+-------+----------+-- - -
 *     | version| type | flags | length   | payload, length bytes
 *     +--------+------+-------+----------+-- - -
 *
 * All numbers in the machine's byte order: both ends run on it. */
#ifndef FB_COMMON_MESSAGE_H
#define FB_COMMON_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"

#define MESSAGE_VERSION 1
#define MESSAGE_HEADER_BYTES 8
/* Header and payload. A sealed batch (128 KiB) and its envelope fit; Linux takes 212,960 bytes in one packet. */
#define MESSAGE_BYTES_MAX (132 * 1024)
#define MESSAGE_PAYLOAD_MAX (MESSAGE_BYTES_MAX - MESSAGE_HEADER_BYTES)

enum message_flag {
    MESSAGE_MORE = 1, /* the answer goes on in the next message of the same type */
};

struct message_writer {
    uint8_t *data;   /* borrowed */
    size_t capacity; /* bytes */
    size_t used;     /* header included */
    bool overflow;   /* something did not fit; message_finish() then fails */
};

struct message_reader {
    const uint8_t *data; /* what is left, borrowed */
    size_t left;         /* bytes */
    uint8_t type;
    uint16_t flags;
    bool bad; /* a getter ran past the end; every later getter returns 0 */
};

/* Start a message in data, which must hold at least MESSAGE_HEADER_BYTES. */
struct message_writer message_begin(uint8_t *data, size_t capacity, uint8_t type, uint16_t flags);
void message_put_u8(struct message_writer *writer, uint8_t value);
void message_put_u32(struct message_writer *writer, uint32_t value);
void message_put_u64(struct message_writer *writer, uint64_t value);
void message_put_bytes(struct message_writer *writer, const void *bytes, size_t length);
/* Write the length into the header. FB_LIMIT when something did not fit. writer->used is the packet's size. */
enum fb_error message_finish(struct message_writer *writer) FB_MUST_USE;

/* Check the header of one packet. FB_VERSION, or FB_INVALID when its length is not the packet's.
 * ret_reader borrows packet. */
enum fb_error message_open(const uint8_t *packet, size_t packet_bytes, struct message_reader *ret_reader) FB_MUST_USE;
uint8_t message_get_u8(struct message_reader *reader);
uint32_t message_get_u32(struct message_reader *reader);
uint64_t message_get_u64(struct message_reader *reader);
/* Borrow the next length bytes of the packet; NULL (and bad) if there are fewer. They may be unaligned. */
const uint8_t *message_get_bytes(struct message_reader *reader, size_t length);
/* Borrow all that is left. */
const uint8_t *message_get_rest(struct message_reader *reader, size_t *ret_length);
/* True when the message was read to its end and no getter ran past it. Every handler must end with it. */
bool message_done(const struct message_reader *reader);

#endif
