#include "gateway/core/cloud_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/backoff.h"
#include "gateway/common/clock.h"
#include "gateway/common/log.h"
#include "gateway/common/protocol.h"
#include "gateway/core/budget.h"
#include "gateway/core/damage.h"
#include "gateway/core/event_lane.h"
#include "gateway/core/lanes.h"
#include "gateway/core/live_age.h"
#include "gateway/core/pace.h"
#include "gateway/core/resend.h"
#include "store/store_parked.h"

/* Accepted batches are marked in one transaction when so many wait, or after so long; a failed one is tried again.
 * Each costs an fsync, in which nothing is handed out: some a second, not twenty. Those that wait for it take nothing
 * of the window; a kill before it repeats them, and the receiver drops repeats. */
#define ACCEPTED_AT_ONCE 768
#define ACCEPTED_WAIT_US 300000
#define ACCEPTED_RETRY_US 1000000
/* Handed out as long as less than this waits in the channel. */
#define CHANNEL_BYTES_MOST ((size_t)1024 * 1024)
/* When the store could not be read it is asked again after this long. */
#define STORE_RETRY_MS 1000
/* Backlog in flight, at most: RabbitMQ gives credit for 170 messages, and live ones must find some left. */
#define BACKLOG_MESSAGES_MOST 128
/* Catalogues sent in this session that are remembered; an older one goes again, which does no harm. */
#define CATALOGUES_MAX 16
/* A walk over sent batches that found only unsent ones goes on after this long. */
#define RESEND_PAUSE_MS 100

struct sent_catalogue {
    uint8_t hash[BATCH_HASH_BYTES];
    uint64_t revision;
};

struct cloud_peer {
    struct peer peer;
    struct store *store;
    const struct cloud_peer_handlers *handlers;
    void *user;
    sd_event_source *mark_timer, *wake_timer;
    bool has_link, link_up;
    struct link_settings link;
    uint32_t room_messages, room_bytes; /* what forebay-cloud can take now */
    uint32_t parcel_bytes_most;         /* that the peer takes; 0: any */
    struct lanes lanes;
    struct resend resend;
    char *commands; /* what COMMANDS_CONFIG says, JSON; NULL: nothing yet */
    struct event_lane events;
    struct pace pace;
    struct live_age live_age;
    struct budget budget;
    bool budget_told;                       /* that it is spent */
    uint64_t accepted[LANES_IN_FLIGHT_MAX]; /* accepted_count of them, not committed yet */
    size_t accepted_count;
    bool marking_failed;
    struct sent_catalogue catalogues[CATALOGUES_MAX]; /* catalogue_count of them, oldest first */
    size_t catalogue_count;
    char attempt_run[32];   /* the run of forebay-cloud that the next two numbers are of */
    uint64_t attempt_taken; /* number of the last one told by attempted() ... */
    uint64_t attempt_kept;  /* ... and of the last one that forebay-cloud was told to forget */
    json_t *status;         /* what forebay-cloud said of the link; NULL: nothing yet */
    int64_t since_ms;
    char refusal[STORE_REASON_MAX + 16]; /* why the peer last refused a batch */
};

static void send_link(struct cloud_peer *cloud) {
    if (cloud->peer.channel == NULL)
        return;
    json_t *json = cloud->has_link ? link_settings_to_json(&cloud->link) : json_object();
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text == NULL)
        abort();
    channel_send_text(cloud->peer.channel, PROTOCOL_LINK_CONFIG, text);
    free(text);
}

static void send_commands(const struct cloud_peer *cloud) {
    if (cloud->peer.channel != NULL && cloud->commands != NULL)
        channel_send_text(cloud->peer.channel, PROTOCOL_COMMANDS_CONFIG, cloud->commands);
}

static void send_settled(struct cloud_peer *cloud, enum parcel_kind kind, uint64_t number) {
    if (cloud->peer.channel == NULL)
        return;
    uint8_t packet[MESSAGE_HEADER_BYTES + 1 + sizeof number];
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_SETTLED, 0);
    message_put_u8(&writer, (uint8_t)kind);
    message_put_u64(&writer, number);
    channel_send(cloud->peer.channel, &writer);
}

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

