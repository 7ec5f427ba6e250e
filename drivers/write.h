/* write.h - one write that core has granted: held against what the configuration opens, given to the guard, done once.
 * Used by the bus worker alone. Blocks as the driver does. */
#ifndef FB_DRIVERS_WRITE_H
#define FB_DRIVERS_WRITE_H

#include "drivers/ask.h"
#include "drivers/connection.h"

/* ret_result: {"quality", "exception", "reason", "time_ms", "sent": HEX, "received": HEX}, quality "good" when the
 * instrument confirmed it; new reference, NULL when out of memory. What was sent and not confirmed may have been done
 * all the same. FB_NOT_FOUND, FB_INVALID, FB_DENIED: nothing was sent; the cause says why. */
enum fb_error write_granted(struct connection *connection, const struct plant *plant, const struct ask *ask,
                            json_t **ret_result, struct fb_cause *cause) FB_MUST_USE;

#endif
