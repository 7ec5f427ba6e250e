#include "drivers/probe.h"

#include <string.h>

#include "drivers/decode.h"
#include "gateway/common/clock.h"
#include "gateway/common/quality.h"

/* Large, and hardly ever needed: not on the stack. */
static struct recorder_cut cut;

void probe_add_frames(json_t *result, uint64_t since) {
    static const char *const names[] = {[RECORDER_OUT] = "sent", [RECORDER_IN] = "received"};
    struct recorder_frame frame;
    recorder_read_used(since, &cut);
    while (recorder_next(&cut, &frame))
        json_object_set_new(result, names[frame.direction], ask_hex(frame.bytes, frame.length));
}

static json_t *make_result(const struct connection *connection, const struct connection_result *read, size_t length) {
    const bool good = read->quality == QUALITY_GOOD;
    return json_pack("{s:s, s:i, s:s, s:I, s:o, s:s, s:s}", "quality", good ? "good" : quality_reason(read->quality),
                     "exception", (int)read->detail, "reason", good || read->detail != 0 ? "" : connection->reason,
                     "time_ms", (json_int_t)clock_utc_ms(), "data", ask_hex(read->data, good ? length : 0), "sent", "",
                     "received", "");
}

json_t *probe_read(struct connection *connection, const struct ask *ask) {
    const struct plant_instrument instrument = {.unit = ask->unit, .registers_most = PLANT_REGISTERS_MOST};
    const struct plan_request request = {
        .instrument = &instrument, .table = ask->table, .address = ask->address, .count = ask->count};
    const uint64_t since = recorder_position();
    struct connection_result read;
    connection->retry_at_ms = 0; /* a person who asks need not wait for the back-off */
    connection_read(connection, &request, &read);
    json_t *result = make_result(connection, &read, decode_data_bytes(request.table, request.count));
    if (result != NULL)
        probe_add_frames(result, since);
    return result;
}

/* Lines of one exchange, in order; what would go beyond the frame's limit is left out. */
static void add_all_frames(json_t *result, uint64_t since) {
    static const char *const names[] = {[RECORDER_OUT] = "sent", [RECORDER_IN] = "received"};
    uint8_t bytes[2][RECORDER_FRAME_BYTES_MAX];
    size_t used[2] = {0};
    struct recorder_frame frame;
    recorder_read_used(since, &cut);
    while (recorder_next(&cut, &frame)) {
        const enum recorder_direction way = frame.direction;
        if (used[way] + frame.length > sizeof bytes[way])
            continue;
        memcpy(bytes[way] + used[way], frame.bytes, frame.length);
        used[way] += frame.length;
    }
    for (enum recorder_direction way = RECORDER_OUT; way <= RECORDER_IN; way++)
        json_object_set_new(result, names[way], ask_hex(bytes[way], used[way]));
}

static const struct plant_tag *find_tag(const struct plant_instrument *instrument, const char *name) {
    for (size_t i = 0; i < instrument->tag_count; i++)
        if (strcmp(instrument->tags[i].name, name) == 0)
            return &instrument->tags[i];
    return NULL;
}

static enum fb_error find_request(const struct connection *connection, const struct plant *plant, const struct ask *ask,
                                  struct plan_request *ret_request, const struct plant_tag **ret_tag,
                                  struct fb_cause *cause) {
    for (size_t i = 0; i < plant->instrument_count; i++) {
        const struct plant_instrument *instrument = &plant->instruments[i];
        if (strcmp(instrument->name, ask->instrument) != 0 || &plant->buses[instrument->bus] != connection->bus)
            continue;
        if (instrument->lines.protocol == PLANT_REGISTERS)
            return fb_fail(cause, FB_INVALID, "%s has registers: probe them", instrument->name);
        *ret_tag = find_tag(instrument, ask->name);
        *ret_request = (struct plan_request){.instrument = instrument, .tags = ret_tag, .tag_count = 1};
        return *ret_tag != NULL ? FB_OK : fb_fail(cause, FB_NOT_FOUND, "%s has no tag %s", instrument->name, ask->name);
    }
    return fb_fail(cause, FB_NOT_FOUND, "there is no instrument %s on this bus", ask->instrument);
}

enum fb_error probe_tag(struct connection *connection, const struct plant *plant, const struct ask *ask,
                        json_t **ret_result, struct fb_cause *cause) {
    struct plan_request request;
    const struct plant_tag *tag;
    const enum fb_error error = find_request(connection, plant, ask, &request, &tag, cause);
    if (error != FB_OK)
        return error;
    const uint64_t since = recorder_position();
    struct connection_result read;
    connection->retry_at_ms = 0;
    connection_read(connection, &request, &read);
    const size_t length = read.quality == QUALITY_GOOD ? strlen((const char *)read.data) : 0;
    if (length > RECORDER_FRAME_BYTES_MAX)
        return fb_fail(cause, FB_LIMIT, "the answer has more than %d bytes", RECORDER_FRAME_BYTES_MAX);
    *ret_result = make_result(connection, &read, length);
    if (*ret_result != NULL)
        add_all_frames(*ret_result, since);
    return FB_OK;
}
