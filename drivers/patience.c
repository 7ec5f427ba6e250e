#include "drivers/patience.h"

void patience_answered(struct patience *patience, uint64_t latency_us) {
    const uint32_t latest_us = latency_us < UINT32_MAX ? (uint32_t)latency_us : UINT32_MAX;
    if (latest_us >= patience->latency_us)
        patience->latency_us = latest_us > 0 ? latest_us : 1;
    else
        patience->latency_us -= (patience->latency_us - latest_us) / PATIENCE_FILTER;
    patience->wont_us = patience->latency_us;
}

void patience_failed(struct patience *patience) {
    patience->latency_us = 0;
}

static uint32_t wait_for(uint32_t latency_us, uint32_t ceiling_ms) {
    const uint64_t wanted_ms = (uint64_t)latency_us * PATIENCE_FACTOR / 1000;
    const uint64_t stepped_ms = (wanted_ms / PATIENCE_STEP_MS + 1) * PATIENCE_STEP_MS;
    const uint64_t least_ms = stepped_ms > PATIENCE_LEAST_MS ? stepped_ms : PATIENCE_LEAST_MS;
    return least_ms < ceiling_ms ? (uint32_t)least_ms : ceiling_ms;
}

uint32_t patience_ms(const struct patience *patience, uint32_t ceiling_ms) {
    if (patience->latency_us == 0)
        return ceiling_ms;
    const uint32_t wanted_ms = wait_for(patience->latency_us, ceiling_ms);
    return wanted_ms > ceiling_ms / PATIENCE_LEAST_PART ? wanted_ms : ceiling_ms / PATIENCE_LEAST_PART;
}

uint32_t patience_probe_ms(const struct patience *patience, uint32_t probes, uint32_t gap_ms, uint32_t ceiling_ms) {
    const uint32_t turn = patience->wont_us != 0 ? PATIENCE_FULL_TURN_KNOWN : PATIENCE_FULL_TURN_UNKNOWN;
    if (probes % turn == turn - 1 || gap_ms >= ceiling_ms)
        return ceiling_ms;
    const uint32_t wont_ms = wait_for(patience->wont_us, ceiling_ms);
    return wont_ms > gap_ms ? wont_ms : gap_ms;
}
