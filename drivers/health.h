/* health.h - whether an instrument on a shared bus is worth the bus's time. Pure: the monotonic time is an argument.
 *
 * An instrument that does not answer costs the others on its bus one time-out a request. After HEALTH_CYCLES failed
 * cycles and HEALTH_SILENCE_MS it is dead: only probed now and then, with one light request, ever less often, and all
 * probes of a bus together never take more than HEALTH_BUDGET_PERCENT of its time. The first answer ends that.
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
#define HEALTH_BUDGET_PERCENT 2
#define HEALTH_PUT_OFF_MS 1000
/* What may be saved up for a burst of probes. */
#define HEALTH_BUDGET_MOST_US 1000000

struct health {
    int64_t failing_since_ms; /* start of the present run of failures */
    int64_t rest_until_ms;
    int64_t probe_at_ms;
    uint32_t probe_wait_ms; /* 0: not dead */
    uint64_t failed_due_us; /* the slot of the failure counted last */
    uint32_t failed_cycles;
    uint32_t probes; /* that have failed since it is dead */
};

enum health_advice {
    HEALTH_ASK,   /* send the request */
    HEALTH_SPARE, /* send nothing; its tags get the same bad quality as before */
};

enum health_advice health_advice(const struct health *health, int64_t now_ms);

/* True while it is dead. */
bool health_dead(const struct health *health);

void health_answered(struct health *health);

/* No usable reply. due_us: the slot of the request; several failures of one slot are one failed cycle.
 * rest_ms: how long to leave it alone now. shared: others use the bus too, so that it may be dead. */
void health_failed(struct health *health, uint64_t due_us, uint32_t rest_ms, bool shared, int64_t now_ms);

/* Its probe could not be sent: try again after HEALTH_PUT_OFF_MS. */
void health_put_off(struct health *health, int64_t now_ms);

/* The bus's time for probes: grows with time, starts as {0}. */
struct health_budget {
    int64_t credit_us; /* below 0 after a probe that cost more than there was */
    int64_t updated_us;
};

/* True when a probe may be sent now. */
bool health_budget_allows(struct health_budget *budget, int64_t now_us);
void health_budget_spend(struct health_budget *budget, uint64_t cost_us);
/* When the next probe may be sent, as far as the budget goes; monotonic, microseconds. */
int64_t health_budget_ready_us(const struct health_budget *budget);

#endif
