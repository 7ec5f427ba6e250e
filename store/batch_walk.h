/* batch_walk.h - readings found under their true times. A store finds its batches by the times as they stand there, so
 * whoever looks for true times goes through it in rounds: one for each correction record that speaks of the time asked
 * for, and a last one for the readings that no record speaks of. Pure. Used by plots and `forebay export`. */
#ifndef FB_STORE_BATCH_WALK_H
#define FB_STORE_BATCH_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/reading.h"
#include "store/batch.h"

/* As many as a store keeps. */
#define BATCH_WALK_CORRECTIONS_MAX 32

struct batch_walk {
    struct batch_correction corrections[BATCH_WALK_CORRECTIONS_MAX]; /* the caller's, before it begins */
    size_t correction_count;
    int64_t from_ms, to_ms;               /* true times, both included */
    size_t round;                         /* the record it is for; correction_count: none */
    int64_t stands_from_ms, stands_to_ms; /* where this round looks: times as they stand in the batches */
};

/* The first round for readings from from_ms to to_ms (UTC, true). There always is one. */
void batch_walk_begin(struct batch_walk *walk, int64_t from_ms, int64_t to_ms);
/* The next round. False: that was the last. */
bool batch_walk_next(struct batch_walk *walk);

/* Keep what this round is for, with its true times: each reading is kept in one round alone. Readings before from_ms or
 * behind to_ms may be among them. info: of their batch. Returns the units that are left. */
size_t batch_walk_pick(const struct batch_walk *walk, const struct batch_info *info, struct reading *readings,
                       size_t units);

/* An earlier round has come across this batch, whose times as they stand are first_ms to last_ms. */
bool batch_walk_repeats(const struct batch_walk *walk, int64_t first_ms, int64_t last_ms);

#endif
