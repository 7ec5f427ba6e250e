#include "gateway/core/cloud_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/clock.h"
#include "gateway/common/log.h"
#include "gateway/common/protocol.h"
#include "gateway/core/cloud_peer_inside.h"
#include "store/store_parked.h"

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

static void session_ends(struct cloud_peer *cloud) {
    cloud->room_messages = 0; /* before what follows might hand out more */
    cloud->room_bytes = 0;
    cloud_outcomes_commit(cloud);
    resend_rewind(&cloud->resend);
    catalogue_lane_begin(&cloud->catalogues);
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
    cloud_hand_out(cloud);
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
    cloud_hand_out(cloud);
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
    {PROTOCOL_LINK_UP, on_link_up},    {PROTOCOL_LINK_DOWN, on_link_down},
    {PROTOCOL_NEXT, on_next},          {PROTOCOL_OUTCOME, cloud_outcomes_take},
    {PROTOCOL_LINK_STATUS, on_status}, {PROTOCOL_LINK_CERTIFICATES, on_certificates},
    {PROTOCOL_COMMAND, on_command},    {PROTOCOL_ATTEMPT, on_attempt},
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
        cloud_hand_out(cloud);
}

static const struct channel_handlers handlers = {.message = on_message, .closed = on_closed, .drained = on_drained};

static bool is_under_way(uint64_t number, void *user) {
    const struct cloud_peer *cloud = user;
    return lanes_in_flight(&cloud->lanes, number);
}

static int on_mark_timer(sd_event_source *source, uint64_t time_us, void *user) {
    (void)source;
    (void)time_us;
    cloud_outcomes_commit(user);
    return 0;
}

static int on_wake_timer(sd_event_source *source, uint64_t time_us, void *user) {
    (void)source;
    (void)time_us;
    cloud_hand_out(user);
    return 0;
}

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
    store_set_under_way(store, is_under_way, cloud);
    *ret_cloud = cloud;
    return FB_OK;
}

void cloud_peer_free(struct cloud_peer *cloud) {
    if (cloud == NULL)
        return;
    cloud->link_up = false; /* nothing more is handed out */
    cloud_outcomes_commit(cloud);
    store_set_under_way(cloud->store, NULL, NULL);
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
    cloud_hand_out(cloud);
    return FB_OK;
}

void cloud_peer_set_delivery(struct cloud_peer *cloud, const struct delivery_settings *settings) {
    pace_limit(&cloud->pace, settings->backlog_bytes_per_s, clock_monotonic_ms());
    cloud->budget.most = settings->month_bytes;
    cloud->budget_told = budget_spent(&cloud->budget);
    if (event_lane_set_open(&cloud->events, cloud->store, settings->events == DELIVERY_EVENTS_YES))
        cloud_hand_out_keep_events(cloud);
    cloud_hand_out(cloud);
}

void cloud_peer_committed(struct cloud_peer *cloud) {
    if (event_lane_skip(&cloud->events, cloud->store))
        cloud_hand_out_keep_events(cloud);
    cloud_hand_out_event(cloud);
}

void cloud_peer_mark_accepted(struct cloud_peer *cloud) {
    cloud_outcomes_commit(cloud);
}

enum fb_error cloud_peer_release(struct cloud_peer *cloud, uint64_t first, uint64_t last, size_t *ret_released,
                                 struct fb_cause *cause) {
    const enum fb_error error = store_release(cloud->store, first, last, ret_released, cause);
    if (error == FB_OK && *ret_released > 0) {
        lanes_again(&cloud->lanes);
        cloud_hand_out(cloud);
    }
    return error;
}

void cloud_peer_sealed(struct cloud_peer *cloud) {
    lanes_sealed(&cloud->lanes);
    cloud_hand_out(cloud);
}

void cloud_peer_salvaged(struct cloud_peer *cloud) {
    lanes_salvaged(&cloud->lanes);
    cloud_hand_out(cloud);
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

/* What is wrong with the catalogue, while something is. */
static json_t *catalogue_to_json(const struct catalogue_lane *lane) {
    const struct catalogue_fate *missing = catalogue_lane_missing(lane);
    if (missing == NULL)
        return json_null();
    return json_pack("{s:I, s:s, s:I, s:I}", "revision", (json_int_t)missing->revision, "reason", missing->reason,
                     "since_ms", (json_int_t)missing->since_ms, "refusals", (json_int_t)missing->refusals);
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
    json_object_set_new(link, "catalogue", catalogue_to_json(&cloud->catalogues));
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