static bool catalogue_was_sent(const struct cloud_peer *cloud, const uint8_t hash[static BATCH_HASH_BYTES]) {
    for (size_t i = 0; i < cloud->catalogue_count; i++)
        if (memcmp(cloud->catalogues[i].hash, hash, BATCH_HASH_BYTES) == 0)
            return true;
    return false;
}

static void remember_catalogue(struct cloud_peer *cloud, const uint8_t hash[static BATCH_HASH_BYTES],
                               uint64_t revision) {
    if (cloud->catalogue_count == CATALOGUES_MAX)
        memmove(&cloud->catalogues[0], &cloud->catalogues[1], --cloud->catalogue_count * sizeof cloud->catalogues[0]);
    struct sent_catalogue *sent = &cloud->catalogues[cloud->catalogue_count++];
    memcpy(sent->hash, hash, BATCH_HASH_BYTES);
    sent->revision = revision;
}

static void forget_catalogue(struct cloud_peer *cloud, uint64_t revision) {
    for (size_t i = 0; i < cloud->catalogue_count; i++)
        if (cloud->catalogues[i].revision == revision)
            cloud->catalogues[i] = cloud->catalogues[--cloud->catalogue_count];
}

static void send_catalogue_of(struct cloud_peer *cloud, const struct store_batch *batch) {
    static uint8_t bytes[CATALOGUE_BYTES_MAX];
    uint64_t revision;
    size_t length;
    struct fb_cause cause;
    if (store_read_catalogue(cloud->store, batch->catalogue, &revision, bytes, &length, &cause) != FB_OK) {
        /* The batch still has its readings and their numbers: it goes without. */
        log_event(LOG_LEVEL_ERROR, "catalogue-unreadable", "batch=%llu %s", (unsigned long long)batch->number,
                  cause.text);
        revision = 0;
    } else {
        send_parcel(cloud, PARCEL_CATALOGUE, false, revision, bytes, length);
    }
    remember_catalogue(cloud, batch->catalogue, revision);
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
static void arm_wake(struct cloud_peer *cloud, int64_t not_before_ms) {
    int64_t wake_ms = lanes_wake_ms(&cloud->lanes, backlog_open(cloud));
    wake_ms = sooner(wake_ms, pace_wake_ms(&cloud->pace));
    wake_ms = sooner(wake_ms, event_lane_wake_ms(&cloud->events));
    if ((wake_ms == 0 && not_before_ms == 0) || !may_hand_out(cloud))
        return;
    if (wake_ms < not_before_ms)
        wake_ms = not_before_ms;
    sd_event_source_set_time(cloud->wake_timer, (uint64_t)wake_ms * 1000);
    sd_event_source_set_enabled(cloud->wake_timer, SD_EVENT_ONESHOT);
}

/* True when the batch went out: there may have been room for its catalogue alone. */
static bool send_again(struct cloud_peer *cloud, const struct store_batch *batch) {
    if (!catalogue_was_sent(cloud, batch->catalogue))
        send_catalogue_of(cloud, batch);
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

static void note_parked(struct cloud_peer *cloud, uint64_t number, const char *reason) {
    log_event(LOG_LEVEL_WARNING, "batch-parked", "batch=%llu %s", (unsigned long long)number, reason);
    cloud->handlers->happened("batch-parked", json_pack("{s:I, s:s}", "batch", (json_int_t)number, "reason", reason),
                              cloud->user);
}

/* It cannot be cut: its hash stands in the next one. */
static enum fb_error park_too_large(struct cloud_peer *cloud, const struct store_batch *batch, struct fb_cause *cause) {
    char reason[STORE_REASON_MAX];
    snprintf(reason, sizeof reason, "larger than the peer takes: %zu bytes, it takes %u", batch->length,
             cloud->parcel_bytes_most);
    note_parked(cloud, batch->number, reason);
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

static void keep_event_sent(struct cloud_peer *cloud) {
    struct store_link link = store_link(cloud->store);
    link.event_sent = cloud->events.sent;
    store_keep_link(cloud->store, &link);
}

static void hand_out_event(struct cloud_peer *cloud) {
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

static void hand_out(struct cloud_peer *cloud) {
    static struct store_batch batch;
    struct lanes_range range;
    int64_t not_before_ms = 0;
    hand_out_event(cloud);
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
        if (!catalogue_was_sent(cloud, batch.catalogue)) {
            send_catalogue_of(cloud, &batch);
            continue;
        }
        send_batch(cloud, &range, &batch);
    }
    if (not_before_ms == 0)
        not_before_ms = hand_out_again(cloud, &batch);
    arm_wake(cloud, not_before_ms);
}

static void arm_mark(struct cloud_peer *cloud, uint64_t wait_us) {
    sd_event_source_set_time_relative(cloud->mark_timer, wait_us);
    sd_event_source_set_enabled(cloud->mark_timer, SD_EVENT_ONESHOT);
}

static void mark_accepted(struct cloud_peer *cloud) {
    if (cloud->accepted_count == 0)
        return;
    struct fb_cause cause;
    const enum fb_error error =
        store_mark_sent(cloud->store, cloud->accepted, cloud->accepted_count, clock_utc_ms(), &cause);
    if (error != FB_OK) {
        if (!cloud->marking_failed)
            log_event(LOG_LEVEL_ERROR, "mark-sent-failed", "%s", cause.text);
        cloud->marking_failed = true;
        damage_check(sd_event_source_get_event(cloud->mark_timer), error, &cause);
        arm_mark(cloud, ACCEPTED_RETRY_US);
        return;
    }
    cloud->marking_failed = false;
    for (size_t i = 0; i < cloud->accepted_count; i++) {
        struct lanes_flight flight;
        lanes_settle(&cloud->lanes, cloud->accepted[i], &flight);
        send_settled(cloud, PARCEL_BATCH, cloud->accepted[i]);
    }
    cloud->accepted_count = 0;
    hand_out(cloud);
}

static int on_mark_timer(sd_event_source *source, uint64_t time_us, void *user) {
    (void)source;
    (void)time_us;
    mark_accepted(user);
    return 0;
}

static int on_wake_timer(sd_event_source *source, uint64_t time_us, void *user) {
    (void)source;
    (void)time_us;
    hand_out(user);
    return 0;
}

static void batch_accepted(struct cloud_peer *cloud, uint64_t number) {
    if (cloud->accepted_count == LANES_IN_FLIGHT_MAX)
        return; /* more than was handed out: stays unsent and goes again in the next session */
    const struct lanes_flight *flight = lanes_accepted(&cloud->lanes, number);
    if (flight != NULL)
        pace_answer(&cloud->pace, &flight->pace, flight->bytes, clock_monotonic_ms());
    if (flight != NULL && !flight->historical)
        live_age_note(&cloud->live_age, clock_utc_ms() - flight->first_ms);
    cloud->accepted[cloud->accepted_count++] = number;
    if (cloud->accepted_count == ACCEPTED_AT_ONCE)
        mark_accepted(cloud);
    else if (cloud->accepted_count == 1)
        arm_mark(cloud, ACCEPTED_WAIT_US);
    hand_out(cloud);
}

static const char *outcome_word(uint8_t outcome) {
    static const char *const words[] = {"", "accepted", "rejected", "released", "modified"};
    return words[outcome];
}

/* The peer's words, which may be anything: cut to fit, and what is not UTF-8 then becomes "?". */
static void copy_reason(const uint8_t *bytes, size_t length, char *ret_reason, size_t size) {
    size_t end = length < size ? length : size - 1;
    while (end < length && end > 0 && (bytes[end] & 0xc0) == 0x80)
        end--;
    memcpy(ret_reason, bytes, end);
    ret_reason[end] = '\0';
    json_t *whole = json_stringn(ret_reason, end);
    for (size_t i = 0; i < end; i++)
        if ((unsigned char)ret_reason[i] < 0x20 || (whole == NULL && (unsigned char)ret_reason[i] > 0x7e))
            ret_reason[i] = '?';
    json_decref(whole);
}

/* The first four times, and whenever the peer refuses all, it goes again by itself. */
static void go_again(struct cloud_peer *cloud, struct lanes_flight *flight, const struct store_refused *refused) {
    lanes_wait(&cloud->lanes, flight, refused->attempts, clock_monotonic_ms(), backoff_random());
    arm_wake(cloud, 0);
}

static void batch_refused(struct cloud_peer *cloud, struct lanes_flight *flight, uint8_t outcome, const char *reason) {
    const uint64_t number = flight->number;
    char line[STORE_REASON_MAX + 16] = "";
    snprintf(line, sizeof line, "%s: %s", outcome_word(outcome), reason);
    if (strcmp(line, cloud->refusal) != 0)
        log_event(LOG_LEVEL_WARNING, "batch-refused", "batch=%llu %s", (unsigned long long)number, line);
    memcpy(cloud->refusal, line, sizeof cloud->refusal);
    struct fb_cause cause;
    struct store_refused refused;
    const struct store_refusal refusal = {
        .reason = line,
        .rejection = outcome == PARCEL_REJECTED && lanes_counts(&cloud->lanes, flight),
        .now_ms = clock_utc_ms(),
    };
    if (store_mark_refused(cloud->store, number, &refusal, &refused, &cause) != FB_OK)
        log_event(LOG_LEVEL_ERROR, "mark-refused-failed", "%s", cause.text);
    if (refused.parked)
        note_parked(cloud, number, line);
    else
        go_again(cloud, flight, &refused);
}

static void event_decided(struct cloud_peer *cloud, uint64_t number, uint8_t outcome, const char *reason) {
    bool moved;
    if (outcome == PARCEL_ACCEPTED)
        moved = event_lane_accepted(&cloud->events, number);
    else
        moved = event_lane_refused(&cloud->events, number, outcome == PARCEL_REJECTED, cloud->lanes.accepted,
                                   clock_monotonic_ms(), backoff_random());
    if (moved)
        keep_event_sent(cloud);
    if (moved && outcome != PARCEL_ACCEPTED)
        log_event(LOG_LEVEL_ERROR, "event-given-up", "event=%llu %s: %s", (unsigned long long)number,
                  outcome_word(outcome), reason);
    send_settled(cloud, PARCEL_EVENT, number);
    hand_out(cloud);
}

static bool on_outcome(struct cloud_peer *cloud, struct message_reader *reader) {
    const uint8_t kind = message_get_u8(reader);
    const uint64_t number = message_get_u64(reader);
    const uint8_t outcome = message_get_u8(reader);
    size_t length;
    const uint8_t *bytes = message_get_rest(reader, &length);
    if (!message_done(reader) || outcome < PARCEL_ACCEPTED || outcome > PARCEL_MODIFIED || length > LINK_PATH_MAX)
        return false;
    if (kind == PARCEL_CATALOGUE) {
        if (outcome != PARCEL_ACCEPTED)
            forget_catalogue(cloud, number);
        send_settled(cloud, PARCEL_CATALOGUE, number);
        return true;
    }
    char reason[STORE_REASON_MAX];
    copy_reason(bytes, length, reason, sizeof reason);
    if (kind == PARCEL_EVENT) {
        event_decided(cloud, number, outcome, reason);
        return true;
    }
    if (kind != PARCEL_BATCH)
        return false;
    if (resend_settle(&cloud->resend, number, outcome == PARCEL_ACCEPTED)) {
        send_settled(cloud, PARCEL_BATCH, number);
        hand_out(cloud);
        return true;
    }
    if (outcome == PARCEL_ACCEPTED) {
        batch_accepted(cloud, number);
        return true;
    }
    /* One that is not in flight was handed out in an earlier session: it goes again anyway. */
    struct lanes_flight flight;
    if (lanes_settle(&cloud->lanes, number, &flight))
        batch_refused(cloud, &flight, outcome, reason);
    send_settled(cloud, PARCEL_BATCH, number);
    return true;
}

static void session_ends(struct cloud_peer *cloud) {
    cloud->room_messages = 0; /* before what follows might hand out more */
    cloud->room_bytes = 0;
    mark_accepted(cloud);
    resend_rewind(&cloud->resend);
    cloud->catalogue_count = 0;
    if (!cloud->link_up)
        return;
    cloud->link_up = false;
    cloud->handlers->link_changed(false, cloud->user);
}

/* What was too large for the peer as it was before may not be now. */
static void note_parcel_bytes(struct cloud_peer *cloud, uint32_t bytes_most) {
    struct store_link link = store_link(cloud->store);
    struct fb_cause cause;
    size_t released;
    cloud->parcel_bytes_most = bytes_most;
    link.batch_bytes_most = bytes_most;
    store_keep_link(cloud->store, &link);
    if (store_release_fitting(cloud->store, bytes_most > 0 ? bytes_most : BATCH_BYTES_MAX, &released, &cause) != FB_OK)
        log_event(LOG_LEVEL_ERROR, "release-failed", "%s", cause.text);
}

static bool on_link_up(struct cloud_peer *cloud, struct message_reader *reader) {
    const uint32_t bytes_most = message_get_u32(reader);
    if (!message_done(reader))
        return false;
    session_ends(cloud);
    cloud->link_up = true;
    note_parcel_bytes(cloud, bytes_most);
    pace_begin(&cloud->pace, clock_monotonic_ms());
    budget_begin(&cloud->budget);
    cloud->live_age = (struct live_age){.count = 0};
    event_lane_begin(&cloud->events);
    lanes_begin(&cloud->lanes, store_last_number(cloud->store) + 1);
    cloud->handlers->link_changed(true, cloud->user);
    return true;
}

static bool on_link_down(struct cloud_peer *cloud, struct message_reader *reader) {
    session_ends(cloud);
    return message_done(reader);
}

static bool on_next(struct cloud_peer *cloud, struct message_reader *reader) {
    cloud->room_messages = message_get_u32(reader);
    cloud->room_bytes = message_get_u32(reader);
    if (!message_done(reader))
        return false;
    hand_out(cloud);
    return true;
}

static void tell_budget(struct cloud_peer *cloud, bool spent) {
    const char *event = spent ? "budget-spent" : "budget-renewed";
    cloud->budget_told = spent;
    log_event(LOG_LEVEL_WARNING, event, "bytes=%llu budget=%llu %s", (unsigned long long)cloud->budget.bytes,
              (unsigned long long)cloud->budget.most, spent ? "backlog waits for the next month" : "backlog goes on");
    cloud->handlers->happened(
        event,
        json_pack("{s:I, s:I}", "bytes", (json_int_t)cloud->budget.bytes, "budget", (json_int_t)cloud->budget.most),
        cloud->user);
}

/* Kept with the next batch that is sealed or accepted. */
static void count_bytes(struct cloud_peer *cloud) {
    const json_int_t in = json_integer_value(json_object_get(cloud->status, "bytes_in"));
    const json_int_t out = json_integer_value(json_object_get(cloud->status, "bytes_out"));
    struct store_link link = store_link(cloud->store);
    if (in < 0 || out < 0 || in > INT64_MAX / 2 || out > INT64_MAX / 2)
        return;
    budget_count(&cloud->budget, (uint64_t)in + (uint64_t)out, clock_state() != CLOCK_NOT_SET ? clock_utc_ms() : 0);
    link.month = cloud->budget.month;
    link.month_bytes = cloud->budget.bytes;
    store_keep_link(cloud->store, &link);
    const bool spent = budget_spent(&cloud->budget);
    if (spent != cloud->budget_told)
        tell_budget(cloud, spent);
}

/* The object that fills the rest of the message; NULL: there is none. */
static json_t *read_object(struct message_reader *reader) {
    size_t length;
    const uint8_t *bytes = message_get_rest(reader, &length);
    json_t *object =
        message_done(reader) ? json_loadb((const char *)bytes, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (json_is_object(object))
        return object;
    json_decref(object);
    return NULL;
}

static bool on_status(struct cloud_peer *cloud, struct message_reader *reader) {
    json_t *status = read_object(reader);
    if (status == NULL)
        return false;
    json_decref(cloud->status);
    cloud->status = status;
    if (cloud->handlers->link_told != NULL)
        cloud->handlers->link_told(status, cloud->user);
    count_bytes(cloud);
    hand_out(cloud);
    return true;
}

static bool on_command(struct cloud_peer *cloud, struct message_reader *reader) {
    size_t length;
    const uint64_t id = message_get_u64(reader);
    const uint32_t name_length = message_get_u32(reader);
    const uint8_t *name = message_get_bytes(reader, name_length);
    const uint8_t *bytes = message_get_rest(reader, &length);
    if (!message_done(reader) || name == NULL || name_length >= COMMAND_ID_MAX || length > COMMAND_BYTES_MAX)
        return false;
    if (cloud->handlers->command != NULL)
        cloud->handlers->command(id, bytes, length, cloud->user);
    return true;
}

/* Those that an earlier connection told us already are kept, or will be: they are passed over. */
static bool on_attempt(struct cloud_peer *cloud, struct message_reader *reader) {
    size_t length;
    const uint64_t number = message_get_u64(reader);
    const uint8_t *bytes = message_get_rest(reader, &length);
    if (!message_done(reader) || length > PROTOCOL_ATTEMPT_BYTES_MAX)
        return false;
    json_t *attempt = json_loadb((const char *)bytes, length, JSON_REJECT_DUPLICATES, NULL);
    const char *run = json_string_value(json_object_get(attempt, "run"));
    if (run == NULL || run[0] == '\0' || strlen(run) >= sizeof cloud->attempt_run) {
        json_decref(attempt);
        return false;
    }
    if (strcmp(run, cloud->attempt_run) != 0)
        cloud->attempt_taken = cloud->attempt_kept = 0;
    snprintf(cloud->attempt_run, sizeof cloud->attempt_run, "%s", run);
    if (number <= cloud->attempt_taken) {
        json_decref(attempt);
        return true;
    }
    cloud->attempt_taken = number;
    cloud->handlers->attempted(attempt, cloud->user);
    return true;
}

void cloud_peer_attempts_kept(struct cloud_peer *cloud) {
    if (cloud->peer.channel == NULL || cloud->attempt_kept == cloud->attempt_taken)
        return;
    uint8_t packet[MESSAGE_HEADER_BYTES + sizeof cloud->attempt_taken];
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_ATTEMPT_KEPT, 0);
    message_put_u64(&writer, cloud->attempt_taken);
    channel_send(cloud->peer.channel, &writer);
    cloud->attempt_kept = cloud->attempt_taken;
}

static bool on_certificates(struct cloud_peer *cloud, struct message_reader *reader) {
    json_t *message = read_object(reader);
    const bool good = message != NULL && cloud->handlers->certificates(message, cloud->user);
    json_decref(message);
    return good;
}

static bool on_hello(struct cloud_peer *cloud, struct channel *channel, struct message_reader *reader) {
    if (!message_done(reader))
        return false;
    peer_hello(&cloud->peer, channel);
    cloud->attempt_kept = 0; /* it may not have heard */
    budget_restart(&cloud->budget);
    send_link(cloud);
    send_commands(cloud);
    return true;
}

static const struct {
    uint8_t type;
    bool (*handle)(struct cloud_peer *cloud, struct message_reader *reader);
} messages[] = {
    {PROTOCOL_LINK_UP, on_link_up}, {PROTOCOL_LINK_DOWN, on_link_down}, {PROTOCOL_NEXT, on_next},
    {PROTOCOL_OUTCOME, on_outcome}, {PROTOCOL_LINK_STATUS, on_status},  {PROTOCOL_LINK_CERTIFICATES, on_certificates},
    {PROTOCOL_COMMAND, on_command}, {PROTOCOL_ATTEMPT, on_attempt},
};

static bool on_message(struct channel *channel, struct message_reader *reader, void *user) {
    struct cloud_peer *cloud = user;
    if (reader->type == PROTOCOL_CLOUD_HELLO)
        return on_hello(cloud, channel, reader);
    if (!peer_is_program(&cloud->peer, channel))
        return false;
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++)
        if (messages[i].type == reader->type)
            return messages[i].handle(cloud, reader);
    return false;
}

static void on_closed(struct channel *channel, const char *reason, void *user) {
    struct cloud_peer *cloud = user;
    if (!peer_closed(&cloud->peer, channel, reason))
        return;
    session_ends(cloud);
    json_decref(cloud->status);
    cloud->status = NULL;
    cloud->since_ms = clock_utc_ms();
}

static void on_drained(struct channel *channel, void *user) {
    struct cloud_peer *cloud = user;
    if (peer_is_program(&cloud->peer, channel))
        hand_out(cloud);
}

static const struct channel_handlers handlers = {.message = on_message, .closed = on_closed, .drained = on_drained};

static int add_timer(sd_event *event, sd_event_source **source, sd_event_time_handler_t handler, void *user) {
    const int error = sd_event_add_time(event, source, CLOCK_MONOTONIC, 0, 1000, handler, user);
    return error < 0 ? error : sd_event_source_set_enabled(*source, SD_EVENT_OFF);
}

enum fb_error cloud_peer_new(sd_event *event, const char *run, struct store *store,
                             const struct cloud_peer_handlers *peer_handlers, void *user, struct cloud_peer **ret_cloud,
                             struct fb_cause *cause) {
    struct cloud_peer *cloud = calloc(1, sizeof *cloud);
    if (cloud == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    cloud->store = store;
    cloud->handlers = peer_handlers;
    cloud->user = user;
    cloud->since_ms = clock_utc_ms();
    const struct store_link kept = store_link(store);
    cloud->budget = (struct budget){.month = kept.month, .bytes = kept.month_bytes};
    cloud->events.sent = kept.event_sent;
    enum fb_error error = FB_OK;
    if (add_timer(event, &cloud->mark_timer, on_mark_timer, cloud) < 0 ||
        add_timer(event, &cloud->wake_timer, on_wake_timer, cloud) < 0)
        error = fb_fail(cause, FB_IO, "event loop");
    if (error == FB_OK)
        error = peer_listen(&cloud->peer, event, "forebay-cloud", run, PROTOCOL_CLOUD_SOCKET, &handlers, cloud, cause);
    if (error != FB_OK) {
        cloud_peer_free(cloud);
        return error;
    }
    peer_on_changed(&cloud->peer, cloud->handlers->program, user);
    *ret_cloud = cloud;
    return FB_OK;
}

void cloud_peer_free(struct cloud_peer *cloud) {
    if (cloud == NULL)
        return;
    cloud->link_up = false; /* nothing more is handed out */
    mark_accepted(cloud);
    peer_done(&cloud->peer);
    sd_event_source_disable_unref(cloud->mark_timer);
    sd_event_source_disable_unref(cloud->wake_timer);
    json_decref(cloud->status);
    free(cloud->commands);
    free(cloud);
}

void cloud_peer_set_link(struct cloud_peer *cloud, const struct link_settings *settings) {
    cloud->has_link = settings != NULL;
    if (settings != NULL)
        cloud->link = *settings;
    send_link(cloud);
}

void cloud_peer_set_commands(struct cloud_peer *cloud, const struct command_settings *settings, const char *gateway) {
    json_t *json = settings == NULL ? json_object()
                                    : json_pack("{s:s, s:s, s:s}", "address", settings->address, "replies",
                                                settings->replies, "gateway", gateway);
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (text == NULL)
        abort();
    free(cloud->commands);
    cloud->commands = text;
    send_commands(cloud);
}

void cloud_peer_reply(struct cloud_peer *cloud, uint64_t id, bool accepted, const char *reason, const char *reply,
                      size_t length) {
    static uint8_t packet[MESSAGE_BYTES_MAX];
    const size_t reason_length = strlen(reason);
    if (cloud->peer.channel == NULL)
        return;
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_REPLY, 0);
    message_put_u64(&writer, id);
    message_put_u8(&writer, accepted ? PARCEL_ACCEPTED : PARCEL_REJECTED);
    message_put_u32(&writer, (uint32_t)reason_length);
    message_put_bytes(&writer, reason, reason_length);
    message_put_bytes(&writer, reply, length);
    channel_send(cloud->peer.channel, &writer);
}

enum fb_error cloud_peer_log(struct cloud_peer *cloud, enum log_level level, uint32_t time_ms, struct fb_cause *cause) {
    uint8_t packet[MESSAGE_HEADER_BYTES + 1 + sizeof time_ms];
    if (cloud->peer.channel == NULL)
        return fb_fail(cause, FB_CLOSED, "forebay-cloud is not running");
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_CLOUD_LOG, 0);
    message_put_u8(&writer, (uint8_t)level);
    message_put_u32(&writer, time_ms);
    channel_send(cloud->peer.channel, &writer);
    return FB_OK;
}

enum fb_error cloud_peer_resend(struct cloud_peer *cloud, int64_t from_ms, int64_t to_ms, struct fb_cause *cause) {
    if (cloud->resend.active)
        return fb_fail(cause, FB_AGAIN, "a backfill is under way: %llu batches so far",
                       (unsigned long long)cloud->resend.sent);
    resend_begin(&cloud->resend, from_ms, to_ms);
    hand_out(cloud);
    return FB_OK;
}

void cloud_peer_set_delivery(struct cloud_peer *cloud, const struct delivery_settings *settings) {
    pace_limit(&cloud->pace, settings->backlog_bytes_per_s, clock_monotonic_ms());
    cloud->budget.most = settings->month_bytes;
    cloud->budget_told = budget_spent(&cloud->budget);
    if (event_lane_set_open(&cloud->events, cloud->store, settings->events == DELIVERY_EVENTS_YES))
        keep_event_sent(cloud);
    hand_out(cloud);
}

void cloud_peer_committed(struct cloud_peer *cloud) {
    if (event_lane_skip(&cloud->events, cloud->store))
        keep_event_sent(cloud);
    hand_out_event(cloud);
}

enum fb_error cloud_peer_release(struct cloud_peer *cloud, uint64_t first, uint64_t last, size_t *ret_released,
                                 struct fb_cause *cause) {
    const enum fb_error error = store_release(cloud->store, first, last, ret_released, cause);
    if (error == FB_OK && *ret_released > 0) {
        lanes_again(&cloud->lanes);
        hand_out(cloud);
    }
    return error;
}

void cloud_peer_sealed(struct cloud_peer *cloud) {
    lanes_sealed(&cloud->lanes);
    hand_out(cloud);
}

void cloud_peer_salvaged(struct cloud_peer *cloud) {
    lanes_salvaged(&cloud->lanes);
    hand_out(cloud);
}

const struct peer *cloud_peer_peer(const struct cloud_peer *cloud) {
    return &cloud->peer;
}

static json_t *month_to_json(const struct budget *budget) {
    char month[BUDGET_MONTH_MAX];
    return json_pack("{s:o, s:I, s:o, s:b}", "month",
                     budget->month > 0 ? json_string(budget_month_text(budget->month, month)) : json_null(), "bytes",
                     (json_int_t)budget->bytes, "budget",
                     budget->most > 0 ? json_integer((json_int_t)budget->most) : json_null(), "spent",
                     budget_spent(budget));
}

json_t *cloud_peer_link_to_json(const struct cloud_peer *cloud) {
    json_t *link =
        json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:n, s:i, s:n, s:i, s:i, s:i, s:n}", "state", "off", "since_ms",
                  (json_int_t)cloud->since_ms, "reason", cloud->has_link ? "forebay-cloud is not running" : "", "step",
                  "dns", "tls", "", "peer", "", "last_accepted_ms", "in_flight", 0, "oldest_in_flight_ms", "accepted",
                  0, "rejected", 0, "released", 0, "retry_at_ms");
    if (cloud->status != NULL)
        json_object_update(link, cloud->status);
    json_object_set_new(link, "configured", json_boolean(cloud->has_link));
    json_object_set_new(link, "refusal", json_string(cloud->refusal));
    json_object_set_new(link, "backfill", resend_to_json(&cloud->resend));
    struct store_figures figures;
    store_figures(cloud->store, &figures);
    json_object_set_new(link, "parked",
                        json_pack("{s:I, s:I}", "batches", (json_int_t)figures.parked_batches, "readings",
                                  (json_int_t)figures.parked_readings));
    json_object_set_new(link, "live",
                        json_pack("{s:I, s:I, s:I}", "batches", (json_int_t)cloud->live_age.count, "p50_ms",
                                  (json_int_t)live_age_share(&cloud->live_age, 0.5), "p99_ms",
                                  (json_int_t)live_age_share(&cloud->live_age, 0.99)));
    json_object_set_new(link, "month", month_to_json(&cloud->budget));
    json_object_set_new(link, "parcel_bytes_most",
                        cloud->parcel_bytes_most > 0 ? json_integer(cloud->parcel_bytes_most) : json_null());
    return link;
}
