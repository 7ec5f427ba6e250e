/* health.h - whether an instrument on a shared bus is worth the bus's time. Pure: the monotonic time is an argument.
 *
 * An instrument that does not answer costs the others on its bus one time-out a request. After HEALTH_CYCLES failed
 * cycles and HEALTH_SILENCE_MS it is only probed, with one light request, ever less often; the first answer ends that.
 * After any time-out it is left alone for one time-out more: the next requests would fail the same way, and a reply
 * that is merely late must not meet the next request. */
#ifndef FB_DRIVERS_HEALTH_H
#define FB_DRIVERS_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

/* Figures after Kepware, Victron and Wiren Board, which agree on them. */
#define HEALTH_CYCLES 2
#define HEALTH_SILENCE_MS 3000
#define HEALTH_PROBE_FIRST_MS 10000
#define HEALTH_PROBE_MOST_MS 300000

struct health {
    int64_t failing_since_ms; /* start of the present run of failures */
    int64_t rest_until_ms;
    int64_t probe_at_ms;
    uint32_t probe_wait_ms; /* 0: not degraded */
    uint64_t failed_due_us; /* the slot of the failure counted last */
    uint32_t failed_cycles;
};

enum health_advice {
    HEALTH_ASK,   /* send the request */
    HEALTH_PROBE, /* send one light request first */
    HEALTH_SPARE, /* send nothing; its tags get the same bad quality as before */
};

enum health_advice health_advice(const struct health *health, int64_t now_ms);

void health_answered(struct health *health);

/* No usable reply. due_us: the slot of the request; several failures of one slot are one failed cycle.
 * rest_ms: how long to leave it alone now. shared: others use the bus too, so that it may be degraded. */
void health_failed(struct health *health, uint64_t due_us, uint32_t rest_ms, bool shared, int64_t now_ms);

#endif
