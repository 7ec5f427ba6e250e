/* backoff.h - how long to wait before the next try: exponential with full jitter, bounded. Pure. */
#ifndef FB_COMMON_BACKOFF_H
#define FB_COMMON_BACKOFF_H

#include <stdint.h>

struct backoff {
    uint32_t first_ms; /* the ceiling of the first wait, >= 1 */
    uint32_t most_ms;  /* no wait is longer */
    uint32_t failures; /* so far; set to 0 after success */
};

/* Count a failure and return the wait in ms: a uniform choice in [first/2, ceiling], ceiling = first x 2^(failures-1),
 * at most most_ms. random: 32 uniform bits. The lower bound keeps a run of low draws from becoming a storm. */
uint32_t backoff_next_ms(struct backoff *backoff, uint32_t random);

/* 32 uniform bits from the kernel. */
uint32_t backoff_random(void);

#endif
