/* fault_vfs.h - stands between SQLite and the disk in tests and benchmarks: makes the N-th call fail, and tells an
 * observer what reached the disk. Not for more than one thread. */
#ifndef FB_TESTS_FAULT_VFS_H
#define FB_TESTS_FAULT_VFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_kind {
    FAULT_NONE,
    FAULT_READ,
    FAULT_WRITE, /* writes half of the bytes before it fails, as a disk that is full or dies */
    FAULT_SYNC,
    FAULT_TRUNCATE,
    FAULT_OPEN,
};

/* Told after each call that succeeded; path as SQLite gave it. The bytes are borrowed for the call. */
struct fault_observer {
    void (*write)(const char *path, const void *bytes, size_t length, int64_t offset, void *user);
    void (*truncate)(const char *path, int64_t size, void *user);
    void (*sync)(const char *path, void *user);
    void *user;
};

/* Make it SQLite's default for all databases opened from now on. */
void fault_vfs_install(void);

/* Let the n-th call of the kind from now on (1: the next) fail with SQLite's code; lasting: and all of them after it,
 * until fault_vfs_heal(). */
void fault_vfs_fail(enum fault_kind kind, uint64_t n, int code, bool lasting);
/* The file that the first failed call was for, as SQLite gave it; "" when none has failed yet. */
const char *fault_vfs_failed_path(void);
/* From now on nothing fails. Returns whether anything did since fault_vfs_fail(). */
bool fault_vfs_heal(void);

/* observer: borrowed until the next call; NULL for none. */
void fault_vfs_observe(const struct fault_observer *observer);

#endif
