/* plan.h - which requests a bus needs: the tags of each instrument coalesced into reads. Pure.
 * Used by forebay-field to poll, and by config to predict a bus's load. */
#ifndef FB_DRIVERS_PLAN_H
#define FB_DRIVERS_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/common/plant.h"

/* One read: count registers (or bits) of one table from address on, all wanted at the same interval. */
struct plan_request {
    const struct plant_instrument *instrument; /* borrowed from the plant */
    enum plant_table table;
    uint16_t address; /* wire, 0-based */
    uint16_t count;   /* 1..125 registers, 1..2000 bits */
    uint32_t interval_ms;
    const struct plant_tag **tags; /* tag_count of them, ordered by address; inside plan.tags */
    size_t tag_count;
};

struct plan {
    struct plan_request *requests; /* request_count of them, malloc */
    size_t request_count;
    const struct plant_tag **tags; /* malloc */
};

/* Plan the bus with the given index. A gap between two tags is read over when that costs less than a request of its
 * own: (request + reply overhead bytes + 1) / 2 registers. ret_plan: yours, end it with plan_done(). It borrows the
 * plant. */
enum fb_error plan_bus(const struct plant *plant, size_t bus, struct plan *ret_plan) FB_MUST_USE;
void plan_done(struct plan *plan);

/* Time on the wire of one request and its reply in microseconds, pauses and the instrument's usual delay included. */
uint64_t plan_request_cost_us(const struct plant_bus *bus, const struct plan_request *request);

/* Share of the bus's time that its schedule takes when all answer: 1.0 is full. */
double plan_load(const struct plant_bus *bus, const struct plan *plan);

#endif
