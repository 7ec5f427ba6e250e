#include "gateway/common/clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>

/* 2026-01-01: nothing of Forebay existed before. */
#define CLOCK_FLOOR_MS INT64_C(1767225600000)

static int64_t read_us(clockid_t id) {
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_utc_ms(void) {
    return read_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_monotonic_ms(void) {
    return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_monotonic_us(void) {
    return read_us(CLOCK_MONOTONIC);
}

void clock_boot(uint8_t ret_boot[static CLOCK_BOOT_BYTES]) {
    memset(ret_boot, 0, CLOCK_BOOT_BYTES);
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file == NULL)
        return;
    if (fread(ret_boot, 1, CLOCK_BOOT_BYTES, file) != CLOCK_BOOT_BYTES)
        memset(ret_boot, 0, CLOCK_BOOT_BYTES);
    fclose(file);
}

enum clock_state clock_judge(int64_t utc_ms, int64_t floor_ms, int kernel_synchronised) {
    if (utc_ms < floor_ms)
        return CLOCK_NOT_SET;
    return kernel_synchronised ? CLOCK_SYNCHRONISED : CLOCK_FREE_RUNNING;
}

enum clock_state clock_state(void) {
    struct timex timex = {.modes = 0};
    const int kernel = adjtimex(&timex);
    return clock_judge(clock_utc_ms(), CLOCK_FLOOR_MS, kernel != TIME_ERROR && kernel >= 0);
}

const char *clock_state_word(enum clock_state state) {
    static const char *const words[] = {"not set", "free running", "synchronised"};
    return words[state];
}
