#include "gateway/amqp/put_token.h"

#include <proton/codec.h>
#include <proton/message.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SECTIONS_BYTES 1024

static void put_string(pn_data_t *data, const char *text) {
    pn_data_put_string(data, pn_bytes(strlen(text), text));
}

static void put_pair(pn_data_t *data, const char *name, const char *value) {
    put_string(data, name);
    put_string(data, value);
}

static void fill(pn_message_t *parts, const char *token, const char *resource, int64_t expiry_ms) {
    pn_data_t *properties = pn_message_properties(parts);
    put_string(pn_message_id(parts), "put-token");
    pn_message_set_address(parts, PUT_TOKEN_NODE);
    pn_message_set_reply_to(parts, PUT_TOKEN_REPLY_TO);
    pn_data_put_map(properties);
    pn_data_enter(properties);
    put_pair(properties, "operation", "put-token");
    put_pair(properties, "type", "servicebus.windows.net:sastoken");
    put_pair(properties, "name", resource);
    put_string(properties, "expiration");
    pn_data_put_timestamp(properties, expiry_ms);
    pn_data_exit(properties);
    put_string(pn_message_body(parts), token); /* as an AMQP value */
}

enum fb_error put_token_request(const char *token, const char *resource, int64_t expiry_ms, char **ret_bytes,
                                size_t *ret_length, struct fb_cause *cause) {
    pn_message_t *parts = pn_message();
    pn_rwbytes_t buffer = {.size = strlen(token) + strlen(resource) + SECTIONS_BYTES};
    buffer.start = malloc(buffer.size);
    ssize_t length = -1;
    if (parts != NULL && buffer.start != NULL) {
        fill(parts, token, resource, expiry_ms);
        length = pn_message_encode2(parts, &buffer);
    }
    pn_message_free(parts);
    if (length <= 0) {
        free(buffer.start);
        return fb_fail(cause, FB_MEMORY, "a token cannot be encoded");
    }
    *ret_bytes = buffer.start;
    *ret_length = (size_t)length;
    return FB_OK;
}

/* Any kind of whole number: peers differ. */
static bool read_integer(pn_data_t *data, int64_t *ret_value) {
    switch ((int)pn_data_type(data)) {
    case PN_INT:
        *ret_value = pn_data_get_int(data);
        return true;
    case PN_UINT:
        *ret_value = pn_data_get_uint(data);
        return true;
    case PN_LONG:
        *ret_value = pn_data_get_long(data);
        return true;
    case PN_SHORT:
        *ret_value = pn_data_get_short(data);
        return true;
    case PN_USHORT:
        *ret_value = pn_data_get_ushort(data);
        return true;
    default:
        return false;
    }
}

static void read_text(pn_data_t *data, char ret_text[static PUT_TOKEN_TEXT_MAX]) {
    if (pn_data_type(data) != PN_STRING)
        return;
    const pn_bytes_t text = pn_data_get_string(data);
    const size_t length = text.size < PUT_TOKEN_TEXT_MAX ? text.size : PUT_TOKEN_TEXT_MAX - 1;
    for (size_t i = 0; i < length; i++)
        ret_text[i] = (unsigned char)text.start[i] < 0x20 || text.start[i] == 0x7f ? ' ' : text.start[i];
    ret_text[length] = '\0';
}

static bool is(pn_bytes_t name, const char *wanted) {
    return name.size == strlen(wanted) && memcmp(name.start, wanted, name.size) == 0;
}

/* "status-code" and "status-description"; early services wrote "statusCode" and "statusDescription". */
static bool read_properties(pn_data_t *properties, struct put_token_answer *answer) {
    bool found = false;
    pn_data_rewind(properties);
    if (!pn_data_next(properties) || pn_data_type(properties) != PN_MAP || !pn_data_enter(properties))
        return false;
    while (pn_data_next(properties)) {
        const bool named = pn_data_type(properties) == PN_STRING;
        const pn_bytes_t name = named ? pn_data_get_string(properties) : pn_bytes(0, "");
        if (!pn_data_next(properties))
            break;
        if (is(name, "status-code") || is(name, "statusCode"))
            found = read_integer(properties, &answer->code) || found;
        else if (is(name, "status-description") || is(name, "statusDescription"))
            read_text(properties, answer->description);
    }
    return found;
}

enum fb_error put_token_answer(const char *bytes, size_t length, struct put_token_answer *ret_answer,
                               struct fb_cause *cause) {
    struct put_token_answer answer = {0};
    pn_message_t *parts = pn_message();
    if (parts == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    /* proton aborts the program over an empty one. */
    const bool good = length > 0 && pn_message_decode(parts, bytes, length) == 0 &&
                      read_properties(pn_message_properties(parts), &answer);
    pn_message_free(parts);
    if (!good)
        return fb_fail(cause, FB_INVALID, "the answer to a token has no status code");
    *ret_answer = answer;
    return FB_OK;
}
