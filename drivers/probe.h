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

/* One read of a tag of the plant whose instrument speaks in lines, as the schedule reads it. The same answer; data is
 * the line with the tag as decode() takes it, sent and received are all frames of the exchange one after the other.
 * FB_NOT_FOUND: no such tag on this bus. FB_INVALID: its instrument has registers. ret_result as above. */
enum fb_error probe_tag(struct connection *connection, const struct plant *plant, const struct ask *ask,
                        json_t **ret_result, struct fb_cause *cause) FB_MUST_USE;

/* Set "sent" and "received" to the last frame of each direction since the position (recorder.h). */
void probe_add_frames(json_t *result, uint64_t since);

#endif
