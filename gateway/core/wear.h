/* wear.h - what this process has had written to the disk, which is what wears flash: in all, and in a day as of late.
 * Used by core.c, which notes it, and report.c. */
#ifndef FB_CORE_WEAR_H
#define FB_CORE_WEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEAR_MARKS 26                  /* an hour apart: a day and what it takes to begin the next */
#define WEAR_LEAST_MS (10 * 60 * 1000) /* before that the begin counts too much to tell of a day */

struct wear {
    struct wear_mark {
        int64_t time_ms; /* monotonic */
        uint64_t bytes;
    } marks[WEAR_MARKS]; /* a ring */
    size_t count;        /* so far */
};

/* Bytes since the process was started, as the kernel counts them when pages become dirty (getrusage(2), ru_oublock):
 * all of its files, but not what the file system's journal and the flash itself add to them. 0 in memory (tmpfs). Needs
 * no right, and nothing of /proc, which is closed to a program that must not be dumped. */
uint64_t wear_process_bytes(void);

/* So many had been written by now_ms (monotonic). To be called every now and then, the first time at the start. */
void wear_note(struct wear *wear, int64_t now_ms, uint64_t bytes);
/* What is written in a day at the rate of the last 24 hours, or since the first note where that is less. False: it was
 * too short a time ago. */
bool wear_per_day(const struct wear *wear, int64_t now_ms, uint64_t bytes, uint64_t *ret_bytes);

#endif
