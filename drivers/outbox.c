#include "drivers/outbox.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "gateway/common/protocol.h"

void outbox_init(struct outbox *outbox, int descriptor) {
    outbox->descriptor = descriptor;
    outbox->kept = NULL;
    outbox->kept_from = outbox->kept_to = 0;
    outbox->lost = 0;
    outbox->lost_from_ms = 0;
    outbox->lost_to_ms = 0;
}

static bool send_packet(const struct outbox *outbox, struct message_writer *writer) {
    return message_finish(writer) == FB_OK &&
           send(outbox->descriptor, writer->data, writer->used, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static void count_lost(struct outbox *outbox, const struct reading *readings, size_t units) {
    if (outbox->lost == 0)
        outbox->lost_from_ms = readings[0].time_ms;
    for (size_t i = 0; i < units; i += reading_units(&readings[i])) {
        outbox->lost++;
        outbox->lost_to_ms = readings[i].time_ms;
    }
}

static bool tell_lost(struct outbox *outbox) {
    if (outbox->lost == 0)
        return true;
    uint8_t packet[MESSAGE_HEADER_BYTES + 4 * sizeof(uint64_t)];
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_READINGS_LOST, 0);
    message_put_u64(&writer, 0);
    message_put_u64(&writer, (uint64_t)outbox->lost_from_ms);
    message_put_u64(&writer, (uint64_t)outbox->lost_to_ms);
    message_put_u64(&writer, outbox->lost);
    if (!send_packet(outbox, &writer))
        return false;
    outbox->lost = 0;
    return true;
}

static bool send_some(struct outbox *outbox, const struct reading *readings, size_t units) {
    struct message_writer writer = message_begin(outbox->packet, sizeof outbox->packet, PROTOCOL_READINGS, 0);
    message_put_u64(&writer, 0);
    message_put_bytes(&writer, readings, units * sizeof *readings);
    return send_packet(outbox, &writer);
}

static bool keep(struct outbox *outbox, const struct reading *readings, size_t units) {
    if (outbox->kept == NULL)
        outbox->kept = malloc(OUTBOX_KEPT_MAX * sizeof *outbox->kept);
    if (outbox->kept == NULL || units > OUTBOX_KEPT_MAX - outbox->kept_to)
        return false;
    memcpy(outbox->kept + outbox->kept_to, readings, units * sizeof *readings);
    outbox->kept_to += units;
    return true;
}

static size_t first_message(const struct reading *readings, size_t units) {
    const size_t most = units < OUTBOX_READINGS_MAX ? units : OUTBOX_READINGS_MAX;
    return readings_first(readings, most, most);
}

bool outbox_waits(const struct outbox *outbox) {
    return outbox->kept_from < outbox->kept_to;
}

void outbox_flush(struct outbox *outbox) {
    while (outbox_waits(outbox)) {
        const struct reading *kept = outbox->kept + outbox->kept_from;
        const size_t some = first_message(kept, outbox->kept_to - outbox->kept_from);
        if (!send_some(outbox, kept, some))
            return;
        outbox->kept_from += some;
    }
    free(outbox->kept);
    outbox->kept = NULL;
    outbox->kept_from = outbox->kept_to = 0;
}

void outbox_send_readings(struct outbox *outbox, const struct reading *readings, size_t units) {
    outbox_flush(outbox);
    for (size_t sent = 0; sent < units;) {
        const size_t some = first_message(readings + sent, units - sent);
        const bool is_sent = !outbox_waits(outbox) && tell_lost(outbox) && send_some(outbox, readings + sent, some);
        if (!is_sent && !keep(outbox, readings + sent, some))
            count_lost(outbox, readings + sent, some);
        sent += some;
    }
}

void outbox_send_tell(struct outbox *outbox, uint64_t id, const char *text) {
    struct message_writer writer = message_begin(outbox->packet, sizeof outbox->packet, PROTOCOL_TELL, 0);
    message_put_u64(&writer, id);
    message_put_bytes(&writer, text, strlen(text));
    (void)send_packet(outbox, &writer);
}

void outbox_send_status(struct outbox *outbox, const char *text) {
    struct message_writer writer = message_begin(outbox->packet, sizeof outbox->packet, PROTOCOL_BUS_STATUS, 0);
    message_put_bytes(&writer, text, strlen(text));
    (void)send_packet(outbox, &writer);
}
