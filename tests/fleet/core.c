#include "tests/fleet/core.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "gateway/common/channel.h"
#include "gateway/common/clock.h"
#include "gateway/common/file.h"
#include "gateway/common/hex.h"
#include "gateway/common/protocol.h"
#include "tests/fleet/field.h"

#define KEPT_MAX 4096 /* batches: an hour of one a second */
#define LINK_CONFIG_MAX (64 * 1024)
#define TIMER_ACCURACY_US 1000
#define QUEUED_BYTES_MOST (512 * 1024)

struct kept {
    uint64_t number;
    int64_t sealed_ms; /* monotonic */
    int64_t not_before_ms;
    bool out; /* handed out, no outcome yet */
    size_t length;
    uint8_t *bytes;
};

struct core {
    struct field field;
    struct channel_listener *listener;
    struct channel *channel;
    sd_event *event;
    sd_event_source *timer;
    char *link_config;
    uint8_t *catalogue;
    size_t catalogue_length;
    uint32_t first_ms, interval_ms;
    bool begun, sealing, link_up, catalogue_sent;
    uint64_t backlog_to; /* batches up to this one were sealed before the session */
    uint32_t room_messages, room_bytes;
    struct kept kept[KEPT_MAX]; /* kept_count of them, by number */
    size_t kept_count;
};

static void send_parcel(struct core *core, enum parcel_kind kind, uint64_t number, const uint8_t *bytes,
                        size_t length) {
    static uint8_t packet[MESSAGE_BYTES_MAX];
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_PARCEL, 0);
    message_put_u8(&writer, (uint8_t)kind);
    message_put_u8(&writer, kind == PARCEL_BATCH && number <= core->backlog_to ? PARCEL_HISTORICAL : 0);
    message_put_u64(&writer, number);
    message_put_bytes(&writer, core->field.store_id, PROTOCOL_STORE_BYTES);
    message_put_bytes(&writer, bytes, length);
    channel_send(core->channel, &writer);
    core->room_messages--;
    core->room_bytes -= length < core->room_bytes ? (uint32_t)length : core->room_bytes;
}

static bool may_hand_out(const struct core *core) {
    return core->channel != NULL && core->link_up && core->room_messages > 1 && core->room_bytes > 0 &&
           channel_queued_bytes(core->channel) < QUEUED_BYTES_MOST;
}

static void hand_out(struct core *core) {
    const int64_t now_ms = clock_monotonic_ms();
    for (size_t i = 0; i < core->kept_count && may_hand_out(core); i++) {
        struct kept *kept = &core->kept[i];
        if (kept->out || kept->not_before_ms > now_ms)
            continue;
        if (!core->catalogue_sent)
            send_parcel(core, PARCEL_CATALOGUE, 1, core->catalogue, core->catalogue_length);
        core->catalogue_sent = true;
        send_parcel(core, PARCEL_BATCH, kept->number, kept->bytes, kept->length);
        kept->out = true;
    }
}

static void take_back(struct core *core) {
    for (size_t i = 0; i < core->kept_count; i++)
        core->kept[i].out = false;
    core->room_messages = core->room_bytes = 0;
    core->catalogue_sent = false;
}

static void seal(struct core *core) {
    static uint8_t bytes[BATCH_BYTES_MAX];
    assert(core->kept_count < KEPT_MAX);
    const uint32_t rounds = core->interval_ms < 1000 ? 1 : core->interval_ms / 1000;
    const size_t length = field_seal(&core->field, clock_utc_ms(), rounds, bytes);
    struct kept *kept = &core->kept[core->kept_count++];
    *kept = (struct kept){.number = core->field.number, .sealed_ms = clock_monotonic_ms(), .length = length};
    kept->bytes = malloc(length);
    assert(kept->bytes != NULL);
    memcpy(kept->bytes, bytes, length);
    char hash[2 * BATCH_HASH_BYTES + 1];
    hex_encode(core->field.previous, BATCH_HASH_BYTES, hash);
    printf("{\"gateway\":\"%s\",\"what\":\"sealed\",\"number\":%" PRIu64 ",\"sha256\":\"%s\"}\n", core->field.gateway,
           kept->number, hash);
}

