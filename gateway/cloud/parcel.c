#include "gateway/cloud/parcel.h"

#include <stdio.h>

#include "gateway/common/hex.h"

#define MESSAGE_ID_MAX 128
/* Header, properties, annotations and application properties take less: the longest texts are id, address and name. */
#define SECTIONS_BYTES_MAX 1024
/* Above the bits that window.c uses, which counts for centuries. */
#define DELIVERY_BITS 48

/* What is the same for every message of a parcel. */
struct frame {
    char id[MESSAGE_ID_MAX], to[LINK_TEXT_MAX];
    struct amqp_message message;
};

static void write_id(const struct link_settings *settings, const struct window_parcel *parcel, const char *kind,
                     unsigned number, char ret_id[static MESSAGE_ID_MAX]) {
    const char separator = cloud_profile(settings->profile)->separator;
    char store[2 * PROTOCOL_STORE_BYTES + 1];
    hex_encode(parcel->store, sizeof parcel->store, store);
    const int used = snprintf(ret_id, MESSAGE_ID_MAX, "%s%c%s%c%llu", store, separator, kind, separator,
                              (unsigned long long)parcel->number);
    if (number > 0)
        snprintf(ret_id + used, MESSAGE_ID_MAX - (size_t)used, "%c%u", separator, number);
}

/* number: of the message among the parcel's, 0 when it is the only one. */
static void make_frame(const struct link_settings *settings, const char *address, const struct window_parcel *parcel,
                       const char *kind, unsigned number, struct frame *frame) {
    frame->to[0] = '\0';
    write_id(settings, parcel, kind, number, frame->id);
    if (cloud_address_varies(address) && !cloud_address(address, settings->gateway, kind, frame->to, sizeof frame->to))
        frame->to[0] = '\0';
    frame->message = (struct amqp_message){
        .message_id = frame->id,
        .subject = kind,
        .group_id = settings->gateway,
        .to = frame->to,
        .partition_key = cloud_profile(settings->profile)->partition_key ? settings->gateway : NULL,
        .historical = parcel->historical,
    };
}

enum fb_error parcel_send(struct amqp *amqp, const struct link_settings *settings, const char *address,
                          const struct window_parcel *parcel, const uint8_t *bytes, struct fb_cause *cause) {
    static const struct {
        const char *kind, *content_type;
    } kinds[] = {
        [PARCEL_BATCH] = {"batch", "application/vnd.forebay.batch"},
        [PARCEL_CATALOGUE] = {"catalogue", "application/vnd.forebay.catalogue"},
        [PARCEL_EVENT] = {"event", "application/json"},
    };
    struct frame frame;
    make_frame(settings, address, parcel, kinds[parcel->kind].kind, 0, &frame);
    frame.message.content_type = kinds[parcel->kind].content_type;
    frame.message.body = bytes;
    frame.message.body_length = parcel->length;
    return amqp_send(amqp, parcel->delivery, &frame.message, cause);
}

enum fb_error parcel_send_rendered(struct amqp *amqp, const struct link_settings *settings, const char *address,
                                   const struct window_parcel *parcel, const struct renderer_body *body,
                                   struct fb_cause *cause) {
    struct frame frame;
    make_frame(settings, address, parcel, "senml", body->number, &frame);
    frame.message.content_type = "application/senml+json";
    if (settings->compression != CLOUD_NONE)
        frame.message.content_encoding = cloud_compression_words[settings->compression];
    frame.message.body = (const uint8_t *)body->bytes;
    frame.message.body_length = body->length;
    return amqp_send(amqp, parcel_delivery(parcel, body->number), &frame.message, cause);
}

uint64_t parcel_delivery(const struct window_parcel *parcel, unsigned number) {
    return parcel->delivery | (uint64_t)number << DELIVERY_BITS;
}

uint64_t parcel_of_delivery(uint64_t delivery) {
    return delivery & ((UINT64_C(1) << DELIVERY_BITS) - 1);
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
