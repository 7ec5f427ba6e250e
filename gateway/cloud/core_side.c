#include "gateway/cloud/core_side.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cloud/attempts.h"
#include "gateway/cloud/cloud_message.h"
#include "gateway/cloud/link.h"
#include "gateway/common/backoff.h"
#include "gateway/common/channel.h"
#include "gateway/common/file.h"
#include "gateway/common/log.h"

#define TIMER_ACCURACY_US 1000
/* Core is on the same machine and starts within a second: waiting longer saves nothing. */
#define RECONNECT_FIRST_MS 100
#define RECONNECT_MOST_MS 1000
#define REASON_BYTES_MAX 500

struct core_side {
    sd_event *event;
    char path[PATH_MAX];
    struct channel *channel; /* NULL while core is away */
    struct link *link;
    struct attempts attempts;
    uint64_t attempts_told; /* to this core, up to this number */
    struct backoff backoff;
    sd_event_source *reconnect;
    sd_event_source *status; /* on while the last status is younger than CORE_SIDE_STATUS_MS, or one is due */
    bool status_due;
    bool lost_logged;
};

static void arm(sd_event_source *timer, uint32_t wait_ms) {
    sd_event_source_set_time_relative(timer, (uint64_t)wait_ms * 1000);
    sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static void send_status(struct core_side *side) {
    char *text = side->channel == NULL ? NULL : status_to_text(link_status(side->link));
    if (text != NULL)
        channel_send_text(side->channel, PROTOCOL_LINK_STATUS, text);
    free(text);
    side->status_due = false;
    arm(side->status, CORE_SIDE_STATUS_MS);
}

static int on_status_timer(sd_event_source *source, uint64_t now_us, void *user) {
    (void)source, (void)now_us;
    struct core_side *side = user;
    if (side->status_due)
        send_status(side);
    return 0;
}

/* Seldom: at most once an attempt, and when files change. */
static void send_certificates(struct core_side *side) {
    json_t *json = link_certificates(side->link);
    char *text = side->channel == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    if (text != NULL)
        channel_send_text(side->channel, PROTOCOL_LINK_CERTIFICATES, text);
    free(text);
    json_decref(json);
}

static void on_link_certificates(void *user) {
    send_certificates(user);
}

/* The first change goes out at once, or rather from the loop, when the change is complete; the next ones wait. */
static void on_link_changed(void *user) {
    struct core_side *side = user;
    int enabled = SD_EVENT_OFF;
    side->status_due = true;
    sd_event_source_get_enabled(side->status, &enabled);
    if (enabled == SD_EVENT_OFF)
        arm(side->status, 0);
}

static void on_link_up(uint32_t bytes_most, void *user) {
    struct core_side *side = user;
    uint8_t packet[MESSAGE_HEADER_BYTES + sizeof bytes_most];
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_LINK_UP, 0);
    message_put_u32(&writer, bytes_most);
    channel_send(side->channel, &writer);
}

static void on_link_down(void *user) {
    struct core_side *side = user;
    channel_send_bytes(side->channel, PROTOCOL_LINK_DOWN, NULL, 0);
}

static void on_link_next(uint32_t messages, uint32_t bytes, void *user) {
    struct core_side *side = user;
    uint8_t packet[MESSAGE_HEADER_BYTES + 2 * sizeof(uint32_t)];
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_NEXT, 0);
    message_put_u32(&writer, messages);
    message_put_u32(&writer, bytes);
    channel_send(side->channel, &writer);
}

static void on_link_decided(enum parcel_kind kind, uint64_t number, enum parcel_outcome outcome, const char *reason,
                            void *user) {
    struct core_side *side = user;
    uint8_t packet[MESSAGE_HEADER_BYTES + 2 + sizeof number + REASON_BYTES_MAX];
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_OUTCOME, 0);
    message_put_u8(&writer, (uint8_t)kind);
    message_put_u64(&writer, number);
    message_put_u8(&writer, (uint8_t)outcome);
    message_put_bytes(&writer, reason, strnlen(reason, REASON_BYTES_MAX));
    channel_send(side->channel, &writer);
}

