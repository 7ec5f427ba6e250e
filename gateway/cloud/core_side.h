/* core_side.h - forebay-cloud's conversation with core (protocol.h, cloud part): finds core again whenever it has gone,
 * and carries messages between it and the link. Used by forebay-cloud's main.c. */
#ifndef FB_CLOUD_CORE_SIDE_H
#define FB_CLOUD_CORE_SIDE_H

#include <systemd/sd-event.h>

#include "gateway/common/error.h"

/* A change of the status is told to core at most so often. */
#define CORE_SIDE_STATUS_MS 200

struct core_side;

/* Begin: connect to cloud.sock in the folder run, now and for ever again. The loop ends with code 0 once
 * core_side_stop() has closed the link. ret_side: yours until core_side_free(). */
enum fb_error core_side_start(sd_event *event, const char *run, struct core_side **ret_side,
                              struct fb_cause *cause) FB_MUST_USE;
void core_side_stop(struct core_side *side);
void core_side_free(struct core_side *side); /* NULL is fine */

#endif
