/* endpoints.h - which of several endpoints is tried next, and how soon. Pure. Used by forebay-cloud's link.
 *
 * A round goes through the endpoints in the order of preference, from the one that worked last; only when all have
 * failed does the back-off grow. An endpoint counts as working once it has accepted a batch: one that merely takes
 * connections is a failed one, too. */
#ifndef FB_CLOUD_ENDPOINTS_H
#define FB_CLOUD_ENDPOINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/common/backoff.h"

/* The wait for the next return doubles no more often than this. */
#define ENDPOINTS_VAIN_RETURNS_MOST 4

struct endpoints {
    uint8_t count;          /* >= 1 */
    uint8_t now;            /* rank of the one in use; 0 is the preferred one */
    uint8_t failed;         /* of this round */
    bool worked;            /* the one in use has accepted a batch */
    struct backoff backoff; /* of rounds */
    bool returning;         /* gone back to the preferred one, which has accepted nothing since */
    uint8_t vain_returns;   /* in a row, counted up to ENDPOINTS_VAIN_RETURNS_MOST */
};

struct endpoints endpoints_new(uint8_t count, uint32_t retry_first_ms, uint32_t retry_most_ms);

/* The present one has failed, or its connection has ended. Goes on to the next one; returns how long to wait before it
 * is tried, ms. random: 32 uniform bits. */
uint32_t endpoints_failed(struct endpoints *endpoints, uint32_t random);
/* The present one has accepted a batch: when its connection ends it is the first to be tried again. */
void endpoints_worked(struct endpoints *endpoints);
/* Go to the preferred one. */
void endpoints_return(struct endpoints *endpoints);

/* How long to stay with a spare before the preferred one is asked: return_after_ms, twice as long after each return in
 * a row that came to nothing (a broker may agree to everything and then take no message), at most a day. */
uint32_t endpoints_stay_ms(const struct endpoints *endpoints, uint32_t return_after_ms);
/* How long after (or since) the last question to ask the preferred one: stay_ms, a quarter more or less. */
uint32_t endpoints_return_ms(uint32_t stay_ms, uint32_t random);

#endif
