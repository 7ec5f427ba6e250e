#include "gateway/common/backoff.h"

#include <sys/random.h>

uint32_t backoff_next_ms(struct backoff *backoff, uint32_t random) {
    uint64_t ceiling = backoff->first_ms;
    for (uint32_t i = 0; i < backoff->failures && ceiling < backoff->most_ms; i++)
        ceiling *= 2;
    if (ceiling > backoff->most_ms)
        ceiling = backoff->most_ms;
    if (backoff->failures < UINT32_MAX)
        backoff->failures++;
    const uint64_t least = backoff->first_ms / 2 < ceiling ? backoff->first_ms / 2 : ceiling;
    return (uint32_t)(least + (uint64_t)random * (ceiling - least + 1) / ((uint64_t)UINT32_MAX + 1));
}

uint32_t backoff_random(void) {
    uint32_t bits = 0;
    /* After boot this never fails for so few bytes; 0 would only cost the jitter. */
    if (getrandom(&bits, sizeof bits, 0) != (ssize_t)sizeof bits)
        bits = 0;
    return bits;
}
