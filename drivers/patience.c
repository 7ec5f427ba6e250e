#include "drivers/patience.h"

void patience_answered(struct patience *patience, uint64_t latency_us) {
    const uint32_t latest_us = latency_us < UINT32_MAX ? (uint32_t)latency_us : UINT32_MAX;
    if (latest_us >= patience->latency_us)
        patience->latency_us = latest_us > 0 ? latest_us : 1;
    else
        patience->latency_us -= (patience->latency_us - latest_us) / PATIENCE_FILTER;
}

void patience_failed(struct patience *patience) {
    patience->latency_us = 0;
}

uint32_t patience_ms(const struct patience *patience, uint32_t ceiling_ms) {
    if (patience->latency_us == 0)
        return ceiling_ms;
    const uint64_t wanted_ms = (uint64_t)patience->latency_us * PATIENCE_FACTOR / 1000;
    const uint64_t stepped_ms = (wanted_ms / PATIENCE_STEP_MS + 1) * PATIENCE_STEP_MS;
    const uint64_t least_ms = stepped_ms > PATIENCE_LEAST_MS ? stepped_ms : PATIENCE_LEAST_MS;
    return least_ms < ceiling_ms ? (uint32_t)least_ms : ceiling_ms;
}
