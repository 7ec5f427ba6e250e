#include <stdio.h>
#include <string.h>

#include "gateway/common/backoff.h"
#include "gateway/common/clock.h"
#include "gateway/common/log.h"
#include "gateway/common/protocol.h"
#include "gateway/core/cloud_peer_inside.h"
#include "gateway/core/damage.h"
#include "gateway/core/text.h"
#include "store/store_parked.h"

/* Handed out as long as less than this waits in the channel. */
#define CHANNEL_BYTES_MOST ((size_t)1024 * 1024)
/* When the store could not be read it is asked again after this long. */
#define STORE_RETRY_MS 1000
/* Backlog in flight, at most: RabbitMQ gives credit for 170 messages, and live ones must find some left. */
#define BACKLOG_MESSAGES_MOST 128
/* A walk over sent batches that found only unsent ones goes on after this long. */
#define RESEND_PAUSE_MS 100

_Static_assert(PROTOCOL_STORE_BYTES == BATCH_STORE_ID_BYTES, "a parcel names its store");

static void send_parcel(struct cloud_peer *cloud, enum parcel_kind kind, bool historical, uint64_t number,
                        const uint8_t *bytes, size_t length) {
    static uint8_t packet[MESSAGE_BYTES_MAX];
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_PARCEL, 0);
    message_put_u8(&writer, (uint8_t)kind);
    message_put_u8(&writer, historical ? PARCEL_HISTORICAL : 0);
    message_put_u64(&writer, number);
    message_put_bytes(&writer, store_id(cloud->store), PROTOCOL_STORE_BYTES);
    message_put_bytes(&writer, bytes, length);
    channel_send(cloud->peer.channel, &writer);
    log_event(LOG_LEVEL_DEBUG, "parcel-out", "kind=%d number=%llu bytes=%zu historical=%d", (int)kind,
              (unsigned long long)number, length, historical);
    cloud->room_messages--;
    cloud->room_bytes -= length < cloud->room_bytes ? (uint32_t)length : cloud->room_bytes;
}

void cloud_hand_out_catalogue_refused(struct cloud_peer *cloud, uint64_t revision, const char *reason, bool again) {
    const struct catalogue_lane_now now = {cloud->lanes.accepted, clock_monotonic_ms(), clock_utc_ms()};
    snprintf(cloud->refusal, sizeof cloud->refusal, "%s", reason);
    if (!catalogue_lane_refused(&cloud->catalogues, revision, reason, again, &now, backoff_random()))
        return;
    log_event(LOG_LEVEL_WARNING, "catalogue-refused", "catalogue=%llu %s", (unsigned long long)revision, reason);
    cloud->handlers->happened(
        "catalogue-refused", json_pack("{s:I, s:s}", "catalogue", (json_int_t)revision, "reason", reason), cloud->user);
}

/* It cannot be cut: batches name it by its hash. They go all the same, and this peer is not asked again. */
static void refuse_too_large(struct cloud_peer *cloud, uint64_t revision, size_t length) {
    char reason[CATALOGUE_LANE_REASON_MAX];
    snprintf(
        reason, sizeof reason,
        "catalogue %llu is larger than the peer takes: %zu bytes, it takes %u; raise its limit of a message's size "
        "(RabbitMQ: max_message_size)",
        (unsigned long long)revision, length, cloud->parcel_bytes_most);
    cloud_hand_out_catalogue_refused(cloud, revision, reason, false);
}

static void send_catalogue(struct cloud_peer *cloud, const uint8_t hash[static BATCH_HASH_BYTES]) {
    static uint8_t bytes[CATALOGUE_BYTES_MAX];
    uint64_t revision;
    size_t length;
    struct fb_cause cause;
    if (store_read_catalogue(cloud->store, hash, &revision, bytes, &length, &cause) != FB_OK) {
        /* Its batches still have their readings and the tags' numbers: they go without. */
        log_event(LOG_LEVEL_ERROR, "catalogue-unreadable", "%s", cause.text);
        catalogue_lane_out(&cloud->catalogues, hash, 0, cloud->lanes.accepted);
        return;
    }
    catalogue_lane_out(&cloud->catalogues, hash, revision, cloud->lanes.accepted);
    if (cloud->parcel_bytes_most > 0 && length > cloud->parcel_bytes_most)
        refuse_too_large(cloud, revision, length);
    else
        send_parcel(cloud, PARCEL_CATALOGUE, false, revision, bytes, length);
}

