/* stored.h - the batches in the store of the running gateway, asked for one after the other. Blocks. While forebay-core
 * starts again it is waited for. Used by `forebay export` and `forebay verify`. */
#ifndef FB_CLI_STORED_H
#define FB_CLI_STORED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "store/batch.h"
#include "store/batch_walk.h"
#include "store/catalogue.h"

/* One walk through the store. */
struct stored {
    const char *run;           /* the gateway's run folder, borrowed */
    uint64_t number;           /* of the batch that was given last */
    int64_t last_ms, first_ms; /* by time: the last and first time of that batch */
    bool begun;
    bool placed;   /* by time: those times and the number say where it stands */
    bool readable; /* bytes holds it; false when the store cannot read it any more */
    size_t length;
    uint64_t evicted_to; /* by number: see history_evicted_to() */
    uint8_t bytes[BATCH_BYTES_MAX];
};

/* The next batch in the order of the numbers. FB_NOT_FOUND: no more. FB_CLOSED: no gateway is running; ... */
enum fb_error stored_next_number(struct stored *stored, struct fb_cause *cause) FB_MUST_USE;
/* The next batch with readings from from_ms to to_ms (UTC as it stands there), ordered by its last time. Begin anew:
 * placed = false. */
enum fb_error stored_next_in_time(struct stored *stored, int64_t from_ms, int64_t to_ms,
                                  struct fb_cause *cause) FB_MUST_USE;
/* The numbers of parked batches behind one. ret_numbers: STORED_PARKED_MOST of room. ret_count: 0 when there are no
 * more. */
#define STORED_PARKED_MOST 100
enum fb_error stored_parked(const struct stored *stored, uint64_t after, uint64_t *ret_numbers, size_t *ret_count,
                            struct fb_cause *cause) FB_MUST_USE;
/* What the store knows of wrong times: fills in the records of a walk that is to begin. */
enum fb_error stored_corrections(const struct stored *stored, struct batch_walk *ret_walk,
                                 struct fb_cause *cause) FB_MUST_USE;
/* The catalogue with this hash. ret_catalogue: yours, catalogue_done(). */
enum fb_error stored_catalogue(const struct stored *stored, const uint8_t hash[static BATCH_HASH_BYTES],
                               struct catalogue *ret_catalogue, struct fb_cause *cause) FB_MUST_USE;
/* Have the gateway seal what it has read so far. */
enum fb_error stored_seal(const struct stored *stored, struct fb_cause *cause) FB_MUST_USE;

#endif
