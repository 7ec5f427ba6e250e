/* batch_correct.h - the true times of readings that correction records speak of, docs/batch.md. Pure. Used by whoever
 * reads batches. */
#ifndef FB_STORE_BATCH_CORRECT_H
#define FB_STORE_BATCH_CORRECT_H

#include <stddef.h>
#include <stdint.h>

#include "store/batch.h"

/* Where a reading stands. */
struct batch_place {
    const uint8_t *store_id; /* BATCH_STORE_ID_BYTES, as the batch says; so does number */
    uint64_t number;
    int64_t time_ms;
};

/* The record that speaks of a reading that stands there: the first that fits; count when none does. */
size_t batch_correction_of(const struct batch_correction *corrections, size_t count, const struct batch_place *place);

/* Its true time; that where it stands when no record speaks of it. */
int64_t batch_true_ms(const struct batch_correction *corrections, size_t count, const struct batch_place *place);

#endif
