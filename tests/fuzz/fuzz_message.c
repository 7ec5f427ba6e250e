// links: gateway/common/message.c gateway/common/error.c gateway/common/file.c
/* One packet, read by getters that the input's first bytes choose: never past its end, and bad for good after that. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "gateway/common/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t get(struct message_reader *reader, uint8_t how) {
    size_t length;
    switch (how % 5) {
    case 0:
        (void)message_get_u8(reader);
        return 1;
    case 1:
        (void)message_get_u32(reader);
        return 4;
    case 2:
        (void)message_get_u64(reader);
        return 8;
    case 3:
        (void)message_get_bytes(reader, how);
        return how;
    default:
        (void)message_get_rest(reader, &length);
        return length;
    }
}

static void read_all(struct message_reader *reader, const uint8_t *how, size_t count) {
    size_t left = reader->left;
    for (size_t i = 0; i < count; i++) {
        const bool was_bad = reader->bad;
        const size_t wanted = get(reader, how[i]);
        assert(reader->bad == (was_bad || wanted > left));
        left -= reader->bad ? 0 : wanted;
        assert(reader->left == left);
        assert(message_done(reader) == (!reader->bad && left == 0));
    }
}

/* The same packet written anew is the same bytes. */
static void write_again(const struct message_reader *reader, const uint8_t *packet, size_t packet_bytes) {
    static uint8_t fresh[MESSAGE_BYTES_MAX];
    struct message_writer writer = message_begin(fresh, sizeof fresh, reader->type, reader->flags);
    message_put_bytes(&writer, reader->data, reader->left);
    assert(message_finish(&writer) == FB_OK);
    assert(writer.used == packet_bytes && memcmp(fresh, packet, packet_bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const size_t count = size > 0 && data[0] < size ? data[0] : 0;
    const uint8_t *packet = data + (size > 0 ? 1 + count : 0);
    const size_t packet_bytes = size - (size_t)(packet - data);
    struct message_reader reader;
    if (size == 0 || message_open(packet, packet_bytes, &reader) != FB_OK)
        return 0;
    write_again(&reader, packet, packet_bytes);
    read_all(&reader, data + 1, count);
    return 0;
}
