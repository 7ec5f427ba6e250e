#include "rekey_disk.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "fault_vfs.h"

static unsigned steps_on_disk, die_at;

/* What a power cut would still take: the copy, its place, that the old log is gone. */
static bool copy_waits, place_waits, log_waits;
static bool has_space = true;

static void step_on_disk(void) {
    if (++steps_on_disk == die_at)
        raise(SIGKILL);
}

static bool ends_with(const char *path, const char *ending) {
    const size_t length = strlen(path), end = strlen(ending);
    return length >= end && strcmp(path + length - end, ending) == 0;
}

int rename(const char *from, const char *to) {
    step_on_disk();
    if (ends_with(from, ".rekey") && (copy_waits || log_waits))
        fail_msg("the copy takes its place before %s is on disk", copy_waits ? "it" : "the old log's end");
    if (ends_with(from, ".rekey") && ends_with(fault_vfs_failed_path(), ".rekey"))
        fail_msg("a copy that could not be written takes the store's place");
    if (ends_with(from, ".key.new") && place_waits)
        fail_msg("the key is confirmed before the copy's place is on disk");
    place_waits = place_waits || ends_with(from, ".rekey");
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int unlink(const char *path) {
    step_on_disk();
    log_waits = log_waits || ends_with(path, "-wal");
    return unlinkat(AT_FDCWD, path, 0);
}

int link(const char *from, const char *to) {
    step_on_disk();
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int fsync(int descriptor) {
    struct stat status;
    step_on_disk();
    if (fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode))
        place_waits = log_waits = false;
    return fdatasync(descriptor);
}

int statvfs(const char *path, struct statvfs *ret_disk) {
    (void)path;
    *ret_disk = (struct statvfs){.f_bsize = 4096, .f_frsize = 4096, .f_blocks = 1 << 20};
    ret_disk->f_bavail = has_space ? 1 << 19 : 16000; /* 66 MB */
    return 0;
}

static void on_write(const char *path, const void *bytes, size_t length, int64_t offset, void *user) {
    (void)bytes, (void)length, (void)offset, (void)user;
    copy_waits = copy_waits || ends_with(path, ".rekey");
}

static void on_truncate(const char *path, int64_t size, void *user) {
    (void)size, (void)user;
    copy_waits = copy_waits || ends_with(path, ".rekey");
}

static void on_sync(const char *path, void *user) {
    (void)user;
    copy_waits = copy_waits && !ends_with(path, ".rekey");
}

static const struct fault_observer observer = {.write = on_write, .truncate = on_truncate, .sync = on_sync};

void rekey_disk_watch(void) {
    copy_waits = place_waits = log_waits = false;
    fault_vfs_observe(&observer);
}

void rekey_disk_unwatch(void) {
    fault_vfs_observe(NULL);
}

void rekey_disk_die_at(unsigned n) {
    steps_on_disk = 0;
    die_at = n;
}

void rekey_disk_set_room(bool has_room) {
    has_space = has_room;
}
