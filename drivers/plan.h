/* plan.h - which requests a bus needs: the tags of each instrument coalesced into reads. Pure.
 * Used by forebay-field to poll, and by config to predict a bus's load. */
#ifndef FB_DRIVERS_PLAN_H
#define FB_DRIVERS_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/common/plant.h"

/* What a request reads beside tags: what speaks for the whole instrument. */
enum plan_watch { PLAN_HEARTBEAT = 1, PLAN_SERVICE = 2 };

/* One read: count registers (or bits) of one table from address on, all wanted at the same interval. */
struct plan_request {
    const struct plant_instrument *instrument; /* borrowed from the plant */
    enum plant_table table;
    uint16_t address; /* wire, 0-based */
    uint16_t count;   /* 1..125 registers, 1..2000 bits */
    uint32_t interval_ms;
    uint32_t timeout_ms;           /* for its reply; 0: the bus's */
    uint8_t short_replies;         /* so many without a whole one between them; parts of a split request inherit it */
    unsigned watches;              /* enum plan_watch: those of the instrument that are inside */
    const struct plant_tag **tags; /* tag_count of them, 0 with watches alone, ordered by extent; inside plan.tags */
    size_t tag_count;
};

struct plan {
    struct plan_request *requests; /* request_count of them, malloc; those of one instrument stand side by side */
    size_t request_count;
    size_t request_most;           /* how many splitting may make of them */
    const struct plant_tag **tags; /* malloc */
};

/* Splits of one bus, at most: an instrument that refuses everything must not fill the bus with refusals. */
#define PLAN_SPLITS_MOST 256

/* Plan the bus with the given index. Its tags are cut into requests so that a cycle takes the least time: bytes,
 * silences and pauses count, what an instrument thinks does not, and on Modbus TCP, where nobody knows what is behind,
 * bytes cost what they do at 9600 baud. ret_plan: yours, end it with plan_done(). It borrows the
 * plant. */
enum fb_error plan_bus(const struct plant *plant, size_t bus, struct plan *ret_plan) FB_MUST_USE;
void plan_done(struct plan *plan);

/* The instrument lacks some of what this request asks for: make two of it, the second behind the first, cut in the
 * middle of its widest gap, which may be a hole, else between the two tags nearest its middle. False when there is no
 * place to cut or the plan has no room: then that is the answer. */
bool plan_split(struct plan *plan, size_t request);

/* The first thing the request reads, alone: the least that tells whether the instrument answers. */
struct plan_request plan_light_request(const struct plan_request *request);

/* Time that one character takes on the bus's line in microseconds, rounded up; 0 on TCP. */
uint32_t plan_character_us(const struct plant_bus *bus);
/* The quiet time that must lie between frames on the bus's line, the pause included; microseconds. */
uint32_t plan_quiet_us(const struct plant_bus *bus);

/* Time on the wire of one request and its reply in microseconds, pauses and the instrument's usual delay included. */
uint64_t plan_request_cost_us(const struct plant_bus *bus, const struct plan_request *request);

/* Share of the bus's time that its schedule takes when all answer: 1.0 is full. */
double plan_load(const struct plant_bus *bus, const struct plan *plan);

/* The longest time in microseconds from the first request to the last reply when all requests are due at once, and so
 * many instruments have just fallen silent: each then costs its time-out instead of its replies. dead: those whose
 * silence costs most are taken; no more than the bus has. */
uint64_t plan_cycle_us(const struct plant_bus *bus, const struct plan *plan, size_t dead);

#endif
