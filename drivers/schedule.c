#include "drivers/schedule.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The plan keeps the requests of one instrument and interval side by side. */
static bool same_group(const struct plan_request *left, const struct plan_request *right) {
    return left->instrument == right->instrument && left->interval_ms == right->interval_ms;
}

static size_t count_groups(const struct plan *plan, uint32_t interval_ms) {
    size_t groups = 0;
    for (size_t i = 0; i < plan->request_count; i++)
        if (plan->requests[i].interval_ms == interval_ms &&
            (i == 0 || !same_group(&plan->requests[i - 1], &plan->requests[i])))
            groups++;
    return groups;
}

static size_t group_rank(const struct plan *plan, size_t request) {
    const uint32_t interval_ms = plan->requests[request].interval_ms;
    size_t rank = 0;
    for (size_t i = 1; i <= request; i++)
        if (!same_group(&plan->requests[i - 1], &plan->requests[i]) && plan->requests[i - 1].interval_ms == interval_ms)
            rank++;
    return rank;
}

static struct schedule_slot first_slot(const struct plan *plan, size_t request, uint64_t now_us) {
    const uint32_t interval_ms = plan->requests[request].interval_ms;
    const uint64_t spread_ms = interval_ms < SCHEDULE_SPREAD_MAX_MS ? interval_ms : SCHEDULE_SPREAD_MAX_MS;
    const uint64_t phase_us = spread_ms * 1000 * group_rank(plan, request) / count_groups(plan, interval_ms);
    return (struct schedule_slot){.due_us = now_us + phase_us, .interval_us = (uint64_t)interval_ms * 1000};
}

enum fb_error schedule_make(const struct plan *plan, uint64_t now_us, struct schedule *ret_schedule) {
    struct schedule schedule = {.count = plan->request_count};
    if (schedule.count > 0) {
        schedule.slots = calloc(plan->request_most, sizeof *schedule.slots);
        if (schedule.slots == NULL)
            return FB_MEMORY;
    }
    for (size_t i = 0; i < schedule.count; i++) {
        if (i > 0 && same_group(&plan->requests[i - 1], &plan->requests[i]))
            schedule.slots[i] = schedule.slots[i - 1];
        else
            schedule.slots[i] = first_slot(plan, i, now_us);
    }
    *ret_schedule = schedule;
    return FB_OK;
}

void schedule_done(struct schedule *schedule) {
    free(schedule->slots);
    *schedule = (struct schedule){0};
}

void schedule_split(struct schedule *schedule, size_t request) {
    struct schedule_slot *slot = &schedule->slots[request];
    memmove(slot + 1, slot, (schedule->count - request) * sizeof *slot);
    schedule->count++;
}

size_t schedule_first(const struct schedule *schedule) {
    size_t first = 0;
    for (size_t i = 1; i < schedule->count; i++)
        if (schedule->slots[i].due_us < schedule->slots[first].due_us)
            first = i;
    return first;
}

void schedule_served(struct schedule *schedule, size_t request, uint64_t now_us) {
    struct schedule_slot *slot = &schedule->slots[request];
    slot->due_us += slot->interval_us;
    if (slot->due_us > now_us)
        return;
    const uint64_t missed = (now_us - slot->due_us) / slot->interval_us + 1;
    slot->due_us += missed * slot->interval_us;
    schedule->overruns += missed;
}
