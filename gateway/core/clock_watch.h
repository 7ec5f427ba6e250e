/* clock_watch.h - finds out that the UTC clock was stepped, and what that means for readings that were taken before.
 * Pure; used by intake.c.
 *
 * Between two steps UTC and the monotonic clock differ by a constant (NTP slews by at most 500 ppm, see adjtimex(2)):
 * that is a run. Readings of a run whose clock was not set get their true times when a later run's is. A step of a
 * clock that was set corrects nothing, as nobody knows which of both was right: the order of arrival tells. */
#ifndef FB_CORE_CLOCK_WATCH_H
#define FB_CORE_CLOCK_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/clock.h"
#include "store/batch.h"

#define CLOCK_WATCH_STEP_MS 500 /* a smaller change between two looks is no step */
/* Runs not set that one gateway remembers; before more, the oldest is given up: its readings stay uncertain. */
#define CLOCK_WATCH_RUNS_MAX 8

_Static_assert(CLOCK_WATCH_RUNS_MAX <= BATCH_CORRECTIONS_MAX, "all go out with one batch");

struct clock_look {
    int64_t utc_ms;
    int64_t monotonic_ms;
    enum clock_state state;
};

struct clock_run {
    int64_t ahead_ms; /* UTC minus monotonic */
    int64_t from_ms;  /* UTC as it was then */
    uint64_t first_batch;
};

struct clock_watch {
    bool started;
    bool set; /* the present run's clock */
    struct clock_run run;
    int64_t looked_ms;                           /* monotonic, the last time */
    struct clock_run open[CLOCK_WATCH_RUNS_MAX]; /* earlier ones, not set */
    size_t open_count;
    uint64_t steps;
    int64_t last_step_ms; /* by how much; 0: never */
};

/* Go on with a run that another process watched since the machine started: its readings may be anything since then.
 * No look must have been taken. */
void clock_watch_resume(struct clock_watch *watch, int64_t ahead_ms, uint64_t first_batch, bool set);

/* Look at the clock, about once a second. next_batch: the number that readings arriving now will be sealed under.
 * ret_corrections: CLOCK_WATCH_RUNS_MAX of room; their last_batch is 0. Returns how many there are. */
size_t clock_watch_look(struct clock_watch *watch, const struct clock_look *look, uint64_t next_batch,
                        struct batch_correction *ret_corrections);

#endif
