#include "gateway/cloud/transit.h"

void transit_look(struct transit *transit, const struct amqp_progress *now, int64_t answered_ms, int64_t now_ms) {
    const struct amqp_progress *seen = &transit->seen;
    /* Without something on its way what was acknowledged are heartbeats, or messages that were handed over since. */
    if (seen->on_its_way && seen->acknowledged < transit->counts_to && now->acknowledged > seen->acknowledged)
        transit->moved_ms = now_ms;
    if (answered_ms >= transit->looked_ms)
        transit->counts_to = now->handed;
    transit->seen = *now;
    transit->looked_ms = now_ms;
}
