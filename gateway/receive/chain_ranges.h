/* chain_ranges.h - a set of numbers kept as ranges; used by chain.c alone. */
#ifndef FB_RECEIVE_CHAIN_RANGES_H
#define FB_RECEIVE_CHAIN_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chain_range {
    uint64_t first, last;
};

struct chain_ranges {
    struct chain_range *all; /* ordered, never touching; malloc */
    size_t count;
};

/* False: no room, or out of memory. */
bool chain_ranges_add(struct chain_ranges *ranges, uint64_t first, uint64_t last);
bool chain_ranges_hold(const struct chain_ranges *ranges, uint64_t number);
/* The lowest number that is in ranges and neither in excuses nor at most excused_to; 0 if there is none. */
uint64_t chain_ranges_unexcused(const struct chain_ranges *ranges, const struct chain_ranges *excuses,
                                uint64_t excused_to);
uint64_t chain_ranges_size(const struct chain_ranges *ranges);
void chain_ranges_done(struct chain_ranges *ranges);

#endif
