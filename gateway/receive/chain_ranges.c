#include "gateway/receive/chain_ranges.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/receive/chain.h"

/* The first range that ends at number or behind it; count if there is none. */
static size_t find(const struct chain_ranges *ranges, uint64_t number) {
    size_t low = 0, high = ranges->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (ranges->all[middle].last < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool make_room(struct chain_ranges *ranges) {
    if (ranges->count == CHAIN_RANGES_MAX)
        return false;
    /* Room doubles whenever the count is a power of two. */
    if ((ranges->count & (ranges->count - 1)) != 0)
        return true;
    struct chain_range *grown =
        reallocarray(ranges->all, ranges->count > 0 ? 2 * ranges->count : 1, sizeof *ranges->all);
    if (grown == NULL)
        return false;
    ranges->all = grown;
    return true;
}

bool chain_ranges_add(struct chain_ranges *ranges, uint64_t first, uint64_t last) {
    struct chain_range range = {first, last};
    const size_t at = find(ranges, first > 0 ? first - 1 : 0);
    size_t behind = at;
    for (; behind < ranges->count && ranges->all[behind].first <= range.last + 1; behind++) {
        const struct chain_range *other = &ranges->all[behind];
        range.first = other->first < range.first ? other->first : range.first;
        range.last = other->last > range.last ? other->last : range.last;
    }
    if (behind == at && !make_room(ranges))
        return false;
    memmove(&ranges->all[at + 1], &ranges->all[behind], (ranges->count - behind) * sizeof range);
    ranges->count = ranges->count - (behind - at) + 1;
    ranges->all[at] = range;
    return true;
}

bool chain_ranges_hold(const struct chain_ranges *ranges, uint64_t number) {
    const size_t at = find(ranges, number);
    return at < ranges->count && ranges->all[at].first <= number;
}

uint64_t chain_ranges_unexcused(const struct chain_ranges *ranges, const struct chain_ranges *excuses,
                                uint64_t excused_to) {
    for (size_t i = 0; i < ranges->count; i++) {
        uint64_t number = ranges->all[i].first > excused_to ? ranges->all[i].first : excused_to + 1;
        for (size_t at = find(excuses, number); at < excuses->count && excuses->all[at].first <= number; at++)
            number = excuses->all[at].last + 1;
        if (number <= ranges->all[i].last)
            return number;
    }
    return 0;
}

uint64_t chain_ranges_size(const struct chain_ranges *ranges) {
    uint64_t size = 0;
    for (size_t i = 0; i < ranges->count; i++)
        size += ranges->all[i].last - ranges->all[i].first + 1;
    return size;
}

void chain_ranges_done(struct chain_ranges *ranges) {
    free(ranges->all);
    *ranges = (struct chain_ranges){0};
}
