#include "drivers/write.h"

#include <string.h>

#include "drivers/guard.h"
#include "drivers/modbus_write.h"
#include "drivers/probe.h"
#include "gateway/common/clock.h"
#include "gateway/common/quality.h"

static const struct plant_instrument *find_instrument(const struct plant *plant, const struct plant_bus *bus,
                                                      const char *name) {
    for (size_t i = 0; i < plant->instrument_count; i++) {
        const struct plant_instrument *instrument = &plant->instruments[i];
        if (strcmp(instrument->name, name) == 0 && &plant->buses[instrument->bus] == bus)
            return instrument;
    }
    return NULL;
}

/* The frame, from what this worker itself knows of the configuration. */
static enum fb_error make_frame(const struct connection *connection, const struct plant *plant, const struct ask *ask,
                                struct modbus_write *ret_frame, struct fb_cause *cause) {
    const struct plant_instrument *instrument = find_instrument(plant, connection->bus, ask->instrument);
    const struct plant_write *write = instrument != NULL ? plant_write_find(instrument, ask->name) : NULL;
    if (write == NULL)
        return fb_fail(cause, FB_NOT_FOUND, "%s: the configuration opens no such register for writing", ask->name);
    return modbus_write_make(instrument->unit, write, ask->value, ret_frame, cause);
}

enum fb_error write_granted(struct connection *connection, const struct plant *plant, const struct ask *ask,
                            json_t **ret_result, struct fb_cause *cause) {
    struct modbus_write frame;
    struct guard_grant grant = {.id = ask->grant, .expires_ms = ask->expires_ms};
    enum fb_error error = make_frame(connection, plant, ask, &frame, cause);
    if (error != FB_OK)
        return error;
    memcpy(grant.bytes, frame.bytes, frame.length);
    grant.length = frame.length;
    error = guard_take_grant(&grant, cause);
    if (error != FB_OK)
        return error;
    const uint64_t since = recorder_position();
    struct connection_result written;
    connection->retry_at_ms = 0; /* a person who asks need not wait for the back-off */
    connection_write(connection, &frame, &written);
    guard_drop_grant();
    const bool good = written.quality == QUALITY_GOOD;
    json_t *result =
        json_pack("{s:s, s:i, s:s, s:I, s:s, s:s}", "quality", good ? "good" : quality_reason(written.quality),
                  "exception", (int)written.detail, "reason", good || written.detail != 0 ? "" : connection->reason,
                  "time_ms", (json_int_t)clock_utc_ms(), "sent", "", "received", "");
    if (result != NULL)
        probe_add_frames(result, since);
    *ret_result = result;
    return FB_OK;
}
