/* thin.h - a coarser picture of readings and batches, for when there is no place for all of them; docs/batch.md
 * "Thinned batches". Pure. Used by the store. */
#ifndef FB_STORE_THIN_H
#define FB_STORE_THIN_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/common/reading.h"
#include "store/batch.h"

#define THIN_BUCKET_MS 60000

/* Of each run of readings of one tag and kind within one minute (UTC) only the first, the last, the least and the
 * greatest stay, in their order. readings: valid ones, in units; what stays moves to the front.
 * Returns the units that are left. Thinning twice is the same as once. */
size_t thin_readings(struct reading *readings, size_t units);

struct thin_result {
    struct batch_info info; /* of the batch as it was, its losses included */
    size_t before;          /* readings */
    size_t after;
};

/* Make the thinned form of a batch: the same envelope without losses, fewer readings. ret_bytes: BATCH_BYTES_MAX bytes
 * of room. Takes some 10 ms for the largest batch. Errors as batch_decode() and batch_encode(). */
enum fb_error thin_batch(const uint8_t *bytes, size_t length, uint8_t *ret_bytes, size_t *ret_length,
                         struct thin_result *ret_result, struct fb_cause *cause) FB_MUST_USE;

#endif
