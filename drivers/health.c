#include "drivers/health.h"

enum health_advice health_advice(const struct health *health, int64_t now_ms) {
    return health_dead(health) || now_ms < health->rest_until_ms ? HEALTH_SPARE : HEALTH_ASK;
}

bool health_dead(const struct health *health) {
    return health->probe_wait_ms != 0;
}

void health_answered(struct health *health) {
    *health = (struct health){0};
}

static void declare_dead(struct health *health, int64_t now_ms) {
    health->probes += health_dead(health);
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
        declare_dead(health, now_ms);
}

void health_put_off(struct health *health, int64_t now_ms) {
    health->probe_at_ms = now_ms + HEALTH_PUT_OFF_MS;
}

static void save_up(struct health_budget *budget, int64_t now_us) {
    if (budget->updated_us != 0)
        budget->credit_us += (now_us - budget->updated_us) * HEALTH_BUDGET_PERCENT / 100;
    if (budget->credit_us > HEALTH_BUDGET_MOST_US)
        budget->credit_us = HEALTH_BUDGET_MOST_US;
    budget->updated_us = now_us;
}

bool health_budget_allows(struct health_budget *budget, int64_t now_us) {
    /* Small steps would be rounded away. */
    if (budget->updated_us == 0 || now_us - budget->updated_us >= 1000)
        save_up(budget, now_us);
    return budget->credit_us > 0;
}

void health_budget_spend(struct health_budget *budget, uint64_t cost_us) {
    budget->credit_us -= (int64_t)cost_us;
}

int64_t health_budget_ready_us(const struct health_budget *budget) {
    const int64_t missing_us = budget->credit_us > 0 ? 0 : 1 - budget->credit_us;
    return budget->updated_us + missing_us * 100 / HEALTH_BUDGET_PERCENT + 1000;
}
