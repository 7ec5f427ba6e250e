#include "gateway/core/pace.h"

#define SECOND_MS 1000

void pace_begin(struct pace *pace, int64_t now_ms) {
    const struct pace_mark begun = {.answered_ms = now_ms, .went_ms = now_ms};
    *pace = (struct pace){.now = begun,
                          .mark = begun,
                          .mark_before = begun,
                          .marked_ms = now_ms,
                          .rate_since_ms = now_ms,
                          .limit = pace->limit,
                          .credit = pace->credit,
                          .credited_ms = pace->credited_ms};
}

void pace_limit(struct pace *pace, uint64_t limit, int64_t now_ms) {
    if (pace->limit == limit)
        return;
    pace->limit = limit;
    pace->credit = (int64_t)limit;
    pace->credited_ms = now_ms;
}

size_t pace_most(const struct pace *pace) {
    const uint64_t rate = pace->rate > pace->rate_before ? pace->rate : pace->rate_before;
    const uint64_t ahead_ms = (uint64_t)pace->round_trip_ms + (uint64_t)pace->round_trip_ms / 4 + PACE_AHEAD_MS;
    const uint64_t bytes = rate * ahead_ms / SECOND_MS;
    return bytes > PACE_BYTES_LEAST ? (size_t)bytes : PACE_BYTES_LEAST;
}

/* A second's worth is saved up at most. */
static void credit(struct pace *pace, int64_t now_ms) {
    const int64_t most = (int64_t)pace->limit, passed_ms = now_ms - pace->credited_ms;
    if (passed_ms <= 0)
        return;
    const int64_t wanted_ms = (most - pace->credit) * SECOND_MS / most;
    pace->credit = passed_ms > wanted_ms ? most : pace->credit + passed_ms * most / SECOND_MS;
    pace->credited_ms = now_ms;
}

bool pace_open(struct pace *pace, size_t bytes_under_way, int64_t now_ms) {
    if (pace->limit > 0) {
        credit(pace, now_ms);
        if (pace->credit <= 0)
            return false;
    }
    return bytes_under_way == 0 || bytes_under_way + PACE_BYTES_LEAST * 4 / 5 <= pace_most(pace);
}

int64_t pace_wake_ms(const struct pace *pace) {
    if (pace->limit == 0 || pace->credit > 0)
        return 0;
    return pace->credited_ms - pace->credit * SECOND_MS / (int64_t)pace->limit + 1;
}

void pace_spend(struct pace *pace, size_t bytes) {
    if (pace->limit > 0)
        pace->credit -= (int64_t)(bytes + PACE_MESSAGE_BYTES);
}

static void note_rate(struct pace *pace, uint64_t rate, int64_t now_ms) {
    if (now_ms - pace->rate_since_ms >= PACE_RATE_MS) {
        pace->rate_before = pace->rate;
        pace->rate = 0;
        pace->rate_since_ms = now_ms;
    }
    if (rate > pace->rate)
        pace->rate = rate;
}

struct pace_flight pace_out(struct pace *pace, int64_t now_ms) {
    if (now_ms - pace->marked_ms >= PACE_SAMPLE_MS) {
        pace->mark_before = pace->mark;
        pace->mark = pace->now;
        pace->marked_ms = now_ms;
    }
    return (struct pace_flight){.since = pace->mark_before, .out_ms = now_ms};
}

static int64_t longer(int64_t a_ms, int64_t b_ms) {
    return a_ms > b_ms ? a_ms : b_ms;
}

void pace_answer(struct pace *pace, const struct pace_flight *flight, size_t bytes, int64_t now_ms) {
    const struct pace_mark *since = &flight->since;
    const int64_t took_ms = longer(now_ms - flight->out_ms, 1);
    pace->now.answered += bytes;
    pace->now.answered_ms = now_ms;
    pace->now.went_ms = longer(pace->now.went_ms, flight->out_ms);
    if (pace->round_trip_ms == 0 || took_ms < pace->round_trip_ms)
        pace->round_trip_ms = took_ms;
    const int64_t answering_ms = now_ms - since->answered_ms, sending_ms = flight->out_ms - since->went_ms;
    const int64_t passed_ms = longer(longer(answering_ms, sending_ms), PACE_BEGIN_MS);
    note_rate(pace, (pace->now.answered - since->answered) * SECOND_MS / (uint64_t)passed_ms, now_ms);
}
