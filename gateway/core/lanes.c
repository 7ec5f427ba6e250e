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

static bool is_historical(const struct lanes *lanes, uint64_t number) {
    return number < lanes->session_first || number >= STORE_SALVAGED_FIRST;
}

static bool waiting_due(const struct lanes *lanes, int64_t now_ms, bool backlog_open, uint64_t *ret_number) {
    for (size_t i = 0; i < lanes->waiting_count; i++)
        if (lanes->waiting[i].until_ms <= now_ms && (backlog_open || !is_historical(lanes, lanes->waiting[i].number))) {
            *ret_number = lanes->waiting[i].number;
            return true;
        }
    return false;
}

bool lanes_next(const struct lanes *lanes, int64_t now_ms, bool backlog_open, struct lanes_range *ret_range) {
    if (lanes->in_flight_count >= LANES_IN_FLIGHT_MAX)
        return false;
    uint64_t number;
    if (waiting_due(lanes, now_ms, backlog_open, &number)) {
        *ret_range = (struct lanes_range){number, number, is_historical(lanes, number), true};
        return true;
    }
    /* A peer that refuses everything is not asked for more than can wait. */
    if (lanes->waiting_count + lanes->in_flight_count >= LANES_WAITING_MAX)
        return false;
    if (!lanes->live_empty) {
        *ret_range = (struct lanes_range){lanes->live_next, STORE_SALVAGED_FIRST - 1, false, false};
        return true;
    }
    if (!backlog_open)
        return false;
    if (lanes->backlog_next < lanes->session_first) {
        *ret_range = (struct lanes_range){lanes->backlog_next, lanes->session_first - 1, true, false};
        return true;
    }
    if (!lanes->salvaged_empty) {
        *ret_range = (struct lanes_range){lanes->salvaged_next, UINT64_MAX, true, false};
        return true;
    }
    return false;
}

static struct lanes_waiting *find_waiting(struct lanes *lanes, uint64_t number) {
    for (size_t i = 0; i < lanes->waiting_count; i++)
        if (lanes->waiting[i].number == number)
            return &lanes->waiting[i];
    return NULL;
}

/* ret_waiting: what was known of it; may be NULL. */
static void forget_waiting(struct lanes *lanes, uint64_t number, struct lanes_waiting *ret_waiting) {
    struct lanes_waiting *waiting = find_waiting(lanes, number);
    assert(waiting != NULL);
    if (ret_waiting != NULL)
        *ret_waiting = *waiting;
    *waiting = lanes->waiting[--lanes->waiting_count];
}

static size_t find_flight(const struct lanes *lanes, uint64_t number) {
    size_t i = 0;
    while (i < lanes->in_flight_count && lanes->in_flight[i].number != number)
        i++;
    return i;
}

bool lanes_in_flight(const struct lanes *lanes, uint64_t number) {
    return find_flight(lanes, number) < lanes->in_flight_count;
}

static void count_open(struct lanes *lanes, const struct lanes_flight *flight, bool in) {
    const size_t one = in ? 1 : -(size_t)1, bytes = in ? flight->bytes : -flight->bytes;
    if (flight->answered)
        return;
    lanes->open_count += one;
    lanes->open_bytes += bytes;
    if (!flight->historical)
        return;
    lanes->backlog_count += one;
    lanes->backlog_bytes += bytes;
}

void lanes_none(struct lanes *lanes, const struct lanes_range *range) {
    if (range->waited) {
        forget_waiting(lanes, range->first, NULL);
        return;
    }
    if (range->first >= STORE_SALVAGED_FIRST)
        lanes->salvaged_empty = true;
    else if (range->historical)
        lanes->backlog_next = lanes->session_first;
    else
        lanes->live_empty = true;
}

void lanes_out(struct lanes *lanes, const struct lanes_range *range, const struct lanes_flight *flight) {
    struct lanes_waiting waited = {0};
    if (range->waited)
        forget_waiting(lanes, flight->number, &waited);
    struct lanes_flight *own = &lanes->in_flight[lanes->in_flight_count++];
    *own = *flight;
    own->historical = range->historical;
    own->accepted_then = waited.accepted_then;
    count_open(lanes, own, true);
    if (!range->waited)
        lanes_pass(lanes, range, own->number);
}

void lanes_pass(struct lanes *lanes, const struct lanes_range *range, uint64_t number) {
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

bool lanes_holds(const struct lanes *lanes, const struct lanes_range *range, uint64_t number) {
    if (range->waited)
        return false;
    if (lanes_in_flight(lanes, number))
        return true;
    for (size_t i = 0; i < lanes->waiting_count; i++)
        if (lanes->waiting[i].number == number)
            return true;
    return false;
}

void lanes_again(struct lanes *lanes) {
    lanes->live_next = lanes->session_first;
    lanes->live_empty = false;
    lanes->backlog_next = 1;
    lanes->salvaged_next = STORE_SALVAGED_FIRST;
    lanes->salvaged_empty = false;
}

bool lanes_settle(struct lanes *lanes, uint64_t number, struct lanes_flight *ret_flight) {
    const size_t place = find_flight(lanes, number);
    if (place == lanes->in_flight_count)
        return false;
    struct lanes_flight *flight = &lanes->in_flight[place];
    *ret_flight = *flight;
    count_open(lanes, flight, false);
    *flight = lanes->in_flight[--lanes->in_flight_count];
    return true;
}

const struct lanes_flight *lanes_accepted(struct lanes *lanes, uint64_t number) {
    const size_t place = find_flight(lanes, number);
    lanes->accepted++;
    if (place == lanes->in_flight_count)
        return NULL;
    count_open(lanes, &lanes->in_flight[place], false);
    lanes->in_flight[place].answered = true;
    return &lanes->in_flight[place];
}

bool lanes_counts(const struct lanes *lanes, struct lanes_flight *flight) {
    if (lanes->accepted == flight->accepted_then)
        return false;
    flight->accepted_then = lanes->accepted;
    return true;
}

void lanes_wait(struct lanes *lanes, const struct lanes_flight *flight, uint32_t attempts, int64_t now_ms,
                uint32_t random) {
    struct backoff backoff = {.first_ms = WAIT_FIRST_MS, .most_ms = WAIT_MOST_MS, .failures = attempts};
    const int64_t until_ms = now_ms + backoff_next_ms(&backoff, random);
    assert(lanes->waiting_count < LANES_WAITING_MAX); /* lanes_next() keeps room for all that is in flight */
    lanes->waiting[lanes->waiting_count++] = (struct lanes_waiting){flight->number, until_ms, flight->accepted_then};
}

int64_t lanes_wake_ms(const struct lanes *lanes, bool backlog_open) {
    int64_t wake_ms = 0;
    for (size_t i = 0; i < lanes->waiting_count; i++) {
        const struct lanes_waiting *waiting = &lanes->waiting[i];
        if ((backlog_open || !is_historical(lanes, waiting->number)) && (wake_ms == 0 || waiting->until_ms < wake_ms))
            wake_ms = waiting->until_ms;
    }
    return wake_ms;
}
