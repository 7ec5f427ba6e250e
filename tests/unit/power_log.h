/* power_log.h - writes down what a program does to two files, and makes from it what a disk may hold after a power cut:
 * all that was synchronised, and of what came after each file's last fsync an arbitrary part, in whole or up to some
 * sector. Stronger than copying a disk's image, which hardly ever catches writes out of order. For tests. */
#ifndef FB_TESTS_POWER_LOG_H
#define FB_TESTS_POWER_LOG_H

#include <stddef.h>
#include <stdint.h>

/* Begin: path and path-wal as they are now count as synchronised. Uses fault_vfs, whose observer it becomes; path is
 * borrowed until power_log_stop(). */
void power_log_start(const char *path);
/* End, and forget it all. */
void power_log_stop(void);

/* How many writes, truncations and fsyncs there have been. */
size_t power_log_moments(void);

/* Make the files at path and path-wal as they may be when the power goes after so many of them. random: which of the
 * possible outcomes. */
void power_log_cut(size_t moment, unsigned random, const char *path);

#endif
