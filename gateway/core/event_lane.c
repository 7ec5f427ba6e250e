#include "gateway/core/event_lane.h"

#include "gateway/common/backoff.h"
#include "gateway/common/hex.h"
#include "store/store_records.h"

#define WAIT_FIRST_MS 1000
#define WAIT_MOST_MS (5 * 60 * 1000)

void event_lane_begin(struct event_lane *lane) {
    *lane = (struct event_lane){.open = lane->open, .sent = lane->sent};
}

bool event_lane_skip(struct event_lane *lane, const struct store *store) {
    struct store_records_figures figures;
    store_records_figures(store, STORE_RECORD_EVENT, &figures);
    const bool behind = !lane->open && figures.last > lane->sent;
    if (behind)
        lane->sent = figures.last;
    return behind;
}

bool event_lane_set_open(struct event_lane *lane, const struct store *store, bool open) {
    const bool changed = event_lane_skip(lane, store);
    lane->open = open;
    return event_lane_skip(lane, store) || changed;
}

/* What is being made of one record. */
struct making {
    struct text *body;
    const char *gateway;
    const uint8_t *store_id;
    uint64_t number; /* 0: there was none */
};

static bool make(const struct store_record *record, void *user) {
    struct making *making = user;
    char store[2 * BATCH_STORE_ID_BYTES + 1];
    hex_encode(making->store_id, BATCH_STORE_ID_BYTES, store);
    json_t *json = json_loadb((const char *)record->body, record->length, JSON_REJECT_DUPLICATES, NULL);
    json_t *identity = json_pack("{s:s, s:s, s:I, s:I}", "gateway", making->gateway, "store", store, "number",
                                 (json_int_t)record->number, "time_ms", (json_int_t)record->time_ms);
    if (json_is_object(json))
        json_object_update_missing(identity, json);
    json_decref(json);
    text_add_json(making->body, identity);
    making->number = record->number;
    return false;
}

enum fb_error event_lane_next(struct event_lane *lane, struct store *store, const char *gateway, int64_t now_ms,
                              struct text *ret_body, struct fb_cause *cause) {
    struct store_records_figures figures;
    store_records_figures(store, STORE_RECORD_EVENT, &figures);
    if (!lane->open || lane->under_way != 0 || lane->until_ms > now_ms || figures.last <= lane->sent)
        return FB_NOT_FOUND;
    struct text body = {0};
    struct making making = {.body = &body, .gateway = gateway, .store_id = store_id(store)};
    enum fb_error error = store_records_read(store, STORE_RECORD_EVENT, lane->sent, 1, make, &making, cause);
    if (error == FB_CORRUPT)
        lane->sent = figures.last;
    if (error == FB_OK && making.number == 0)
        error = FB_NOT_FOUND;
    if (error == FB_OK && body.failed)
        error = fb_fail(cause, FB_MEMORY, "out of memory for an event");
    if (error != FB_OK) {
        text_done(&body);
        return error;
    }
    lane->under_way = making.number;
    *ret_body = body;
    return FB_OK;
}

static bool done_with(struct event_lane *lane) {
    lane->sent = lane->under_way;
    lane->under_way = 0;
    lane->refusals = lane->rejections = 0;
    lane->until_ms = 0;
    return true;
}

bool event_lane_accepted(struct event_lane *lane, uint64_t number) {
    return number != 0 && number == lane->under_way && done_with(lane);
}

bool event_lane_refused(struct event_lane *lane, uint64_t number, bool rejected, uint64_t accepted, int64_t now_ms,
                        uint32_t random) {
    if (number == 0 || number != lane->under_way)
        return false;
    if (rejected && accepted != lane->accepted_then) {
        lane->accepted_then = accepted;
        lane->rejections++;
    }
    if (lane->rejections == EVENT_LANE_REJECTIONS_MOST)
        return done_with(lane);
    struct backoff backoff = {.first_ms = WAIT_FIRST_MS, .most_ms = WAIT_MOST_MS, .failures = lane->refusals++};
    lane->until_ms = now_ms + backoff_next_ms(&backoff, random);
    lane->under_way = 0;
    return false;
}

int64_t event_lane_wake_ms(const struct event_lane *lane) {
    return lane->open && lane->under_way == 0 ? lane->until_ms : 0;
}
