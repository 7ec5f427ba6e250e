/* batch_shape.h - how the numbers of one series are told, docs/batch.md "Values": as distances from the number that is
 * expected, whose low bits stand as they are because noise does not compress. Pure. Used by the batch's files alone. */
#ifndef FB_STORE_BATCH_SHAPE_H
#define FB_STORE_BATCH_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BATCH_WIDTH_MAX 56 /* low bits of a distance */
#define BATCH_SMOOTHED 128 /* beside the width in a shape */

static inline bool batch_shape_valid(uint8_t shape) {
    return (shape & 127) <= BATCH_WIDTH_MAX;
}

static inline unsigned batch_shape_width(uint8_t shape) {
    return shape & 127;
}

static inline bool batch_shape_smoothed(uint8_t shape) {
    return shape & BATCH_SMOOTHED;
}

/* What is expected next: the number itself or, smoothed, a quarter of the distance towards it. */
static inline uint64_t batch_shape_expect(uint64_t expected, uint64_t distance, bool smoothed) {
    return expected + (smoothed ? (uint64_t)((int64_t)(distance + 2) >> 2) : distance);
}

/* Turn the numbers of one series in place into zigzags of distances. Returns the shape that was chosen for it. */
uint8_t batch_shape_fold(uint64_t *numbers, size_t count);

#endif
