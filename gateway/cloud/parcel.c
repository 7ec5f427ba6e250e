#include "gateway/cloud/parcel.h"

#include <stdio.h>

#define MESSAGE_ID_MAX 128
/* Header, properties and application properties take less: our longest texts are the id and the gateway's name. */
#define SECTIONS_BYTES_MAX 1024

enum fb_error parcel_send(struct amqp *amqp, const struct link_settings *settings, const struct window_parcel *parcel,
                          const uint8_t *bytes, struct fb_cause *cause) {
    static const struct {
        const char *subject, *content_type;
    } kinds[] = {
        [PARCEL_BATCH] = {"batch", "application/vnd.forebay.batch"},
        [PARCEL_CATALOGUE] = {"catalogue", "application/vnd.forebay.catalogue"},
        [PARCEL_EVENT] = {"event", "application/json"},
    };
    const char *subject = kinds[parcel->kind].subject;
    char store[2 * PROTOCOL_STORE_BYTES + 1], id[MESSAGE_ID_MAX];
    for (size_t i = 0; i < PROTOCOL_STORE_BYTES; i++)
        snprintf(store + 2 * i, 3, "%02x", parcel->store[i]);
    snprintf(id, sizeof id, "%s/%s/%llu", store, subject, (unsigned long long)parcel->number);
    const struct amqp_message message = {
        .message_id = id,
        .subject = subject,
        .group_id = settings->gateway,
        .content_type = kinds[parcel->kind].content_type,
        .historical = parcel->historical,
        .body = bytes,
        .body_length = parcel->length,
    };
    return amqp_send(amqp, parcel->delivery, &message, cause);
}

uint32_t parcel_bytes_most(uint64_t message_bytes) {
    if (message_bytes == 0 || message_bytes > UINT32_MAX)
        return 0;
    return message_bytes > SECTIONS_BYTES_MAX ? (uint32_t)message_bytes - SECTIONS_BYTES_MAX : 1;
}

const char *parcel_reason(enum amqp_outcome outcome, const char *reason, const char *address,
                          char ret_text[static FB_CAUSE_MAX]) {
    if (reason[0] != '\0' || outcome == AMQP_ACCEPTED)
        return reason;
    if (outcome == AMQP_REJECTED)
        snprintf(ret_text, FB_CAUSE_MAX,
                 "the peer gave no reason; RabbitMQ does so when a queue behind %s is full and refuses more", address);
    else
        snprintf(ret_text, FB_CAUSE_MAX,
                 "the peer gave no reason; RabbitMQ does so when no queue is bound for %s, or one is out of order",
                 address);
    return ret_text;
}
