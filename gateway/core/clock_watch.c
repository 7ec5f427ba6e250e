#include "gateway/core/clock_watch.h"

#include <stdlib.h>
#include <string.h>

/* A run's first readings may be as old as the last look at the run before, the first run's as old as the machine's
 * start, when the monotonic clock was 0. */
static struct clock_run begin(int64_t ahead_ms, int64_t since_ms, uint64_t first_batch) {
    const int64_t from_ms = ahead_ms + since_ms;
    return (struct clock_run){.ahead_ms = ahead_ms,
                              .from_ms = from_ms > READING_TIME_MIN_MS ? from_ms : READING_TIME_MIN_MS,
                              .first_batch = first_batch};
}

void clock_watch_resume(struct clock_watch *watch, int64_t ahead_ms, uint64_t first_batch, bool set) {
    watch->run = begin(ahead_ms, 0, first_batch);
    watch->set = set;
    watch->started = true;
}

static void remember(struct clock_watch *watch) {
    if (watch->open_count == CLOCK_WATCH_RUNS_MAX) {
        watch->open_count--;
        memmove(watch->open, watch->open + 1, watch->open_count * sizeof watch->open[0]);
    }
    watch->open[watch->open_count++] = watch->run;
}

static bool in_bounds(int64_t time_ms) {
    return time_ms >= READING_TIME_MIN_MS && time_ms <= READING_TIME_MAX_MS;
}

/* The run may have lasted until now, as far as anybody knows. False for times that no reading can have. */
static bool correct(const struct clock_run *run, const struct clock_look *look, struct batch_correction *ret_record) {
    const int64_t by_ms = look->utc_ms - look->monotonic_ms - run->ahead_ms;
    *ret_record = (struct batch_correction){.first_batch = run->first_batch,
                                            .from_ms = run->from_ms,
                                            .to_ms = look->monotonic_ms + run->ahead_ms,
                                            .right_ms = run->from_ms + by_ms};
    return in_bounds(ret_record->from_ms) && in_bounds(ret_record->to_ms) && ret_record->to_ms >= ret_record->from_ms &&
           in_bounds(ret_record->right_ms) && in_bounds(ret_record->to_ms + by_ms);
}

size_t clock_watch_look(struct clock_watch *watch, const struct clock_look *look, uint64_t next_batch,
                        struct batch_correction *ret_corrections) {
    const bool is_set = look->state != CLOCK_NOT_SET;
    const int64_t step_ms = look->utc_ms - look->monotonic_ms - watch->run.ahead_ms;
    const bool stepped = watch->started && llabs(step_ms) >= CLOCK_WATCH_STEP_MS;
    size_t count = 0;
    if (stepped) {
        watch->steps++;
        watch->last_step_ms = step_ms;
        if (!watch->set)
            remember(watch);
    }
    if (!watch->started || stepped)
        watch->run = begin(look->utc_ms - look->monotonic_ms, watch->looked_ms, next_batch);
    watch->run.ahead_ms = look->utc_ms - look->monotonic_ms; /* follows a slewed clock */
    watch->looked_ms = look->monotonic_ms;
    watch->started = true;
    watch->set = is_set;
    for (size_t i = 0; is_set && i < watch->open_count; i++)
        count += correct(&watch->open[i], look, &ret_corrections[count]);
    if (is_set)
        watch->open_count = 0;
    return count;
}
