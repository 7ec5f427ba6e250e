/* catalogue_lane.h - what has become of the catalogues that batches of this session were made under: each goes once,
 * before the first such batch; one that the peer refuses goes again, beside the batches, which do not wait for it.
 * Pure. Used by cloud_peer.c. */
#ifndef FB_CORE_CATALOGUE_LANE_H
#define FB_CORE_CATALOGUE_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/batch.h"
#include "store/store_parked.h" /* STORE_REASON_MAX */

/* Catalogues that are remembered; the oldest gives way, and goes again with its next batch, which does no harm. */
#define CATALOGUE_LANE_MAX 16
#define CATALOGUE_LANE_REASON_MAX (STORE_REASON_MAX + 16)

struct catalogue_fate {
    uint8_t hash[BATCH_HASH_BYTES];
    uint64_t revision;      /* 0: it could not be read, batches go without */
    bool waiting;           /* refused, and to go again */
    bool alike;             /* the peer had accepted nothing since the refusal before: it refuses all alike */
    uint32_t refusals;      /* in a row; 0: accepted, or on its first way */
    uint64_t accepted_then; /* batches accepted in this session when it was last refused */
    int64_t until_ms;       /* monotonic: waits so long */
    int64_t since_ms;       /* UTC, of the first of these refusals */
    char reason[CATALOGUE_LANE_REASON_MAX]; /* of the last one */
};

struct catalogue_lane {
    struct catalogue_fate all[CATALOGUE_LANE_MAX]; /* count of them, oldest first */
    size_t count;
    uint64_t told; /* the newest revision whose refusal was told in this session */
};

/* When something happens, and what there is to judge by. accepted: batches accepted in this session. */
struct catalogue_lane_now {
    uint64_t accepted;
    int64_t monotonic_ms, utc_ms;
};

/* A session begins: nothing has been sent. */
void catalogue_lane_begin(struct catalogue_lane *lane);

/* Whether it was handed out in this session, whatever became of it. */
bool catalogue_lane_knows(const struct catalogue_lane *lane, const uint8_t hash[static BATCH_HASH_BYTES]);
/* It is handed out now, for the first time or again. accepted: see above. */
void catalogue_lane_out(struct catalogue_lane *lane, const uint8_t hash[static BATCH_HASH_BYTES], uint64_t revision,
                        uint64_t accepted);

/* Its outcome. One that is not remembered is passed over. */
void catalogue_lane_accepted(struct catalogue_lane *lane, uint64_t revision);
/* again: worth another try in this session. True when this is news to people: of the newest catalogue so far, and
 * once a session. */
bool catalogue_lane_refused(struct catalogue_lane *lane, uint64_t revision, const char *reason, bool again,
                            const struct catalogue_lane_now *now, uint32_t random);

/* The next that is to go again, borrowed; NULL: none is due. It is when its time has come, or when a peer that refused
 * all alike has accepted a batch. */
const struct catalogue_fate *catalogue_lane_due(const struct catalogue_lane *lane, uint64_t accepted, int64_t now_ms);
/* When the next one is due by the clock, monotonic; 0: none waits. */
int64_t catalogue_lane_wake_ms(const struct catalogue_lane *lane);

/* The newest of those that the peer does not have, because it refused them; NULL: there is none. Borrowed. */
const struct catalogue_fate *catalogue_lane_missing(const struct catalogue_lane *lane);

#endif
