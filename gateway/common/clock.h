/* clock.h - the two clocks: UTC for time stamps, the monotonic one for everything that waits. Edge: reads the kernel.
 */
#ifndef FB_COMMON_CLOCK_H
#define FB_COMMON_CLOCK_H

#include <stdint.h>

enum clock_state {
    CLOCK_NOT_SET = 0,      /* before this program was built: cannot be right */
    CLOCK_FREE_RUNNING = 1, /* plausible, the kernel does not call it synchronised */
    CLOCK_SYNCHRONISED = 2, /* the kernel says an NTP service keeps it */
};

int64_t clock_utc_ms(void);
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);

#define CLOCK_BOOT_BYTES 36
/* What tells this start of the machine from others: the kernel's boot_id, as text; all 0 when that cannot be read. */
void clock_boot(uint8_t ret_boot[static CLOCK_BOOT_BYTES]);

/* The state of the UTC clock now. Pure part: clock_judge(). */
enum clock_state clock_state(void);

/* kernel_synchronised: adjtimex() did not say TIME_ERROR. floor_ms: the earliest time that can be true. */
enum clock_state clock_judge(int64_t utc_ms, int64_t floor_ms, int kernel_synchronised);

/* "not set", "free running", "synchronised". Static storage. */
const char *clock_state_word(enum clock_state state);

#endif
