#include "drivers/inbox.h"

#include <stdbool.h>
#include <string.h>

#include "gateway/common/protocol.h"

static bool take_readings(struct message_reader *reader, struct inbox_message *message) {
    const uint64_t sequence = message_get_u64(reader);
    size_t length;
    const uint8_t *bytes = message_get_rest(reader, &length);
    message->units = length / sizeof(struct reading);
    if (!message_done(reader) || sequence != 0 || message->units == 0 || length % sizeof(struct reading) != 0 ||
        message->units > OUTBOX_READINGS_MAX)
        return false;
    /* Copied because readings in a packet are not aligned. */
    memcpy(message->readings, bytes, length);
    return readings_valid(message->readings, message->units);
}

static bool take_lost(struct message_reader *reader, struct inbox_message *message) {
    const uint64_t sequence = message_get_u64(reader);
    const uint64_t from_ms = message_get_u64(reader);
    const uint64_t to_ms = message_get_u64(reader);
    message->lost = message_get_u64(reader);
    message->lost_from_ms = (int64_t)from_ms;
    message->lost_to_ms = (int64_t)to_ms;
    return message_done(reader) && sequence == 0 && message->lost > 0 && from_ms <= READING_TIME_MAX_MS &&
           to_ms <= READING_TIME_MAX_MS;
}

static bool take_status(struct message_reader *reader, struct inbox_message *message) {
    message->status = (const char *)message_get_rest(reader, &message->status_length);
    return message_done(reader) && message->status_length > 0 &&
           memchr(message->status, '\0', message->status_length) == NULL;
}

static bool take_tell(struct message_reader *reader, struct inbox_message *message) {
    message->id = message_get_u64(reader);
    return take_status(reader, message);
}

enum fb_error inbox_take(struct message_reader *reader, struct inbox_message *ret_message) {
    static const struct {
        uint8_t type;
        bool (*take)(struct message_reader *reader, struct inbox_message *message);
    } takers[] = {
        {PROTOCOL_READINGS, take_readings},
        {PROTOCOL_READINGS_LOST, take_lost},
        {PROTOCOL_BUS_STATUS, take_status},
        {PROTOCOL_TELL, take_tell},
    };
    for (size_t i = 0; i < sizeof takers / sizeof takers[0]; i++)
        if (takers[i].type == reader->type) {
            ret_message->type = reader->type;
            return takers[i].take(reader, ret_message) ? FB_OK : FB_INVALID;
        }
    return FB_INVALID;
}
