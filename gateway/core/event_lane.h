/* event_lane.h - the gateway's events on their way to the cloud: one after the other, before everything else, each
 * until it is accepted. Used by cloud_peer.c.
 *
 * Only one is under way at a time, so that they arrive in order and a receiver needs to remember but the last number.
 */
#ifndef FB_CORE_EVENT_LANE_H
#define FB_CORE_EVENT_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/core/text.h"
#include "store/store.h"

/* Rejections that count, after which an event is given up; it stays in the gateway's own list. */
#define EVENT_LANE_REJECTIONS_MOST 5

struct event_lane {
    bool open;              /* the configuration lets events leave */
    uint64_t sent;          /* everything up to it is done with */
    uint64_t under_way;     /* 0: none is */
    uint32_t refusals;      /* of the next one, in a row */
    uint32_t rejections;    /* of these, how many counted */
    uint64_t accepted_then; /* see event_lane_refused() */
    int64_t until_ms;       /* monotonic: the next one waits so long */
};

/* A session begins: what was under way is not any more. */
void event_lane_begin(struct event_lane *lane);
/* Events from while it is closed never leave. True when lane->sent has changed. */
bool event_lane_set_open(struct event_lane *lane, const struct store *store, bool open);
/* Forget what has been recorded while it is closed; true when lane->sent has changed. */
bool event_lane_skip(struct event_lane *lane, const struct store *store);

/* The next event, as it is to be sent: its number is under way from now on, and its body in ret_body (yours).
 * FB_NOT_FOUND: there is none now. FB_CORRUPT: those that follow cannot be read, and were passed over. */
enum fb_error event_lane_next(struct event_lane *lane, struct store *store, const char *gateway, int64_t now_ms,
                              struct text *ret_body, struct fb_cause *cause) FB_MUST_USE;

/* Its outcome; both return true when lane->sent has changed. A number that is not under way is passed over.
 * accepted: batches accepted in this session: a rejection counts only if it has grown since the last one. */
bool event_lane_accepted(struct event_lane *lane, uint64_t number);
bool event_lane_refused(struct event_lane *lane, uint64_t number, bool rejected, uint64_t accepted, int64_t now_ms,
                        uint32_t random);
/* When the next one may go out, monotonic; 0 when none waits. */
int64_t event_lane_wake_ms(const struct event_lane *lane);

#endif
