#include "gateway/common/link_settings.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "gateway/common/json.h"

#define ANY_TEXT(member) #member, JSON_FIELD_TEXT, JSON_FIELD_MEMBER(struct link_settings, member)
#define TEXT(member) ANY_TEXT(member), .min = 1
#define NUMBER(member) #member, JSON_FIELD_NUMBER, JSON_FIELD_MEMBER(struct link_settings, member)
/* words_: of the enum in its order. */
#define WORD(member, words_)                                                                                           \
    #member, JSON_FIELD_WORD, JSON_FIELD_MEMBER(struct link_settings, member), .words = (words_)

static const struct json_field fields[] = {
    {TEXT(gateway)},
    {TEXT(host)},
    {NUMBER(port), 1, UINT16_MAX},
    {WORD(profile, cloud_kind_words)},
    {TEXT(address)},
    {"spares", JSON_FIELD_OTHER},
    {TEXT(ca)},
    {ANY_TEXT(certificate)},
    {ANY_TEXT(key)},
    {ANY_TEXT(key_pin_file)},
    {"pins", JSON_FIELD_OTHER},
    {"crls", JSON_FIELD_OTHER},
    {ANY_TEXT(token_key)},
    {ANY_TEXT(token_policy)},
    {NUMBER(token_life_ms), LINK_TOKEN_LIFE_MIN_MS, LINK_TOKEN_LIFE_MAX_MS},
    {WORD(encoding, cloud_encoding_words)},
    {WORD(compression, cloud_compression_words)},
    {NUMBER(window_messages), LINK_WINDOW_MESSAGES_MIN, LINK_WINDOW_MESSAGES_MAX},
    {NUMBER(window_bytes), LINK_WINDOW_BYTES_MIN, LINK_WINDOW_BYTES_MAX},
    {NUMBER(connect_timeout_ms), LINK_TIMEOUT_MIN_MS, LINK_TIMEOUT_MAX_MS},
    {NUMBER(open_timeout_ms), LINK_TIMEOUT_MIN_MS, LINK_TIMEOUT_MAX_MS},
    {NUMBER(idle_timeout_ms), LINK_IDLE_MIN_MS, LINK_TIMEOUT_MAX_MS},
    {NUMBER(ack_timeout_ms), LINK_TIMEOUT_MIN_MS, LINK_TIMEOUT_MAX_MS},
    {NUMBER(return_after_ms), LINK_RETURN_MIN_MS, LINK_RETURN_MAX_MS},
    {NUMBER(retry_first_ms), LINK_RETRY_FIRST_MIN_MS, LINK_RETRY_FIRST_MAX_MS},
    {NUMBER(retry_most_ms), LINK_RETRY_MOST_MIN_MS, LINK_RETRY_MOST_MAX_MS},
};
#define FIELD_COUNT (sizeof fields / sizeof fields[0])

#define SPARE(member) #member, JSON_FIELD_TEXT, JSON_FIELD_MEMBER(struct link_endpoint, member), .min = 1
static const struct json_field spare_fields[] = {
    {SPARE(host)},
    {"port", JSON_FIELD_NUMBER, JSON_FIELD_MEMBER(struct link_endpoint, port), 1, UINT16_MAX},
    {SPARE(address)},
};
#define SPARE_FIELD_COUNT (sizeof spare_fields / sizeof spare_fields[0])

struct link_endpoint link_settings_endpoint(const struct link_settings *settings, size_t rank) {
    if (rank > 0)
        return settings->spares[rank - 1];
    struct link_endpoint endpoint = {.port = settings->port};
    memcpy(endpoint.host, settings->host, sizeof endpoint.host);
    memcpy(endpoint.address, settings->address, sizeof endpoint.address);
    return endpoint;
}

void link_endpoint_url(const struct link_endpoint *endpoint, char ret_url[static LINK_URL_MAX]) {
    const bool literal = strchr(endpoint->host, ':') != NULL; /* IPv6 */
    snprintf(ret_url, LINK_URL_MAX, literal ? "amqps://[%s]:%u" : "amqps://%s:%u", endpoint->host, endpoint->port);
}