static void on_link_command(const struct command *command, void *user) {
    static uint8_t packet[MESSAGE_BYTES_MAX];
    const struct core_side *side = user;
    const size_t id_length = strlen(command->message_id);
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_COMMAND, 0);
    message_put_u64(&writer, command->id);
    message_put_u32(&writer, (uint32_t)id_length);
    message_put_bytes(&writer, command->message_id, id_length);
    message_put_bytes(&writer, command->bytes, command->length);
    channel_send(side->channel, &writer);
}

static void tell_attempts(struct core_side *side) {
    const char *text;
    uint64_t number;
    while (side->channel != NULL && (text = attempts_after(&side->attempts, side->attempts_told, &number)) != NULL) {
        uint8_t packet[MESSAGE_HEADER_BYTES + sizeof number + PROTOCOL_ATTEMPT_BYTES_MAX];
        struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_ATTEMPT, 0);
        message_put_u64(&writer, number);
        message_put_bytes(&writer, text, strlen(text));
        channel_send(side->channel, &writer);
        side->attempts_told = number;
    }
}

static void on_link_attempted(json_t *attempt, void *user) {
    struct core_side *side = user;
    attempts_add(&side->attempts, attempt);
    tell_attempts(side);
}

static void on_link_stopped(void *user) {
    struct core_side *side = user;
    sd_event_exit(side->event, 0);
}

static const struct link_handlers link_handlers = {
    .up = on_link_up,
    .down = on_link_down,
    .next = on_link_next,
    .decided = on_link_decided,
    .command = on_link_command,
    .attempted = on_link_attempted,
    .changed = on_link_changed,
    .certificates = on_link_certificates,
    .stopped = on_link_stopped,
};

/* Only a core that speaks counts as found: one that takes connections and drops them must not make us hurry. */
static void core_spoke(struct core_side *side) {
    if (side->lost_logged)
        log_event(LOG_LEVEL_NOTICE, "core-found", "path=%s", side->path);
    side->lost_logged = false;
    side->backoff.failures = 0;
}

static enum fb_error take_config(struct core_side *side, const struct cloud_message *message, struct fb_cause *cause) {
    (void)cause;
    link_configure(side->link, message->has_link ? &message->link : NULL);
    return FB_OK;
}

static enum fb_error take_parcel(struct core_side *side, const struct cloud_message *message, struct fb_cause *cause) {
    return link_forward(side->link, message, cause);
}

static enum fb_error take_settled(struct core_side *side, const struct cloud_message *message, struct fb_cause *cause) {
    (void)cause;
    for (size_t i = 0; i < message->count; i++)
        link_settled(side->link, message->kind, cloud_message_number(message, i));
    return FB_OK;
}

static enum fb_error take_commands(struct core_side *side, const struct cloud_message *message,
                                   struct fb_cause *cause) {
    (void)cause;
    link_commands(side->link, message);
    return FB_OK;
}

static enum fb_error take_reply(struct core_side *side, const struct cloud_message *message, struct fb_cause *cause) {
    (void)cause;
    link_reply(side->link, message);
    return FB_OK;
}

static enum fb_error take_log(struct core_side *side, const struct cloud_message *message, struct fb_cause *cause) {
    (void)side, (void)cause;
    log_set_level((enum log_level)message->level, message->time_ms);
    return FB_OK;
}

static enum fb_error take_kept(struct core_side *side, const struct cloud_message *message, struct fb_cause *cause) {
    (void)cause;
    attempts_kept(&side->attempts, message->number);
    return FB_OK;
}

static const struct {
    enum protocol_cloud type;
    enum fb_error (*take)(struct core_side *side, const struct cloud_message *message, struct fb_cause *cause);
} messages[] = {
    {PROTOCOL_LINK_CONFIG, take_config},       {PROTOCOL_PARCEL, take_parcel}, {PROTOCOL_SETTLED, take_settled},
    {PROTOCOL_COMMANDS_CONFIG, take_commands}, {PROTOCOL_REPLY, take_reply},   {PROTOCOL_CLOUD_LOG, take_log},
    {PROTOCOL_ATTEMPT_KEPT, take_kept},
};

