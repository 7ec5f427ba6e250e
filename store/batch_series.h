/* batch_series.h - readings brought into the order of docs/batch.md "Columns": series of one tag and kind, and groups
 * of series that share their times. Pure. Used by the batch's files alone. */
#ifndef FB_STORE_BATCH_SERIES_H
#define FB_STORE_BATCH_SERIES_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/common/reading.h"

struct batch_series {
    uint32_t tag;
    uint32_t first; /* index of its first reading in times and marks */
    uint32_t count; /* readings */
    uint32_t first_value;
    uint32_t value_count;
    uint32_t group;
    uint8_t kind;     /* enum reading_kind */
    uint8_t encoding; /* 0 until its values are numbers, see batch_value.h */
    uint8_t shape;    /* 0 until its numbers are folded distances, see batch_shape.h */
};

/* The readings, series after series. One allocation holds it all. */
struct batch_work {
    int64_t *times;
    uint32_t *marks;  /* quality | detail << 8 */
    uint64_t *values; /* struct reading's bits of those that have a value; of texts the unit where they stand */
    size_t count;
    struct batch_series *series;
    size_t series_count;
    uint32_t *groups; /* for each group the index of its first series */
    size_t group_count;
    void *memory;
};

/* readings: at most BATCH_READINGS_MAX, in so many units, borrowed for the call. End with batch_series_done().
 * FB_MEMORY. */
enum fb_error batch_series_make(const struct reading *readings, size_t units, struct batch_work *ret_work) FB_MUST_USE;
void batch_series_done(struct batch_work *work);

#endif
