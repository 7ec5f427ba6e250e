/* transit.h - tells a slow line from a silent peer: whether messages that wait for an answer are still on their way.
 * Pure: time is an argument. Used by forebay-cloud's link_parcels.
 *
 * What counts is that the peer's kernel acknowledges bytes of them, found by looking now and then. A peer whose program
 * is dead but whose kernel goes on acknowledging gains nothing by it: bytes count only up to the end of what was in
 * flight at the first look after the last answer, since an answer to the first of those must come before more is
 * needed. */
#ifndef FB_CLOUD_TRANSIT_H
#define FB_CLOUD_TRANSIT_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/amqp/amqp.h"

struct transit {
    int64_t looked_ms; /* monotonic; 0: not yet */
    struct amqp_progress seen;
    uint64_t counts_to; /* of acknowledged bytes */
    int64_t moved_ms;   /* the last look that found that something had moved; 0: none */
};

/* Look: begin with all 0 when a first message is handed over. answered_ms: the peer's last answer. */
void transit_look(struct transit *transit, const struct amqp_progress *now, int64_t answered_ms, int64_t now_ms);

#endif