static bool on_message(struct channel *channel, struct message_reader *reader, void *user) {
    (void)channel;
    struct core_side *side = user;
    struct cloud_message message;
    struct fb_cause cause;
    enum fb_error error = cloud_message_read(reader, &message, &cause);
    for (size_t i = 0; error == FB_OK && i < sizeof messages / sizeof messages[0]; i++)
        if (messages[i].type == message.type)
            error = messages[i].take(side, &message, &cause);
    if (error != FB_OK)
        log_event(LOG_LEVEL_ERROR, "core-message-bad", "%s", cause.text);
    else
        core_spoke(side);
    return error == FB_OK;
}

static void core_lost(struct core_side *side, const char *reason) {
    if (!side->lost_logged)
        log_event(LOG_LEVEL_WARNING, "core-away", "%s", reason);
    side->lost_logged = true;
    arm(side->reconnect, backoff_next_ms(&side->backoff, backoff_random()));
}

static void on_closed(struct channel *channel, const char *reason, void *user) {
    struct core_side *side = user;
    side->channel = NULL;
    link_core_gone(side->link);
    core_lost(side, reason);
    channel_free(channel);
}

static const struct channel_handlers channel_handlers = {.message = on_message, .closed = on_closed};

static void find_core(struct core_side *side) {
    struct fb_cause cause;
    if (channel_connect(side->event, side->path, &channel_handlers, side, &side->channel, &cause) != FB_OK) {
        core_lost(side, cause.text);
        return;
    }
    channel_send_bytes(side->channel, PROTOCOL_CLOUD_HELLO, NULL, 0);
    side->attempts_told = 0;
    tell_attempts(side);
    send_certificates(side);
    on_link_changed(side);
}

static int on_reconnect(sd_event_source *source, uint64_t now_us, void *user) {
    (void)source, (void)now_us;
    find_core(user);
    return 0;
}

static enum fb_error add_timer(struct core_side *side, sd_event_source **ret_timer, sd_event_time_handler_t handler) {
    if (sd_event_add_time(side->event, ret_timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_US, handler, side) < 0)
        return FB_MEMORY;
    sd_event_source_set_enabled(*ret_timer, SD_EVENT_OFF);
    return FB_OK;
}

static enum fb_error prepare(struct core_side *side, const char *run, struct fb_cause *cause) {
    const enum fb_error error = file_join(run, PROTOCOL_CLOUD_SOCKET, side->path, sizeof side->path, cause);
    if (error != FB_OK)
        return error;
    if (add_timer(side, &side->reconnect, on_reconnect) != FB_OK ||
        add_timer(side, &side->status, on_status_timer) != FB_OK)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    return link_new(side->event, &link_handlers, side, &side->link, cause);
}

enum fb_error core_side_start(sd_event *event, const char *run, struct core_side **ret_side, struct fb_cause *cause) {
    struct core_side *side = calloc(1, sizeof *side);
    if (side == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    side->event = sd_event_ref(event);
    attempts_init(&side->attempts);
    side->backoff = (struct backoff){.first_ms = RECONNECT_FIRST_MS, .most_ms = RECONNECT_MOST_MS};
    const enum fb_error error = prepare(side, run, cause);
    if (error != FB_OK) {
        core_side_free(side);
        return error;
    }
    find_core(side);
    *ret_side = side;
    return FB_OK;
}

void core_side_stop(struct core_side *side) {
    link_stop(side->link);
}

void core_side_free(struct core_side *side) {
    if (side == NULL)
        return;
    link_free(side->link);
    channel_free(side->channel);
    attempts_done(&side->attempts);
    sd_event_source_disable_unref(side->reconnect);
    sd_event_source_disable_unref(side->status);
    sd_event_unref(side->event);
    free(side);
}
