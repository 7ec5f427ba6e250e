/* history.h - reading back what the store holds: batches by time or by number, and one tag resampled for a plot. Used
 * by forebay-core. Reading disturbs nothing: damage found here is told, never acted upon. */
#ifndef FB_STORE_HISTORY_H
#define FB_STORE_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/common/reading.h"
#include "store/store.h"

/* Where a walk by time stands: batches are ordered by their last time, then first time, then number. */
struct history_place {
    int64_t last_ms;
    int64_t first_ms;
    uint64_t number;
};

/* Before the first batch that holds a reading from from_ms on: UTC as it stands there, see batch_walk.h. */
struct history_place history_begin(int64_t from_ms);
#define HISTORY_LOOK_MOST 1024

/* The next batch behind place that holds readings of to_ms or before; place moves on to it. Reads one batch: 1 ms.
 * FB_NOT_FOUND: no more. FB_AGAIN: none among HISTORY_LOOK_MOST batches, place has moved on: call again. FB_CORRUPT:
 * this one cannot be read (ret_batch says its number); go on behind it. FB_IO: no walk is possible. ret_batch is else
 * undefined on failure; attempts is not filled. */
enum fb_error history_next(struct store *store, struct history_place *place, int64_t to_ms,
                           struct store_batch *ret_batch, struct fb_cause *cause) FB_MUST_USE;

/* Pass up to `most` (1 and up) batches behind place that hold readings of to_ms or before; place moves on to the last
 * of them, or further. Reads no batch: 1 ms. ret_passed: how many, also when it fails. FB_OK: there may be more.
 * FB_NOT_FOUND: no more. FB_IO: no walk is possible. */
enum fb_error history_pass(struct store *store, struct history_place *place, int64_t to_ms, size_t most,
                           size_t *ret_passed, struct fb_cause *cause) FB_MUST_USE;

/* The same as history_next() in the order of the numbers: the first batch above number. */
enum fb_error history_after(struct store *store, uint64_t number, struct store_batch *ret_batch,
                            struct fb_cause *cause) FB_MUST_USE;

/* Batches up to this number may be missing because they were sent and gave way; any other that is missing is named by a
 * loss record. */
uint64_t history_evicted_to(const struct store *store);

#define HISTORY_BUCKETS_MAX 4096

struct history_bucket {
    uint64_t readings; /* with a value; the numbers below mean something when it is not 0 */
    uint64_t bad;      /* without one */
    int64_t first_ms, last_ms;
    double first, last, least, greatest, sum;
};

/* One tag from from_ms up to, but not including, to_ms, in bucket_count equal buckets. */
struct history_plot {
    uint32_t tag;
    int64_t from_ms, to_ms;         /* from_ms < to_ms */
    size_t bucket_count;            /* 1 to HISTORY_BUCKETS_MAX */
    struct history_bucket *buckets; /* the caller's, zeroed */
};

/* Count what belongs to the plot, in any order of time; texts count as readings without numbers: 0. Pure. */
void history_plot_add(struct history_plot *plot, const struct reading *readings, size_t units);
/* The readings that are in no batch yet, under their true times. */
void history_plot_add_tail(struct history_plot *plot, const struct store *store);

#endif
