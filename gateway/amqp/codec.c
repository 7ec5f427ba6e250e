#include "gateway/amqp/codec.h"

#include <proton/codec.h>
#include <stdlib.h>
#include <string.h>

/* Room for header, properties and the frames of the sections, so that encoding seldom has to try twice. */
#define SECTIONS_BYTES 512
#define HISTORICAL "historical"

static void put_historical(pn_data_t *properties) {
    pn_data_put_map(properties);
    pn_data_enter(properties);
    pn_data_put_string(properties, pn_bytes(strlen(HISTORICAL), HISTORICAL));
    pn_data_put_bool(properties, true);
    pn_data_exit(properties);
}

/* Azure Event Hubs keeps messages of one key in order. */
static void put_partition_key(pn_data_t *annotations, const char *key) {
    static const char name[] = "x-opt-partition-key";
    pn_data_put_map(annotations);
    pn_data_enter(annotations);
    pn_data_put_symbol(annotations, pn_bytes(strlen(name), name));
    pn_data_put_string(annotations, pn_bytes(strlen(key), key));
    pn_data_exit(annotations);
}

static bool is_set(const char *text) {
    return text != NULL && text[0] != '\0';
}

static void fill(pn_message_t *parts, const struct amqp_message *message, int64_t created_ms) {
    pn_message_set_durable(parts, true);
    pn_message_set_inferred(parts, true); /* a binary body then is a data section, not a value */
    pn_data_put_string(pn_message_id(parts), pn_bytes(strlen(message->message_id), message->message_id));
    pn_message_set_subject(parts, message->subject);
    pn_message_set_group_id(parts, message->group_id);
    pn_message_set_content_type(parts, message->content_type);
    if (is_set(message->content_encoding))
        pn_message_set_content_encoding(parts, message->content_encoding);
    if (is_set(message->correlation_id))
        pn_data_put_string(pn_message_correlation_id(parts),
                           pn_bytes(strlen(message->correlation_id), message->correlation_id));
    if (is_set(message->to))
        pn_message_set_address(parts, message->to);
    if (is_set(message->partition_key))
        put_partition_key(pn_message_annotations(parts), message->partition_key);
    pn_message_set_creation_time(parts, created_ms);
    if (message->historical)
        put_historical(pn_message_properties(parts));
    pn_data_put_binary(pn_message_body(parts), pn_bytes(message->body_length, (const char *)message->body));
}

enum fb_error codec_encode(const struct amqp_message *message, int64_t created_ms, char **ret_bytes, size_t *ret_length,
                           struct fb_cause *cause) {
    pn_message_t *parts = pn_message();
    pn_rwbytes_t buffer = {.size = message->body_length + SECTIONS_BYTES};
    buffer.start = malloc(buffer.size);
    ssize_t length = -1;
    if (parts != NULL && buffer.start != NULL) {
        fill(parts, message, created_ms);
        length = pn_message_encode2(parts, &buffer);
    }
    pn_message_free(parts);
    if (length <= 0) {
        free(buffer.start);
        return fb_fail(cause, FB_MEMORY, "a message of %zu bytes cannot be encoded", message->body_length);
    }
    *ret_bytes = buffer.start;
    *ret_length = (size_t)length;
    return FB_OK;
}

static bool read_historical(pn_data_t *properties) {
    bool historical = false;
    pn_data_rewind(properties);
    if (!pn_data_next(properties) || pn_data_type(properties) != PN_MAP || !pn_data_enter(properties))
        return false;
    while (pn_data_next(properties)) {
        const pn_type_t type = pn_data_type(properties);
        const pn_bytes_t name = type == PN_STRING ? pn_data_get_string(properties) : pn_bytes(0, "");
        const bool wanted = name.size == strlen(HISTORICAL) && memcmp(name.start, HISTORICAL, name.size) == 0;
        if (!pn_data_next(properties))
            break;
        if (wanted && pn_data_type(properties) == PN_BOOL)
            historical = pn_data_get_bool(properties);
    }
    return historical;
}

static enum fb_error read_id(struct codec_message *decoded, struct fb_cause *cause) {
    pn_data_t *id = pn_message_id(decoded->parts);
    pn_data_rewind(id);
    if (!pn_data_next(id) || pn_data_type(id) != PN_STRING)
        return FB_OK;
    const pn_bytes_t text = pn_data_get_string(id);
    if (text.size >= sizeof decoded->message_id)
        return fb_fail(cause, FB_INVALID, "the message id is longer than %d bytes", CODEC_ID_MAX - 1);
    memcpy(decoded->message_id, text.start, text.size);
    decoded->message_id[text.size] = '\0';
    return FB_OK;
}

static const char *or_empty(const char *text) {
    return text == NULL ? "" : text;
}

static enum fb_error take_apart(struct codec_message *decoded, const char *bytes, size_t length,
                                struct fb_cause *cause) {
    pn_message_t *parts = decoded->parts;
    /* proton aborts the program over an empty one. */
    if (length == 0 || pn_message_decode(parts, bytes, length) != 0)
        return fb_fail(cause, FB_INVALID, "not an AMQP 1.0 message");
    pn_data_t *body = pn_message_body(parts);
    pn_data_rewind(body);
    if (!pn_message_is_inferred(parts) || !pn_data_next(body) || pn_data_type(body) != PN_BINARY)
        return fb_fail(cause, FB_INVALID, "the body is not one data section");
    const pn_bytes_t data = pn_data_get_binary(body);
    decoded->message = (struct amqp_message){
        .message_id = decoded->message_id,
        .subject = or_empty(pn_message_get_subject(parts)),
        .group_id = or_empty(pn_message_get_group_id(parts)),
        .content_type = or_empty(pn_message_get_content_type(parts)),
        .content_encoding = or_empty(pn_message_get_content_encoding(parts)),
        .to = or_empty(pn_message_get_address(parts)),
        .historical = read_historical(pn_message_properties(parts)),
        .body = (const uint8_t *)data.start,
        .body_length = data.size,
    };
    return read_id(decoded, cause);
}

enum fb_error codec_decode(const char *bytes, size_t length, struct codec_message *ret_message,
                           struct fb_cause *cause) {
    *ret_message = (struct codec_message){.parts = pn_message()};
    if (ret_message->parts == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    const enum fb_error error = take_apart(ret_message, bytes, length, cause);
    if (error != FB_OK)
        codec_done(ret_message);
    return error;
}

void codec_done(struct codec_message *message) {
    pn_message_free(message->parts);
    message->parts = NULL;
}
