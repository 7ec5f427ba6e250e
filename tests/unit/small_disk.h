/* small_disk.h - a real file system of a few megabytes, which somebody else's file can fill, for tests on cmocka. */
#ifndef FB_TESTS_SMALL_DISK_H
#define FB_TESTS_SMALL_DISK_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

static bool small_disk_possible;

/* A group's setup. A name space of our own: the file system ends with this program, however it ends. */
static inline int small_disk_setup(void **state) {
    (void)state;
    small_disk_possible = unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    if (!small_disk_possible)
        printf("cannot mount a file system here: %s\n", strerror(errno));
    return 0;
}

/* At this folder; skips the test where that is not possible. */
static inline void small_disk_mount(const char *folder, uint64_t bytes) {
    char options[32];
    if (!small_disk_possible)
        skip();
    snprintf(options, sizeof options, "size=%llu", (unsigned long long)bytes);
    assert_int_equal(mount("disk", folder, "tmpfs", 0, options), 0);
}

static inline void small_disk_unmount(const char *folder) {
    assert_int_equal(umount(folder), 0);
}

static inline uint64_t small_disk_free_bytes(const char *folder) {
    struct statvfs disk;
    assert_int_equal(statvfs(folder, &disk), 0);
    return (uint64_t)disk.f_bavail * disk.f_frsize;
}

/* Everything there is on the disk but so much goes to somebody else's file. */
static inline void small_disk_fill(const char *folder, uint64_t leave_bytes) {
    static const char some[4096];
    char path[300];
    snprintf(path, sizeof path, "%s/other", folder);
    const int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    while (small_disk_free_bytes(folder) > leave_bytes && write(file, some, sizeof some) > 0)
        ;
    close(file);
}

/* That file is removed. */
static inline void small_disk_empty(const char *folder) {
    char path[300];
    snprintf(path, sizeof path, "%s/other", folder);
    assert_int_equal(unlink(path), 0);
}

#endif