/* A list of texts of size bytes each, one behind the other. */
static json_t *write_texts(const char *texts, size_t size, uint32_t count) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(texts + i * size));
    return list;
}

static enum fb_error read_texts(const json_t *list, const char *name, char *ret_texts, size_t size, uint32_t most,
                                uint32_t *ret_count, struct fb_cause *cause) {
    const size_t count = json_array_size(list);
    if (!json_is_array(list) || count > most)
        return fb_fail(cause, FB_INVALID, "%s: not a list of at most %u texts", name, most);
    for (size_t i = 0; i < count; i++) {
        const struct json_field field = {name, JSON_FIELD_TEXT, i * size, size, .min = 1};
        json_t *one = json_pack("{s:O}", name, json_array_get(list, i));
        const enum fb_error error = json_read_fields(one, &field, 1, ret_texts, cause);
        json_decref(one);
        if (error != FB_OK)
            return error;
    }
    *ret_count = (uint32_t)count;
    return FB_OK;
}

json_t *link_settings_to_json(const struct link_settings *settings) {
    json_t *spares = json_array();
    for (size_t i = 0; i < settings->spare_count; i++)
        json_array_append_new(spares, json_write_fields(spare_fields, SPARE_FIELD_COUNT, &settings->spares[i]));
    json_t *json = json_write_fields(fields, FIELD_COUNT, settings);
    json_object_set_new(json, "pins", write_texts(settings->pins[0], sizeof settings->pins[0], settings->pin_count));
    json_object_set_new(json, "crls", write_texts(settings->crls[0], sizeof settings->crls[0], settings->crl_count));
    json_object_set_new(json, "spares", spares);
    return json;
}

static enum fb_error read_spares(const json_t *spares, struct link_settings *settings, struct fb_cause *cause) {
    if (!json_is_array(spares) || json_array_size(spares) > LINK_SPARES_MAX)
        return fb_fail(cause, FB_INVALID, "spares: not a list of at most %d", LINK_SPARES_MAX);
    size_t index;
    const json_t *spare;
    json_array_foreach(spares, index, spare) {
        const enum fb_error error =
            json_read_fields(spare, spare_fields, SPARE_FIELD_COUNT, &settings->spares[index], cause);
        if (error != FB_OK)
            return fb_context(cause, error, "spares[%zu]", index);
        settings->spare_count++;
    }
    return FB_OK;
}

static enum fb_error read_lists(const json_t *json, struct link_settings *settings, struct fb_cause *cause) {
    enum fb_error error = read_texts(json_object_get(json, "pins"), "pins", settings->pins[0], sizeof settings->pins[0],
                                     LINK_PINS_MAX, &settings->pin_count, cause);
    uint8_t pin[PIN_BYTES];
    for (uint32_t i = 0; error == FB_OK && i < settings->pin_count; i++)
        if (pin_read(settings->pins[i], pin, cause) != FB_OK)
            error = fb_context(cause, FB_INVALID, "pins: %s", settings->pins[i]);
    if (error == FB_OK)
        error = read_texts(json_object_get(json, "crls"), "crls", settings->crls[0], sizeof settings->crls[0],
                           LINK_CRLS_MAX, &settings->crl_count, cause);
    if (error == FB_OK)
        error = read_spares(json_object_get(json, "spares"), settings, cause);
    return error;
}

enum fb_error link_settings_from_json(const json_t *json, struct link_settings *ret_settings, struct fb_cause *cause) {
    struct link_settings settings = {0};
    enum fb_error error = json_read_fields(json, fields, FIELD_COUNT, &settings, cause);
    if (error == FB_OK)
        error = read_lists(json, &settings, cause);
    if (error != FB_OK)
        return error;
    if (settings.retry_most_ms < settings.retry_first_ms)
        return fb_fail(cause, FB_INVALID, "retry_most_ms: less than retry_first_ms");
    if (settings.token_key[0] == '\0' && (settings.certificate[0] == '\0' || settings.key[0] == '\0'))
        return fb_fail(cause, FB_INVALID, "neither certificate and key nor token_key");
    if (!cloud_template_valid(settings.address))
        return fb_fail(cause, FB_INVALID, "address: a brace that is no {gateway} or {kind}");
    *ret_settings = settings;
    return FB_OK;
}
