/* probe.h - one read of any unit, between those of the schedule: for commissioning. Used by the bus worker, and by the
 * command line over a connection of its own. Blocks as the driver does. Reads only, like everything here. */
#ifndef FB_DRIVERS_PROBE_H
#define FB_DRIVERS_PROBE_H

#include "drivers/ask.h"
#include "drivers/connection.h"

/* Ask, and tell what came: {"quality", "exception", "reason", "time_ms", "data": HEX, "sent": HEX, "received": HEX}.
 * sent and received are the frames as they went over the wire, "" where there was none. New reference, NULL when out of
 * memory. */
json_t *probe_read(struct connection *connection, const struct ask *ask);

/* Set "sent" and "received" to the last frame of each direction since the position (recorder.h). */
void probe_add_frames(json_t *result, uint64_t since);

#endif
