/* moment.h - the clocks by which the benches judge how long a step holds its program up. */
#ifndef FB_BENCH_MOMENT_H
#define FB_BENCH_MOMENT_H

/* A moment, or what lies between two: by the clock; what the processor worked for this process; what fsync took; and
 * the rest, which on a busy machine includes the time that others had the processor. */
struct moment {
    double wall_ms, cpu_ms, sync_ms, own_ms;
};

struct moment moment_now(void);
struct moment moment_since(struct moment begun);
/* Of each clock the worst so far. */
void moment_keep_worst(struct moment *worst, struct moment took);

#endif
