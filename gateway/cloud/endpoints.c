#include "gateway/cloud/endpoints.h"

#include "gateway/common/link_settings.h"

struct endpoints endpoints_new(uint8_t count, uint32_t retry_first_ms, uint32_t retry_most_ms) {
    return (struct endpoints){.count = count, .backoff = {.first_ms = retry_first_ms, .most_ms = retry_most_ms}};
}

uint32_t endpoints_failed(struct endpoints *endpoints, uint32_t random) {
    /* The one that worked until now is not to blame yet. */
    const bool worked = endpoints->worked;
    if (endpoints->returning && endpoints->vain_returns < ENDPOINTS_VAIN_RETURNS_MOST)
        endpoints->vain_returns++;
    endpoints->returning = false;
    endpoints->worked = false;
    if (worked)
        return backoff_next_ms(&endpoints->backoff, random);
    if (++endpoints->failed < endpoints->count) {
        endpoints->now = (uint8_t)((endpoints->now + 1) % endpoints->count);
        struct backoff first = {.first_ms = endpoints->backoff.first_ms, .most_ms = endpoints->backoff.most_ms};
        return backoff_next_ms(&first, random);
    }
    endpoints->failed = 0;
    endpoints->now = 0;
    return backoff_next_ms(&endpoints->backoff, random);
}

void endpoints_worked(struct endpoints *endpoints) {
    endpoints->worked = true;
    endpoints->failed = 0;
    endpoints->returning = false;
    if (endpoints->now == 0)
        endpoints->vain_returns = 0;
    endpoints->backoff.failures = 0;
}

void endpoints_return(struct endpoints *endpoints) {
    endpoints->now = 0;
    endpoints->worked = false;
    endpoints->failed = 0;
    endpoints->returning = true;
}

uint32_t endpoints_stay_ms(const struct endpoints *endpoints, uint32_t return_after_ms) {
    const uint64_t stay_ms = (uint64_t)return_after_ms << endpoints->vain_returns;
    return stay_ms < LINK_RETURN_MAX_MS ? (uint32_t)stay_ms : LINK_RETURN_MAX_MS;
}

uint32_t endpoints_return_ms(uint32_t stay_ms, uint32_t random) {
    const uint64_t span = stay_ms / 2;
    return (uint32_t)(stay_ms - span / 2 + (uint64_t)random * (span + 1) / ((uint64_t)UINT32_MAX + 1));
}
