/* device.h - counts what a disk must take: each block of 4096 bytes that changed since the last sync of its file counts
 * once at the next sync, as the kernel writes it. What the file system adds for itself is left out. */
#ifndef FB_BENCH_DEVICE_H
#define FB_BENCH_DEVICE_H

#include <stdint.h>

/* Watch all databases opened from now on, and start at 0. Uses fault_vfs. */
void device_watch(void);
uint64_t device_bytes(void);

#endif
