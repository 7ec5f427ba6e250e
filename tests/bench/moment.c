#include "moment.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double synced_ms; /* in all, since the start */

static double read_clock_ms(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* In place of the C library's, for SQLite as well as for us. */
static int timed_sync(long call, int fd) {
    const double begun_ms = read_clock_ms(CLOCK_MONOTONIC);
    const long result = syscall(call, fd);
    synced_ms += read_clock_ms(CLOCK_MONOTONIC) - begun_ms;
    return (int)result;
}

int fsync(int fd) {
    return timed_sync(SYS_fsync, fd);
}

int fdatasync(int fd) {
    return timed_sync(SYS_fdatasync, fd);
}

struct moment moment_now(void) {
    const double wall_ms = read_clock_ms(CLOCK_MONOTONIC);
    return (struct moment){wall_ms, read_clock_ms(CLOCK_PROCESS_CPUTIME_ID), synced_ms, wall_ms - synced_ms};
}

struct moment moment_since(struct moment begun) {
    const struct moment end = moment_now();
    return (struct moment){end.wall_ms - begun.wall_ms, end.cpu_ms - begun.cpu_ms, end.sync_ms - begun.sync_ms,
                           end.own_ms - begun.own_ms};
}

static void keep_worst(double *worst_ms, double ms) {
    *worst_ms = ms > *worst_ms ? ms : *worst_ms;
}

void moment_keep_worst(struct moment *worst, struct moment took) {
    keep_worst(&worst->wall_ms, took.wall_ms);
    keep_worst(&worst->cpu_ms, took.cpu_ms);
    keep_worst(&worst->sync_ms, took.sync_ms);
    keep_worst(&worst->own_ms, took.own_ms);
}
