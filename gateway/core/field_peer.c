#include "gateway/core/field_peer.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/common/clock.h"
#include "gateway/common/log.h"
#include "gateway/common/protocol.h"

/* A tag's JSON has at most about 500 bytes: this many stay well below one message. */
#define TAGS_A_MESSAGE 128
/* In one message: 35 years of 1000 readings a second, and sums of such numbers stay far from overflowing. */
#define READINGS_LOST_MOST (UINT64_C(1) << 40)

struct field_peer {
    struct peer peer;
    struct intake *intake;
    struct values *values;
    const struct plant *plant; /* NULL before the first configuration */
    json_t *buses;             /* bus name -> what forebay-field said of it */
    field_peer_told told;      /* NULL: nobody asks */
    void *told_user;
    const struct field_peer_watch *watch; /* NULL: nobody watches */
    void *watch_user;
    bool hello;
};

static void send_json(struct channel *channel, uint8_t type, json_t *json) {
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (text == NULL)
        abort(); /* out of memory while telling the plant: start anew rather than poll half of it */
    channel_send_text(channel, type, text);
    free(text);
}

static void send_plant(struct field_peer *field) {
    struct channel *channel = field->peer.channel;
    if (channel == NULL || !field->hello || field->plant == NULL)
        return;
    const struct plant *plant = field->plant;
    channel_send_bytes(channel, PROTOCOL_PLANT_BEGIN, NULL, 0);
    for (size_t i = 0; i < plant->bus_count; i++)
        send_json(channel, PROTOCOL_PLANT_BUS, plant_bus_to_json(&plant->buses[i]));
    for (size_t i = 0; i < plant->instrument_count; i++) {
        const struct plant_instrument *instrument = &plant->instruments[i];
        size_t first = 0;
        do {
            const size_t left = instrument->tag_count - first;
            const size_t count = left < TAGS_A_MESSAGE ? left : TAGS_A_MESSAGE;
            send_json(channel, PROTOCOL_PLANT_INSTRUMENT, plant_instrument_to_json(plant, instrument, first, count));
            first += count;
        } while (first < instrument->tag_count);
    }
    channel_send_bytes(channel, PROTOCOL_PLANT_END, NULL, 0);
}

static bool on_hello(struct field_peer *field, struct channel *channel, struct message_reader *reader) {
    const uint64_t epoch = message_get_u64(reader);
    if (!message_done(reader))
        return false;
    peer_hello(&field->peer, channel);
    const uint64_t sequence = intake_resume(field->intake, epoch);
    intake_follow_epoch(field->intake, epoch);
    field->hello = true;
    channel_send_bytes(channel, PROTOCOL_FIELD_RESUME, &sequence, sizeof sequence);
    send_plant(field);
    return true;
}

/* Keep those of tags that are configured: one that was on its way when its tag was removed would come into a batch
 * whose catalogue does not name it, and nobody could tell what it was. Returns how many units are left. */
static size_t keep_named(const struct values *values, struct reading *readings, size_t units) {
    size_t kept = 0;
    for (size_t i = 0, next; i < units; i = next) {
        const size_t length = reading_units(&readings[i]);
        next = i + length;
        if (!values_has(values, readings[i].tag))
            continue;
        memmove(&readings[kept], &readings[i], length * sizeof readings[0]);
        kept += length;
    }
    return kept;
}

static bool on_readings(struct field_peer *field, struct message_reader *reader) {
    /* Copied because readings in a packet are not aligned. */
    static struct reading readings[PROTOCOL_READINGS_MAX];
    const uint64_t sequence = message_get_u64(reader);
    size_t length;
    const uint8_t *bytes = message_get_rest(reader, &length);
    size_t units = length / sizeof readings[0];
    if (!message_done(reader) || units == 0 || units > PROTOCOL_READINGS_MAX || length % sizeof readings[0] != 0)
        return false;
    memcpy(readings, bytes, length);
    if (!readings_valid(readings, units))
        return false;
    units = keep_named(field->values, readings, units);
    if (!intake_take(field->intake, sequence, readings, units))
        return false;
    const int64_t now_ms = clock_monotonic_ms();
    for (size_t i = 0; i < units; i += reading_units(&readings[i]))
        values_take(field->values, &readings[i], now_ms);
    return true;
}

static bool on_readings_lost(struct field_peer *field, struct message_reader *reader) {
    const uint64_t sequence = message_get_u64(reader);
    struct batch_loss loss = {.reason = BATCH_LOSS_CORE_AWAY};
    loss.from_ms = (int64_t)message_get_u64(reader);
    loss.to_ms = (int64_t)message_get_u64(reader);
    loss.readings = message_get_u64(reader);
    if (!message_done(reader) || loss.from_ms < READING_TIME_MIN_MS || loss.to_ms < loss.from_ms ||
        loss.to_ms > READING_TIME_MAX_MS || loss.readings > READINGS_LOST_MOST)
        return false;
    log_event(LOG_LEVEL_WARNING, "readings-lost", "readings=%llu reason=\"core was away for too long\"",
              (unsigned long long)loss.readings);
    return intake_take_loss(field->intake, sequence, &loss);
}