static bool may_hand_out(const struct cloud_peer *cloud) {
    return cloud->peer.channel != NULL && cloud->link_up && cloud->room_messages > 0 && cloud->room_bytes > 0 &&
           cloud->lanes.open_count < cloud->link.window_messages &&
           cloud->lanes.open_bytes < cloud->link.window_bytes &&
           channel_queued_bytes(cloud->peer.channel) < CHANNEL_BYTES_MOST;
}

static bool backlog_open(struct cloud_peer *cloud) {
    const uint32_t window = cloud->link.window_messages, share = window - window / 4;
    return budget_open(&cloud->budget) &&
           cloud->lanes.backlog_count < (share < BACKLOG_MESSAGES_MOST ? share : BACKLOG_MESSAGES_MOST) &&
           pace_open(&cloud->pace, cloud->lanes.backlog_bytes, clock_monotonic_ms());
}

/* Of two times, of which 0 is none. */
static int64_t sooner(int64_t a_ms, int64_t b_ms) {
    return a_ms == 0 || (b_ms != 0 && b_ms < a_ms) ? b_ms : a_ms;
}

/* Without a link or a window nothing can go out: their coming hands out, and a timer that is due would spin. */
void cloud_hand_out_arm(struct cloud_peer *cloud, int64_t not_before_ms) {
    int64_t wake_ms = lanes_wake_ms(&cloud->lanes, backlog_open(cloud));
    wake_ms = sooner(wake_ms, pace_wake_ms(&cloud->pace));
    wake_ms = sooner(wake_ms, event_lane_wake_ms(&cloud->events));
    wake_ms = sooner(wake_ms, catalogue_lane_wake_ms(&cloud->catalogues));
    if ((wake_ms == 0 && not_before_ms == 0) || !may_hand_out(cloud))
        return;
    if (wake_ms < not_before_ms)
        wake_ms = not_before_ms;
    sd_event_source_set_time(cloud->wake_timer, (uint64_t)wake_ms * 1000);
    sd_event_source_set_enabled(cloud->wake_timer, SD_EVENT_ONESHOT);
}

/* True when the batch went out: there may have been room for its catalogue alone. */
static bool send_again(struct cloud_peer *cloud, const struct store_batch *batch) {
    if (!catalogue_lane_knows(&cloud->catalogues, batch->catalogue))
        send_catalogue(cloud, batch->catalogue);
    if (!may_hand_out(cloud))
        return false;
    send_parcel(cloud, PARCEL_BATCH, true, batch->number, batch->bytes, batch->length);
    resend_out(&cloud->resend, batch->number);
    budget_hand_out(&cloud->budget, batch->length);
    pace_spend(&cloud->pace, batch->length);
    return true;
}

/* What the cloud has asked for once more, when there is nothing else. Returns when to go on, monotonic; 0: on news. */
static int64_t hand_out_again(struct cloud_peer *cloud, struct store_batch *batch) {
    const bool was_active = cloud->resend.active;
    enum fb_error error = FB_OK;
    struct fb_cause cause;
    while (error == FB_OK && was_active && may_hand_out(cloud) && backlog_open(cloud)) {
        const struct history_place before = cloud->resend.place;
        error = resend_next(&cloud->resend, cloud->store, batch, &cause);
        if (error == FB_OK && !send_again(cloud, batch)) {
            cloud->resend.place = before;
            break;
        }
    }
    if (was_active && !cloud->resend.active)
        log_event(LOG_LEVEL_NOTICE, "backfill-done", "sent=%llu refused=%llu", (unsigned long long)cloud->resend.sent,
                  (unsigned long long)cloud->resend.refused);
    return error == FB_AGAIN && cloud->resend.flight_count == 0 ? clock_monotonic_ms() + RESEND_PAUSE_MS : 0;
}

void cloud_hand_out_note_parked(struct cloud_peer *cloud, uint64_t number, const char *reason) {
    log_event(LOG_LEVEL_WARNING, "batch-parked", "batch=%llu %s", (unsigned long long)number, reason);
    cloud->handlers->happened("batch-parked", json_pack("{s:I, s:s}", "batch", (json_int_t)number, "reason", reason),
                              cloud->user);
}

