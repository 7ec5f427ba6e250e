/* schedule.h - when each request of a bus is due: an absolute schedule, phase + n x interval. Pure: the monotonic time
 * is an argument, in microseconds. Used by the bus worker. */
#ifndef FB_DRIVERS_SCHEDULE_H
#define FB_DRIVERS_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

#include "drivers/plan.h"
#include "gateway/common/error.h"

/* First requests are spread over no more than this, so that slow tags need not wait for their first value. */
#define SCHEDULE_SPREAD_MAX_MS 5000

struct schedule_slot {
    uint64_t due_us; /* next */
    uint64_t interval_us;
};

struct schedule {
    struct schedule_slot *slots; /* one a request, in the plan's order, room for request_most; malloc */
    size_t count;
    uint64_t overruns; /* slots that passed while the bus was busy: skipped, never caught up */
};

/* Requests of one instrument with one interval share their phase; the phases are spread over the interval.
 * ret_schedule: yours, end it with schedule_done(). It does not keep the plan. FB_MEMORY. */
enum fb_error schedule_make(const struct plan *plan, uint64_t now_us, struct schedule *ret_schedule) FB_MUST_USE;
void schedule_done(struct schedule *schedule);

/* The plan has split the request: the one behind it is new, and due when this one is. */
void schedule_split(struct schedule *schedule, size_t request);

/* The index of the request that is due first; among equals the first of the plan. count must not be 0. */
size_t schedule_first(const struct schedule *schedule);

/* The request's slot has been served: go on to the next one that lies in the future, and count those between. */
void schedule_served(struct schedule *schedule, size_t request, uint64_t now_us);

#endif
