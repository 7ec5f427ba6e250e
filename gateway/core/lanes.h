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

#include "gateway/core/pace.h"
#include "store/store.h" /* STORE_SALVAGED_FIRST */

/* Both limits are one: whatever is in flight may come back and wait. */
#define LANES_IN_FLIGHT_MAX 1024
#define LANES_WAITING_MAX 1024

struct lanes_flight {
    uint64_t number;
    size_t bytes;
    bool historical;
    uint64_t accepted_then; /* see struct lanes_waiting */
    struct pace_flight pace;
    int64_t first_ms; /* UTC, of its oldest reading */
    bool answered;    /* accepted, and waits to be marked: it holds up nothing any more */
};

struct lanes_waiting {
    uint64_t number;
    int64_t until_ms;       /* monotonic */
    uint64_t accepted_then; /* how many had been accepted in this session when its last rejection counted */
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
    size_t open_count, open_bytes;                   /* of these, the ones that are not answered */
    size_t backlog_count, backlog_bytes;             /* of those, historical ones */
    uint64_t accepted;                               /* in this session */
    struct lanes_waiting waiting[LANES_WAITING_MAX]; /* waiting_count of them */
    size_t waiting_count;
};

/* A session with the cloud begins: everything unsent is to be handed out; from session_first on it is live. */
void lanes_begin(struct lanes *lanes, uint64_t session_first);

/* A range of numbers to look for an unsent batch in. */
struct lanes_range {
    uint64_t first, last;
    bool historical;
    bool waited; /* one that was refused, and whose time has come */
};

/* The range to look in next; call again after lanes_none(), lanes_pass() or lanes_out(). backlog_open: historical ones
 * may go, too. False: nothing may go out now. */
bool lanes_next(const struct lanes *lanes, int64_t now_ms, bool backlog_open, struct lanes_range *ret_range);
/* There is no unsent batch in that range. */
void lanes_none(struct lanes *lanes, const struct lanes_range *range);
/* The batch found in that range was handed out. flight: number, bytes and what pace.h wants; the rest is filled in. */
void lanes_out(struct lanes *lanes, const struct lanes_range *range, const struct lanes_flight *flight);
/* The batch found in that range is in flight already, or waits (lanes_holds()): go on behind it. */
void lanes_pass(struct lanes *lanes, const struct lanes_range *range, uint64_t number);
bool lanes_holds(const struct lanes *lanes, const struct lanes_range *range, uint64_t number);
/* Batches that were not to be handed out may be anywhere: look at all lanes again. */
void lanes_again(struct lanes *lanes);
/* New batches were sealed: the live lane has something again. */
void lanes_sealed(struct lanes *lanes);
/* Batches were salvaged: there is something behind the backlog again. */
void lanes_salvaged(struct lanes *lanes);

/* Whether it was handed out and is not settled; of the last session until the next begins. */
bool lanes_in_flight(const struct lanes *lanes, uint64_t number);

/* It has an outcome: how it went out. False when it was not in flight. */
bool lanes_settle(struct lanes *lanes, uint64_t number, struct lanes_flight *ret_flight);
/* The peer accepted it; it stays in flight until lanes_settle(). The flight, NULL when it was not in flight. */
const struct lanes_flight *lanes_accepted(struct lanes *lanes, uint64_t number);
/* Whether a rejection of it says something of the batch itself: only if the peer takes others. It has accepted one
 * since the last rejection that counted; counts from now on. */
bool lanes_counts(const struct lanes *lanes, struct lanes_flight *flight);
/* The peer refused it for the attempts-th time (lanes_settle() came before): try again later, with back-off. */
void lanes_wait(struct lanes *lanes, const struct lanes_flight *flight, uint32_t attempts, int64_t now_ms,
                uint32_t random);
/* When the next waiting batch may go out, monotonic; 0 when none waits that may. */
int64_t lanes_wake_ms(const struct lanes *lanes, bool backlog_open);

#endif
