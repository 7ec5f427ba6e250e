/* power_log.h - writes down what a program does to a database and the files beside it, and makes from it what a disk
 * may hold after a power cut: all that was synchronised; of what came after each file's last fsync an arbitrary part,
 * in whole or up to some sector; and of the names that were given and taken after the folder's last fsync as many as
 * their order allows, as the journals of file systems have it. Stronger than copying a disk's image, which hardly ever
 * catches writes out of order. For tests.
 *
 * Stands before the C library's rename(), link(), unlink(), truncate(), fsync() and fdatasync(). */
#ifndef FB_TESTS_POWER_LOG_H
#define FB_TESTS_POWER_LOG_H

#include <stddef.h>
#include <stdint.h>

/* Begin: path and path-wal as they are now count as synchronised. Watched are all files whose paths begin with path.
 * Uses fault_vfs, whose observer it becomes; path is borrowed until power_log_stop(). */
void power_log_start(const char *path);
/* End, and forget it all. */
void power_log_stop(void);

/* How many writes, truncations, fsyncs and changes of names there have been. */
size_t power_log_moments(void);

/* Make the files at path, path-wal and so on as they may be when the power goes after so many of them. random: which of
 * the possible outcomes. */
void power_log_cut(size_t moment, unsigned random, const char *path);

#endif
