#include "drivers/probe.h"

#include <string.h>

#include "drivers/decode.h"
#include "gateway/common/clock.h"
#include "gateway/common/quality.h"

void probe_add_frames(json_t *result, uint64_t since) {
    static const char *const names[] = {[RECORDER_OUT] = "sent", [RECORDER_IN] = "received"};
    static struct recorder_cut cut;
    struct recorder_frame frame;
    recorder_read_used(since, &cut);
    while (recorder_next(&cut, &frame))
        json_object_set_new(result, names[frame.direction], ask_hex(frame.bytes, frame.length));
}

json_t *probe_read(struct connection *connection, const struct ask *ask) {
    const struct plant_instrument instrument = {.unit = ask->unit, .registers_most = PLANT_REGISTERS_MOST};
    const struct plan_request request = {
        .instrument = &instrument, .table = ask->table, .address = ask->address, .count = ask->count};
    const uint64_t since = recorder_position();
    struct connection_result read;
    connection->retry_at_ms = 0; /* a person who asks need not wait for the back-off */
    connection_read(connection, &request, &read);
    const bool good = read.quality == QUALITY_GOOD;
    const size_t length = good ? decode_data_bytes(request.table, request.count) : 0;
    json_t *result = json_pack(
        "{s:s, s:i, s:s, s:I, s:o, s:s, s:s}", "quality", good ? "good" : quality_reason(read.quality), "exception",
        (int)read.detail, "reason", good || read.detail != 0 ? "" : connection->reason, "time_ms",
        (json_int_t)clock_utc_ms(), "data", ask_hex(read.data, length), "sent", "", "received", "");
    if (result != NULL)
        probe_add_frames(result, since);
    return result;
}