/* It cannot be cut: its hash stands in the next one. */
static enum fb_error park_too_large(struct cloud_peer *cloud, const struct store_batch *batch, struct fb_cause *cause) {
    char reason[STORE_REASON_MAX];
    snprintf(reason, sizeof reason, "larger than the peer takes: %zu bytes, it takes %u", batch->length,
             cloud->parcel_bytes_most);
    cloud_hand_out_note_parked(cloud, batch->number, reason);
    return store_park_too_large(cloud->store, batch->number, batch->length, reason, clock_utc_ms(), cause);
}

static void send_batch(struct cloud_peer *cloud, const struct lanes_range *range, const struct store_batch *batch) {
    const struct lanes_flight flight = {.number = batch->number,
                                        .bytes = batch->length,
                                        .first_ms = batch->first_ms,
                                        .pace = pace_out(&cloud->pace, clock_monotonic_ms())};
    send_parcel(cloud, PARCEL_BATCH, range->historical, batch->number, batch->bytes, batch->length);
    lanes_out(&cloud->lanes, range, &flight);
    budget_hand_out(&cloud->budget, batch->length);
    if (range->historical)
        pace_spend(&cloud->pace, batch->length);
}

void cloud_hand_out_keep_events(struct cloud_peer *cloud) {
    struct store_link link = store_link(cloud->store);
    link.event_sent = cloud->events.sent;
    store_keep_link(cloud->store, &link);
}

void cloud_hand_out_event(struct cloud_peer *cloud) {
    struct fb_cause cause;
    struct text body;
    if (!may_hand_out(cloud))
        return;
    const enum fb_error error =
        event_lane_next(&cloud->events, cloud->store, cloud->link.gateway, clock_monotonic_ms(), &body, &cause);
    if (error == FB_OK) {
        send_parcel(cloud, PARCEL_EVENT, false, cloud->events.under_way, (const uint8_t *)body.data, body.used);
        text_done(&body);
    } else if (error != FB_NOT_FOUND) {
        log_event(LOG_LEVEL_ERROR, "event-unreadable", "%s", cause.text);
    }
}

/* Those that were refused, in their own time: batches do not wait for them. */
static void hand_out_catalogues(struct cloud_peer *cloud) {
    const struct catalogue_fate *due;
    while (may_hand_out(cloud) &&
           (due = catalogue_lane_due(&cloud->catalogues, cloud->lanes.accepted, clock_monotonic_ms())) != NULL)
        send_catalogue(cloud, due->hash);
}

void cloud_hand_out(struct cloud_peer *cloud) {
    static struct store_batch batch;
    struct lanes_range range;
    int64_t not_before_ms = 0;
    cloud_hand_out_event(cloud);
    hand_out_catalogues(cloud);
    while (may_hand_out(cloud) && lanes_next(&cloud->lanes, clock_monotonic_ms(), backlog_open(cloud), &range)) {
        struct fb_cause cause;
        enum fb_error error = store_next(cloud->store, range.first, range.last, &batch, &cause);
        if (error == FB_NOT_FOUND) {
            lanes_none(&cloud->lanes, &range);
            continue;
        }
        if (error == FB_OK && lanes_holds(&cloud->lanes, &range, batch.number)) {
            lanes_pass(&cloud->lanes, &range, batch.number);
            continue;
        }
        if (error == FB_OK && cloud->parcel_bytes_most > 0 && batch.length > cloud->parcel_bytes_most) {
            error = park_too_large(cloud, &batch, &cause);
            if (error == FB_OK)
                continue;
        }
        if (error != FB_OK) {
            log_event(LOG_LEVEL_ERROR, "batch-unreadable", "%s", cause.text);
            damage_check(sd_event_source_get_event(cloud->mark_timer), error, &cause);
            not_before_ms = clock_monotonic_ms() + STORE_RETRY_MS;
            break;
        }
        /* A batch never goes before the catalogue it was made under, which may take the last of the window. */
        if (!catalogue_lane_knows(&cloud->catalogues, batch.catalogue)) {
            send_catalogue(cloud, batch.catalogue);
            continue;
        }
        send_batch(cloud, &range, &batch);
    }
    if (not_before_ms == 0)
        not_before_ms = hand_out_again(cloud, &batch);
    cloud_hand_out_arm(cloud, not_before_ms);
}
