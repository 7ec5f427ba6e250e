#include "drivers/health.h"

enum health_advice health_advice(const struct health *health, int64_t now_ms) {
    if (now_ms < health->rest_until_ms)
        return HEALTH_SPARE;
    if (health->probe_wait_ms == 0)
        return HEALTH_ASK;
    return now_ms >= health->probe_at_ms ? HEALTH_PROBE : HEALTH_SPARE;
}

void health_answered(struct health *health) {
    *health = (struct health){0};
}

static void degrade(struct health *health, int64_t now_ms) {
    const uint32_t doubled = health->probe_wait_ms == 0 ? HEALTH_PROBE_FIRST_MS : health->probe_wait_ms * 2;
    health->probe_wait_ms = doubled < HEALTH_PROBE_MOST_MS ? doubled : HEALTH_PROBE_MOST_MS;
    health->probe_at_ms = now_ms + health->probe_wait_ms;
}

void health_failed(struct health *health, uint64_t due_us, uint32_t rest_ms, bool shared, int64_t now_ms) {
    health->rest_until_ms = now_ms + rest_ms;
    if (health->failed_cycles == 0)
        health->failing_since_ms = now_ms;
    if (health->failed_cycles == 0 || health->failed_due_us != due_us)
        health->failed_cycles++;
    health->failed_due_us = due_us;
    const bool silent = now_ms - health->failing_since_ms >= HEALTH_SILENCE_MS;
    if (shared && health->failed_cycles >= HEALTH_CYCLES && silent)
        degrade(health, now_ms);
}
