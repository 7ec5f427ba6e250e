#include "store/batch_shape.h"

#include <string.h>

#include "store/batch_bytes.h"

/* Bits of a typical distance that are left to the compression: enough to tell how noise is distributed. */
#define HIGH_BITS 4
#define COUNT_LEAST 8 /* of fewer numbers too little is known for what a shape costs */
#define LOGARITHM_ONE_BITS 23
#define LOOKED_AT 64
#define SEEN_BITS 8

/* Sums of logarithms, over all numbers but the first. */
struct costs {
    uint64_t plain;    /* of distances from the number before */
    uint64_t smoothed; /* of distances from the smoothed expectation */
    uint64_t changes;  /* from one plain distance to the next: small where a counter runs evenly */
};

/* To the base of 2, in units of 2^-23: what the bits of a float nearly are. */
static uint64_t logarithm(uint64_t distance) {
    const float from_one = (float)batch_zigzag(distance) + 1;
    uint32_t bits;
    memcpy(&bits, &from_one, sizeof bits);
    return bits - (UINT32_C(127) << LOGARITHM_ONE_BITS);
}

static struct costs costs_of(const uint64_t *numbers, size_t count) {
    struct costs costs = {0};
    uint64_t expected = numbers[0], before = numbers[1] - numbers[0];
    for (size_t i = 1; i < count; i++) {
        const uint64_t step = numbers[i] - numbers[i - 1], distance = numbers[i] - expected;
        expected = batch_shape_expect(expected, distance, true);
        costs.plain += logarithm(step);
        costs.smoothed += logarithm(distance);
        costs.changes += logarithm(step - before);
        before = step;
    }
    return costs;
}

/* Whether many steps come more than once, as those of a coarse measurement do, however far they go. */
static bool repeats(const uint64_t *numbers, size_t count) {
    uint64_t seen[1 << SEEN_BITS] = {0};
    const size_t end = count < LOOKED_AT ? count : LOOKED_AT;
    size_t again = 0;
    for (size_t i = 1; i < end; i++) {
        const uint64_t step = numbers[i] - numbers[i - 1];
        uint64_t *slot = &seen[step * UINT64_C(0x9e3779b97f4a7c15) >> (64 - SEEN_BITS)];
        again += *slot == step;
        *slot = step;
    }
    return again > end / 4;
}

static uint8_t choose(const uint64_t *numbers, size_t count) {
    if (count < COUNT_LEAST)
        return 0;
    const struct costs costs = costs_of(numbers, count);
    const bool smoothed = costs.smoothed < costs.plain;
    const uint64_t steady = costs.changes < costs.plain ? costs.changes : costs.plain;
    const uint64_t bits = (smoothed ? costs.smoothed : steady) / (count - 1) >> LOGARITHM_ONE_BITS;
    uint64_t width = bits > HIGH_BITS ? bits - HIGH_BITS : 0;
    width = width < BATCH_WIDTH_MAX ? width : BATCH_WIDTH_MAX;
    if (width > 0 && repeats(numbers, count))
        return 0;
    return (uint8_t)(width | (smoothed ? BATCH_SMOOTHED : 0));
}

uint8_t batch_shape_fold(uint64_t *numbers, size_t count) {
    const uint8_t shape = choose(numbers, count);
    uint64_t expected = 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t distance = numbers[i] - expected;
        expected = batch_shape_expect(expected, distance, i > 0 && batch_shape_smoothed(shape));
        numbers[i] = batch_zigzag(distance);
    }
    return shape;
}
