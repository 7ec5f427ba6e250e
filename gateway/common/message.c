#include "gateway/common/message.h"

#include <assert.h>
#include <string.h>

struct header {
    uint8_t version;
    uint8_t type;
    uint16_t flags;
    uint32_t length_bytes;
};

_Static_assert(sizeof(struct header) == MESSAGE_HEADER_BYTES, "the header goes out as it stands");

struct message_writer message_begin(uint8_t *data, size_t capacity, uint8_t type, uint16_t flags) {
    assert(capacity >= MESSAGE_HEADER_BYTES);
    const struct header header = {.version = MESSAGE_VERSION, .type = type, .flags = flags};
    memcpy(data, &header, sizeof header);
    return (struct message_writer){.data = data, .capacity = capacity, .used = sizeof header};
}

void message_put_bytes(struct message_writer *writer, const void *bytes, size_t length) {
    if (writer->overflow || length > writer->capacity - writer->used) {
        writer->overflow = true;
        return;
    }
    if (length > 0)
        memcpy(writer->data + writer->used, bytes, length);
    writer->used += length;
}

void message_put_u8(struct message_writer *writer, uint8_t value) {
    message_put_bytes(writer, &value, sizeof value);
}

void message_put_u32(struct message_writer *writer, uint32_t value) {
    message_put_bytes(writer, &value, sizeof value);
}

void message_put_u64(struct message_writer *writer, uint64_t value) {
    message_put_bytes(writer, &value, sizeof value);
}

enum fb_error message_finish(struct message_writer *writer) {
    if (writer->overflow || writer->used > MESSAGE_BYTES_MAX)
        return FB_LIMIT;
    const uint32_t length = (uint32_t)(writer->used - MESSAGE_HEADER_BYTES);
    memcpy(writer->data + offsetof(struct header, length_bytes), &length, sizeof length);
    return FB_OK;
}

enum fb_error message_open(const uint8_t *packet, size_t packet_bytes, struct message_reader *ret_reader) {
    struct header header;
    if (packet_bytes < sizeof header || packet_bytes > MESSAGE_BYTES_MAX)
        return FB_INVALID;
    memcpy(&header, packet, sizeof header);
    if (header.version != MESSAGE_VERSION)
        return FB_VERSION;
    if (header.length_bytes != packet_bytes - sizeof header)
        return FB_INVALID;
    *ret_reader = (struct message_reader){
        .data = packet + sizeof header,
        .left = header.length_bytes,
        .type = header.type,
        .flags = header.flags,
    };
    return FB_OK;
}

const uint8_t *message_get_bytes(struct message_reader *reader, size_t length) {
    if (reader->bad || length > reader->left) {
        reader->bad = true;
        return NULL;
    }
    const uint8_t *bytes = reader->data;
    reader->data += length;
    reader->left -= length;
    return bytes;
}

static void get(struct message_reader *reader, void *value, size_t length) {
    const uint8_t *bytes = message_get_bytes(reader, length);
    if (bytes != NULL)
        memcpy(value, bytes, length);
}

uint8_t message_get_u8(struct message_reader *reader) {
    uint8_t value = 0;
    get(reader, &value, sizeof value);
    return value;
}

uint32_t message_get_u32(struct message_reader *reader) {
    uint32_t value = 0;
    get(reader, &value, sizeof value);
    return value;
}

uint64_t message_get_u64(struct message_reader *reader) {
    uint64_t value = 0;
    get(reader, &value, sizeof value);
    return value;
}

const uint8_t *message_get_rest(struct message_reader *reader, size_t *ret_length) {
    *ret_length = reader->bad ? 0 : reader->left;
    return message_get_bytes(reader, *ret_length);
}

bool message_done(const struct message_reader *reader) {
    return !reader->bad && reader->left == 0;
}
