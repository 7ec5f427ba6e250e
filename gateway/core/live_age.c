#include "gateway/core/live_age.h"

#include <stdlib.h>
#include <string.h>

void live_age_note(struct live_age *age, int64_t age_ms) {
    const int64_t least = age_ms > 0 ? age_ms : 0; /* the clock may have been set back */
    age->ages_ms[age->count++ % LIVE_AGE_BATCHES] = least < UINT32_MAX ? (uint32_t)least : UINT32_MAX;
}

static int compare(const void *left_pointer, const void *right_pointer) {
    const uint32_t left = *(const uint32_t *)left_pointer, right = *(const uint32_t *)right_pointer;
    return (left > right) - (left < right);
}

uint32_t live_age_share(const struct live_age *age, double part) {
    uint32_t sorted[LIVE_AGE_BATCHES];
    const size_t count = age->count < LIVE_AGE_BATCHES ? (size_t)age->count : LIVE_AGE_BATCHES;
    if (count == 0)
        return 0;
    memcpy(sorted, age->ages_ms, count * sizeof sorted[0]);
    qsort(sorted, count, sizeof sorted[0], compare);
    const size_t place = (size_t)((double)count * part);
    return sorted[place < count ? place : count - 1];
}