static void arm(struct core *core, uint32_t wait_ms) {
    sd_event_source_set_time_relative(core->timer, (uint64_t)wait_ms * 1000);
    sd_event_source_set_enabled(core->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t now_us, void *user) {
    (void)source, (void)now_us;
    struct core *core = user;
    arm(core, core->interval_ms);
    if (core->sealing)
        seal(core);
    hand_out(core);
    return 0;
}

static void send_settled(struct core *core, uint8_t kind, uint64_t number) {
    uint8_t packet[MESSAGE_HEADER_BYTES + 1 + sizeof number];
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_SETTLED, 0);
    message_put_u8(&writer, kind);
    message_put_u64(&writer, number);
    channel_send(core->channel, &writer);
}

static void say_refused(const struct core *core, uint64_t number, uint8_t outcome, const char *reason, size_t length) {
    json_t *line = json_pack("{s:s, s:s, s:I, s:i, s:s%}", "gateway", core->field.gateway, "what", "refused", "number",
                             (json_int_t)number, "outcome", outcome, "reason", reason, length);
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(line);
}

/* The real core marks acceptance in its store; here to be forgotten is all there is to it. */
static void decide(struct core *core, uint64_t number, uint8_t outcome, const char *reason, size_t length) {
    size_t i = 0;
    while (i < core->kept_count && core->kept[i].number != number)
        i++;
    assert(i < core->kept_count || outcome != PARCEL_ACCEPTED);
    if (outcome != PARCEL_ACCEPTED) {
        say_refused(core, number, outcome, reason, length);
        core->kept[i].out = false;
        core->kept[i].not_before_ms = clock_monotonic_ms() + core->interval_ms;
        return;
    }
    printf("{\"gateway\":\"%s\",\"what\":\"accepted\",\"number\":%" PRIu64 ",\"after_ms\":%" PRId64 "}\n",
           core->field.gateway, number, clock_monotonic_ms() - core->kept[i].sealed_ms);
    free(core->kept[i].bytes);
    memmove(&core->kept[i], &core->kept[i + 1], (--core->kept_count - i) * sizeof core->kept[0]);
}

static void on_outcome(struct core *core, struct message_reader *reader) {
    size_t length;
    const uint8_t kind = message_get_u8(reader);
    const uint64_t number = message_get_u64(reader);
    const uint8_t outcome = message_get_u8(reader);
    const char *reason = (const char *)message_get_rest(reader, &length);
    if (kind == PARCEL_BATCH)
        decide(core, number, outcome, reason, length);
    else if (outcome != PARCEL_ACCEPTED)
        core->catalogue_sent = false;
    if (outcome == PARCEL_ACCEPTED)
        send_settled(core, kind, number);
}

static void on_hello(struct core *core, struct message_reader *reader) {
    (void)reader;
    if (!core->begun)
        arm(core, core->first_ms);
    core->begun = true;
    core->link_up = false;
    take_back(core);
    channel_send_text(core->channel, PROTOCOL_LINK_CONFIG, core->link_config);
    channel_send_text(core->channel, PROTOCOL_COMMANDS_CONFIG, "{}");
}

static void on_up(struct core *core, struct message_reader *reader) {
    message_get_u32(reader); /* the peer's limit: no batch of a minute comes near it */
    core->link_up = true;
    core->backlog_to = core->field.number;
    take_back(core);
}

static void on_down(struct core *core, struct message_reader *reader) {
    (void)reader;
    core->link_up = false;
    take_back(core);
}

static void on_next(struct core *core, struct message_reader *reader) {
    core->room_messages = message_get_u32(reader);
    core->room_bytes = message_get_u32(reader);
    hand_out(core);
}

static void on_attempt(struct core *core, struct message_reader *reader) {
    size_t length;
    const uint64_t number = message_get_u64(reader);
    const char *record = (const char *)message_get_rest(reader, &length);
    printf("{\"gateway\":\"%s\",\"what\":\"attempt\",\"record\":%.*s}\n", core->field.gateway, (int)length, record);
    channel_send_bytes(core->channel, PROTOCOL_ATTEMPT_KEPT, &number, sizeof number);
}

