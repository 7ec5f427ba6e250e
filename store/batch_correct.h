/* batch_correct.h - the true times of readings that correction records speak of, docs/batch.md. Pure. Used by whoever
 * reads batches. */
#ifndef FB_STORE_BATCH_CORRECT_H
#define FB_STORE_BATCH_CORRECT_H

#include <stddef.h>
#include <stdint.h>

#include "store/batch.h"

/* The record that speaks of a reading that stands in batch number with this time: the first that fits; count when none
 * does. */
size_t batch_correction_of(const struct batch_correction *corrections, size_t count, uint64_t number, int64_t time_ms);

/* The true time of a reading that stands in batch number with this time; that time itself when no record speaks of it.
 * corrections: of the batch's own store, count of them; the first that fits counts. */
int64_t batch_true_ms(const struct batch_correction *corrections, size_t count, uint64_t number, int64_t time_ms);

#endif
