#include "store/batch_walk.h"

#include <string.h>

#include "store/batch_correct.h"

struct span {
    int64_t from_ms, to_ms;
};

/* What a round can find, by the times as they stand. Empty when from_ms lies behind to_ms. */
static struct span span_of(const struct batch_walk *walk, size_t round) {
    if (round == walk->correction_count)
        return (struct span){walk->from_ms, walk->to_ms};
    const struct batch_correction *record = &walk->corrections[round];
    const int64_t by_ms = record->right_ms - record->from_ms;
    const struct span asked = {walk->from_ms - by_ms, walk->to_ms - by_ms};
    return (struct span){asked.from_ms > record->from_ms ? asked.from_ms : record->from_ms,
                         asked.to_ms < record->to_ms ? asked.to_ms : record->to_ms};
}

/* From round on, the first that can find something; the last one counts as such. */
static void settle(struct batch_walk *walk, size_t round) {
    struct span span = span_of(walk, round);
    while (round < walk->correction_count && span.from_ms > span.to_ms)
        span = span_of(walk, ++round);
    walk->round = round;
    walk->stands_from_ms = span.from_ms;
    walk->stands_to_ms = span.to_ms;
}

void batch_walk_begin(struct batch_walk *walk, int64_t from_ms, int64_t to_ms) {
    walk->from_ms = from_ms > READING_TIME_MIN_MS ? from_ms : READING_TIME_MIN_MS;
    walk->to_ms = to_ms < READING_TIME_MAX_MS ? to_ms : READING_TIME_MAX_MS;
    settle(walk, 0);
}

bool batch_walk_next(struct batch_walk *walk) {
    if (walk->round == walk->correction_count)
        return false;
    settle(walk, walk->round + 1);
    return true;
}

size_t batch_walk_pick(const struct batch_walk *walk, const struct batch_info *info, struct reading *readings,
                       size_t units) {
    if (walk->correction_count == 0)
        return units;
    size_t left = 0;
    for (size_t i = 0, taken; i < units; i += taken) {
        const struct batch_place place = {info->store_id, info->number, readings[i].time_ms};
        taken = reading_units(&readings[i]);
        if (batch_correction_of(walk->corrections, walk->correction_count, &place) != walk->round)
            continue;
        memmove(&readings[left], &readings[i], taken * sizeof readings[0]);
        readings[left].time_ms = batch_true_ms(walk->corrections, walk->correction_count, &place);
        left += taken;
    }
    return left;
}

bool batch_walk_repeats(const struct batch_walk *walk, int64_t first_ms, int64_t last_ms) {
    for (size_t round = 0; round < walk->round; round++) {
        const struct span span = span_of(walk, round);
        if (span.from_ms <= span.to_ms && first_ms <= span.to_ms && last_ms >= span.from_ms)
            return true;
    }
    return false;
}