static bool is_configured(const struct plant *plant, const char *bus) {
    for (size_t i = 0; plant != NULL && i < plant->bus_count; i++)
        if (strcmp(plant->buses[i].name, bus) == 0)
            return true;
    return false;
}

/* One of a bus that has left the configuration a moment ago is passed over. */
static bool on_bus_status(struct field_peer *field, struct message_reader *reader) {
    size_t length;
    const uint8_t *bytes = message_get_rest(reader, &length);
    if (!message_done(reader))
        return false;
    json_t *status = json_loadb((const char *)bytes, length, JSON_REJECT_DUPLICATES, NULL);
    const char *name = json_string_value(json_object_get(status, "name"));
    const bool good = name != NULL;
    if (good && is_configured(field->plant, name)) {
        json_object_set(field->buses, name, status);
        if (field->watch != NULL)
            field->watch->bus(status, field->watch_user);
    }
    json_decref(status);
    return good;
}

static bool on_tell(struct field_peer *field, struct message_reader *reader) {
    size_t length;
    const uint64_t id = message_get_u64(reader);
    const char *text = (const char *)message_get_rest(reader, &length);
    if (!message_done(reader))
        return false;
    json_t *answer = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    const bool good = json_is_boolean(json_object_get(answer, "ok"));
    json_decref(answer);
    if (good && field->told != NULL)
        field->told(id, text, length, field->told_user);
    return good;
}

static bool on_message(struct channel *channel, struct message_reader *reader, void *user) {
    struct field_peer *field = user;
    if (reader->type == PROTOCOL_FIELD_HELLO)
        return on_hello(field, channel, reader);
    if (!peer_is_program(&field->peer, channel))
        return false;
    if (reader->type == PROTOCOL_READINGS)
        return on_readings(field, reader);
    if (reader->type == PROTOCOL_READINGS_LOST)
        return on_readings_lost(field, reader);
    if (reader->type == PROTOCOL_TELL)
        return on_tell(field, reader);
    return reader->type == PROTOCOL_BUS_STATUS && on_bus_status(field, reader);
}

static void on_closed(struct channel *channel, const char *reason, void *user) {
    struct field_peer *field = user;
    if (!peer_closed(&field->peer, channel, reason))
        return;
    field->hello = false;
    json_object_clear(field->buses);
}

static const struct channel_handlers handlers = {.message = on_message, .closed = on_closed};

enum fb_error field_peer_new(sd_event *event, const char *run, struct intake *intake, struct values *values,
                             struct field_peer **ret_field, struct fb_cause *cause) {
    struct field_peer *field = calloc(1, sizeof *field);
    if (field == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    field->intake = intake;
    field->values = values;
    field->buses = json_object();
    const enum fb_error error =
        peer_listen(&field->peer, event, "forebay-field", run, PROTOCOL_FIELD_SOCKET, &handlers, field, cause);
    if (error != FB_OK) {
        field_peer_free(field);
        return error;
    }
    *ret_field = field;
    return FB_OK;
}

void field_peer_free(struct field_peer *field) {
    if (field == NULL)
        return;
    peer_done(&field->peer);
    json_decref(field->buses);
    free(field);
}

void field_peer_set_plant(struct field_peer *field, const struct plant *plant) {
    field->plant = plant;
    json_object_clear(field->buses);
    send_plant(field);
}

void field_peer_on_told(struct field_peer *field, field_peer_told told, void *user) {
    field->told = told;
    field->told_user = user;
}

void field_peer_watch(struct field_peer *field, const struct field_peer_watch *watch, void *user) {
    field->watch = watch;
    field->watch_user = user;
    peer_on_changed(&field->peer, watch->program, user);
}

enum fb_error field_peer_ask(struct field_peer *field, uint64_t id, const char *text, size_t length,
                             struct fb_cause *cause) {
    static uint8_t packet[MESSAGE_BYTES_MAX];
    if (field->peer.channel == NULL || !field->hello)
        return fb_fail(cause, FB_CLOSED, "forebay-field is not running");
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_ASK, 0);
    message_put_u64(&writer, id);
    message_put_bytes(&writer, text, length);
    channel_send(field->peer.channel, &writer);
    return FB_OK;
}

void field_peer_committed(struct field_peer *field, struct store_cursor cursor) {
    if (field->peer.channel != NULL && field->hello)
        channel_send_bytes(field->peer.channel, PROTOCOL_COMMITTED, &cursor.sequence, sizeof cursor.sequence);
}

const struct peer *field_peer_peer(const struct field_peer *field) {
    return &field->peer;
}

json_t *field_peer_bus(const struct field_peer *field, const char *bus) {
    return json_object_get(field->buses, bus);
}
