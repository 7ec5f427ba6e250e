#include "gateway/core/lanes.h"

#include <assert.h>

#include "gateway/common/backoff.h"

#define WAIT_FIRST_MS 1000
#define WAIT_MOST_MS (5 * 60 * 1000)

void lanes_begin(struct lanes *lanes, uint64_t session_first) {
    *lanes = (struct lanes){.session_first = session_first,
                            .live_next = session_first,
                            .backlog_next = 1,
                            .salvaged_next = STORE_SALVAGED_FIRST};
}

static bool waiting_due(const struct lanes *lanes, int64_t now_ms, uint64_t *ret_number) {
    for (size_t i = 0; i < lanes->waiting_count; i++)
        if (lanes->waiting[i].until_ms <= now_ms) {
            *ret_number = lanes->waiting[i].number;
            return true;
        }
    return false;
}

bool lanes_next(struct lanes *lanes, int64_t now_ms, struct lanes_range *ret_range) {
    if (lanes->in_flight_count >= LANES_IN_FLIGHT_MAX)
        return false;
    uint64_t number;
    if (waiting_due(lanes, now_ms, &number)) {
        const bool historical = number < lanes->session_first || number >= STORE_SALVAGED_FIRST;
        *ret_range = (struct lanes_range){number, number, historical};
        return true;
    }
    /* A peer that refuses everything is not asked for more than can wait. */
    if (lanes->waiting_count + lanes->in_flight_count >= LANES_WAITING_MAX)
        return false;
    if (!lanes->live_empty) {
        *ret_range = (struct lanes_range){lanes->live_next, STORE_SALVAGED_FIRST - 1, false};
        return true;
    }
    if (lanes->backlog_next < lanes->session_first) {
        *ret_range = (struct lanes_range){lanes->backlog_next, lanes->session_first - 1, true};
        return true;
    }
    if (!lanes->salvaged_empty) {
        *ret_range = (struct lanes_range){lanes->salvaged_next, UINT64_MAX, true};
        return true;
    }
    return false;
}

static bool forget_waiting(struct lanes *lanes, uint64_t number) {
    for (size_t i = 0; i < lanes->waiting_count; i++)
        if (lanes->waiting[i].number == number) {
            lanes->waiting[i] = lanes->waiting[--lanes->waiting_count];
            return true;
        }
    return false;
}

void lanes_none(struct lanes *lanes, const struct lanes_range *range) {
    if (range->first == range->last && forget_waiting(lanes, range->first))
        return;
    if (range->first >= STORE_SALVAGED_FIRST)
        lanes->salvaged_empty = true;
    else if (range->historical)
        lanes->backlog_next = lanes->session_first;
    else
        lanes->live_empty = true;
}

void lanes_out(struct lanes *lanes, const struct lanes_range *range, uint64_t number, size_t bytes) {
    lanes->in_flight[lanes->in_flight_count++] = (struct lanes_flight){number, bytes};
    lanes->in_flight_bytes += bytes;
    if (range->first == range->last && forget_waiting(lanes, number))
        return;
    if (range->first >= STORE_SALVAGED_FIRST)
        lanes->salvaged_next = number + 1;
    else if (range->historical)
        lanes->backlog_next = number + 1;
    else
        lanes->live_next = number + 1;
}

void lanes_sealed(struct lanes *lanes) {
    lanes->live_empty = false;
}

void lanes_salvaged(struct lanes *lanes) {
    lanes->salvaged_empty = false;
}

bool lanes_settle(struct lanes *lanes, uint64_t number) {
    for (size_t i = 0; i < lanes->in_flight_count; i++)
        if (lanes->in_flight[i].number == number) {
            lanes->in_flight_bytes -= lanes->in_flight[i].bytes;
            lanes->in_flight[i] = lanes->in_flight[--lanes->in_flight_count];
            return true;
        }
    return false;
}

void lanes_wait(struct lanes *lanes, uint64_t number, uint32_t attempts, int64_t now_ms, uint32_t random) {
    struct backoff backoff = {.first_ms = WAIT_FIRST_MS, .most_ms = WAIT_MOST_MS, .failures = attempts};
    const int64_t until_ms = now_ms + backoff_next_ms(&backoff, random);
    assert(lanes->waiting_count < LANES_WAITING_MAX); /* lanes_next() keeps room for all that is in flight */
    lanes->waiting[lanes->waiting_count++] = (struct lanes_waiting){number, until_ms};
}

int64_t lanes_wake_ms(const struct lanes *lanes) {
    int64_t wake_ms = 0;
    for (size_t i = 0; i < lanes->waiting_count; i++)
        if (wake_ms == 0 || lanes->waiting[i].until_ms < wake_ms)
            wake_ms = lanes->waiting[i].until_ms;
    return wake_ms;
}
