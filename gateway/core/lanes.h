/* lanes.h - which batch goes out next, and which may not yet. Pure: numbers and times only.
 *
 * Two lanes on the one link: batches sealed since the session came up (live) go before the backlog; what was salvaged
 * from a store set aside follows the backlog. What is in flight
 * is not handed out twice; what the peer refused waits alone, so that it never stands in the way of the others. */
#ifndef FB_CORE_LANES_H
#define FB_CORE_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h" /* STORE_SALVAGED_FIRST */

/* Both limits are one: whatever is in flight may come back and wait. */
#define LANES_IN_FLIGHT_MAX 1024
#define LANES_WAITING_MAX 1024

struct lanes_flight {
    uint64_t number;
    size_t bytes;
};

struct lanes_waiting {
    uint64_t number;
    int64_t until_ms; /* monotonic */
};

struct lanes {
    uint64_t session_first; /* the first live number */
    uint64_t live_next;     /* nothing in [session_first, live_next) is left to hand out, but for what waits */
    uint64_t backlog_next;  /* the same for [1, backlog_next) */
    uint64_t salvaged_next; /* the same for [STORE_SALVAGED_FIRST, salvaged_next) */
    bool salvaged_empty;    /* nothing more is salvaged until something is */
    bool live_empty;        /* nothing more in the live lane until something is sealed */
    struct lanes_flight in_flight[LANES_IN_FLIGHT_MAX]; /* in_flight_count of them */
    size_t in_flight_count;
    size_t in_flight_bytes;
    struct lanes_waiting waiting[LANES_WAITING_MAX]; /* waiting_count of them */
    size_t waiting_count;
};

/* A session with the cloud begins: everything unsent is to be handed out; from session_first on it is live. */
void lanes_begin(struct lanes *lanes, uint64_t session_first);

/* A range of numbers to look for an unsent batch in. */
struct lanes_range {
    uint64_t first, last;
    bool historical;
};

/* The range to look in next; call again after lanes_none() or lanes_out(). False: nothing may go out now. */
bool lanes_next(struct lanes *lanes, int64_t now_ms, struct lanes_range *ret_range);
/* There is no unsent batch in that range. */
void lanes_none(struct lanes *lanes, const struct lanes_range *range);
/* The batch of that range was handed out. */
void lanes_out(struct lanes *lanes, const struct lanes_range *range, uint64_t number, size_t bytes);
/* New batches were sealed: the live lane has something again. */
void lanes_sealed(struct lanes *lanes);
/* Batches were salvaged: there is something behind the backlog again. */
void lanes_salvaged(struct lanes *lanes);

/* It has an outcome. False when it was not in flight. */
bool lanes_settle(struct lanes *lanes, uint64_t number);
/* The peer refused it for the attempts-th time (lanes_settle() came before): try again later, with back-off. */
void lanes_wait(struct lanes *lanes, uint64_t number, uint32_t attempts, int64_t now_ms, uint32_t random);
/* When the next waiting batch may go out, monotonic; 0 when none waits. */
int64_t lanes_wake_ms(const struct lanes *lanes);

#endif