static void on_other(struct core *core, struct message_reader *reader) {
    size_t length;
    (void)core;
    message_get_rest(reader, &length);
}

static const struct {
    enum protocol_cloud type;
    void (*handle)(struct core *core, struct message_reader *reader);
} types[] = {
    {PROTOCOL_CLOUD_HELLO, on_hello}, {PROTOCOL_LINK_UP, on_up},
    {PROTOCOL_LINK_DOWN, on_down},    {PROTOCOL_NEXT, on_next},
    {PROTOCOL_OUTCOME, on_outcome},   {PROTOCOL_ATTEMPT, on_attempt},
    {PROTOCOL_LINK_STATUS, on_other}, {PROTOCOL_LINK_CERTIFICATES, on_other},
};

static bool on_message(struct channel *channel, struct message_reader *reader, void *user) {
    (void)channel;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if ((uint8_t)types[i].type != reader->type)
            continue;
        types[i].handle(user, reader);
        return message_done(reader);
    }
    return false;
}

static void on_closed(struct channel *channel, const char *reason, void *user) {
    struct core *core = user;
    fprintf(stderr, "%s: forebay-cloud has gone: %s\n", core->field.gateway, reason);
    channel_free(channel);
    core->channel = NULL;
    core->link_up = false;
    take_back(core);
}

static const struct channel_handlers handlers = {.message = on_message, .closed = on_closed};

static void on_accepted(int descriptor, void *user) {
    struct core *core = user;
    struct fb_cause cause;
    channel_free(core->channel);
    const enum fb_error error = channel_adopt(core->event, descriptor, &handlers, core, &core->channel, &cause);
    assert(error == FB_OK);
}

static void open_folder(struct core *core, const char *folder) {
    char path[PATH_MAX];
    struct fb_cause cause;
    size_t length;
    enum fb_error error = file_join(folder, "link.json", path, sizeof path, &cause);
    assert(error == FB_OK);
    error = file_read(path, LINK_CONFIG_MAX, &core->link_config, &length, &cause);
    assert(error == FB_OK);
    error = file_join(folder, PROTOCOL_CLOUD_SOCKET, path, sizeof path, &cause);
    assert(error == FB_OK);
    const struct channel_listener_settings settings = {
        .path = path, .mode = 0600, .type = SOCK_SEQPACKET, .accepted = on_accepted, .user = core};
    error = channel_listen(core->event, &settings, &core->listener, &cause);
    assert(error == FB_OK);
}

struct core *core_new(sd_event *event, const struct core_settings *settings) {
    static uint8_t bytes[CATALOGUE_BYTES_MAX];
    struct core *core = calloc(1, sizeof *core);
    assert(core != NULL);
    core->event = sd_event_ref(event);
    core->first_ms = settings->first_ms;
    core->interval_ms = settings->interval_ms;
    core->sealing = true;
    field_open(&core->field, settings->gateway, settings->tags, bytes, &core->catalogue_length);
    core->catalogue = malloc(core->catalogue_length);
    assert(core->catalogue != NULL);
    memcpy(core->catalogue, bytes, core->catalogue_length);
    const int added = sd_event_add_time(event, &core->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_US, on_timer, core);
    assert(added >= 0);
    sd_event_source_set_enabled(core->timer, SD_EVENT_OFF);
    open_folder(core, settings->folder);
    return core;
}

void core_free(struct core *core) {
    channel_free(core->channel);
    channel_listener_free(core->listener);
    sd_event_source_disable_unref(core->timer);
    sd_event_unref(core->event);
    for (size_t i = 0; i < core->kept_count; i++)
        free(core->kept[i].bytes);
    free(core->catalogue);
    free(core->link_config);
    free(core);
}

void core_stop_sealing(struct core *core) {
    core->sealing = false;
}

bool core_is_empty(const struct core *core) {
    return core->kept_count == 0;
}
