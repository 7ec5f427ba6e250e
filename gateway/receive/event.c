#include "gateway/receive/event.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/hex.h"
#include "gateway/receive/ledger.h"

static enum fb_error take_identity(const json_t *json, struct event *event, struct fb_cause *cause) {
    const char *gateway = json_string_value(json_object_get(json, "gateway"));
    const char *store = json_string_value(json_object_get(json, "store"));
    const json_t *number = json_object_get(json, "number");
    if (gateway == NULL || gateway[0] == '\0' || strlen(gateway) >= sizeof event->gateway)
        return fb_fail(cause, FB_INVALID, "an event without the name of its gateway");
    if (store == NULL || !hex_decode(store, event->store_id, sizeof event->store_id))
        return fb_fail(cause, FB_INVALID, "an event without its store");
    if (!json_is_integer(number) || json_integer_value(number) < 1 ||
        (uint64_t)json_integer_value(number) > LEDGER_NUMBER_MAX)
        return fb_fail(cause, FB_INVALID, "an event without a number");
    if (!json_is_integer(json_object_get(json, "time_ms")) || !json_is_string(json_object_get(json, "event")))
        return fb_fail(cause, FB_INVALID, "an event that does not say when, or what");
    memcpy(event->gateway, gateway, strlen(gateway) + 1);
    event->number = (uint64_t)json_integer_value(number);
    return FB_OK;
}

static enum fb_error make_line(const json_t *json, struct event *event, struct fb_cause *cause) {
    const size_t length = json_dumpb(json, NULL, 0, JSON_COMPACT);
    event->line = length > 0 ? malloc(length + 1) : NULL;
    if (event->line == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    json_dumpb(json, event->line, length, JSON_COMPACT);
    event->line[length] = '\n';
    event->length = length + 1;
    return FB_OK;
}

enum fb_error event_read(const uint8_t *body, size_t length, struct event *ret_event, struct fb_cause *cause) {
    struct event event = {.line = NULL};
    if (length > EVENT_BYTES_MAX)
        return fb_fail(cause, FB_INVALID, "an event of %zu bytes; allowed are %d", length, EVENT_BYTES_MAX);
    json_error_t problem;
    json_t *json = json_loadb((const char *)body, length, JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object(json)) {
        json_decref(json);
        return fb_fail(cause, FB_INVALID, "an event that is no JSON object");
    }
    enum fb_error error = take_identity(json, &event, cause);
    if (error == FB_OK)
        error = make_line(json, &event, cause);
    json_decref(json);
    if (error == FB_OK)
        *ret_event = event;
    return error;
}

void event_done(struct event *event) {
    free(event->line);
    event->line = NULL;
}
