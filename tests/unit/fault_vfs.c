#include "fault_vfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#define PATH_BYTES 512

struct fault_file {
    sqlite3_file base;
    char path[PATH_BYTES];
    /* The real file's memory follows. */
};

static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    const struct fault_observer *observer;
    enum fault_kind kind;
    uint64_t left; /* calls until one fails */
    int code;
    bool lasting;
    bool failed;
    char failed_path[PATH_BYTES];
} world;

static sqlite3_file *real_of(sqlite3_file *file) {
    return (sqlite3_file *)((struct fault_file *)file + 1);
}

static const char *path_of(const sqlite3_file *file) {
    return ((const struct fault_file *)file)->path;
}

/* SQLITE_OK, or the code that this call is to fail with. */
static int trip(enum fault_kind kind, const char *path) {
    if (world.kind != kind || (world.failed && !world.lasting))
        return SQLITE_OK;
    if (!world.failed && --world.left > 0)
        return SQLITE_OK;
    if (!world.failed)
        snprintf(world.failed_path, sizeof world.failed_path, "%s", path);
    world.failed = true;
    return world.code;
}

static int on_close(sqlite3_file *file) {
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int on_read(sqlite3_file *file, void *bytes, int length, sqlite3_int64 offset) {
    const int code = trip(FAULT_READ, path_of(file));
    return code != SQLITE_OK ? code : real_of(file)->pMethods->xRead(real_of(file), bytes, length, offset);
}

static int on_write(sqlite3_file *file, const void *bytes, int length, sqlite3_int64 offset) {
    const int fault = trip(FAULT_WRITE, path_of(file));
    const int written = fault == SQLITE_OK ? length : length / 2;
    const int code = real_of(file)->pMethods->xWrite(real_of(file), bytes, written, offset);
    if (code == SQLITE_OK && world.observer != NULL)
        world.observer->write(path_of(file), bytes, (size_t)written, offset, world.observer->user);
    return fault != SQLITE_OK ? fault : code;
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 size) {
    int code = trip(FAULT_TRUNCATE, path_of(file));
    if (code == SQLITE_OK)
        code = real_of(file)->pMethods->xTruncate(real_of(file), size);
    if (code == SQLITE_OK && world.observer != NULL)
        world.observer->truncate(path_of(file), size, world.observer->user);
    return code;
}

static int on_sync(sqlite3_file *file, int flags) {
    int code = trip(FAULT_SYNC, path_of(file));
    if (code == SQLITE_OK)
        code = real_of(file)->pMethods->xSync(real_of(file), flags);
    if (code == SQLITE_OK && world.observer != NULL)
        world.observer->sync(path_of(file), world.observer->user);
    return code;
}

static int on_file_size(sqlite3_file *file, sqlite3_int64 *ret_size) {
    return real_of(file)->pMethods->xFileSize(real_of(file), ret_size);
}

static int on_lock(sqlite3_file *file, int level) {
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int on_unlock(sqlite3_file *file, int level) {
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int on_check_lock(sqlite3_file *file, int *ret_reserved) {
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret_reserved);
}

static int on_control(sqlite3_file *file, int operation, void *argument) {
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int on_sector_size(sqlite3_file *file) {
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int on_characteristics(sqlite3_file *file) {
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int on_map(sqlite3_file *file, int region, int size, int extend, void volatile **ret_memory) {
    return real_of(file)->pMethods->xShmMap(real_of(file), region, size, extend, ret_memory);
}

static int on_map_lock(sqlite3_file *file, int offset, int count, int flags) {
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void on_map_barrier(sqlite3_file *file) {
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int on_unmap(sqlite3_file *file, int remove) {
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

/* Version 2: without the reads of version 3, which go round on_read(). */
static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xShmMap = on_map,
    .xShmLock = on_map_lock,
    .xShmBarrier = on_map_barrier,
    .xShmUnmap = on_unmap,
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xFileSize = on_file_size,
    .xLock = on_lock,
    .xUnlock = on_unlock,
    .xCheckReservedLock = on_check_lock,
    .xFileControl = on_control,
    .xSectorSize = on_sector_size,
    .xDeviceCharacteristics = on_characteristics,
};

static int on_open(sqlite3_vfs *vfs, sqlite3_filename path, sqlite3_file *file, int flags, int *ret_flags) {
    (void)vfs;
    file->pMethods = NULL;
    int code = trip(FAULT_OPEN, path != NULL ? path : "");
    if (code != SQLITE_OK)
        return code;
    struct fault_file *self = (struct fault_file *)file;
    strncpy(self->path, path != NULL ? path : "", sizeof self->path - 1);
    self->path[sizeof self->path - 1] = '\0';
    code = world.real->xOpen(world.real, path, real_of(file), flags, ret_flags);
    if (real_of(file)->pMethods != NULL)
        file->pMethods = &methods;
    return code;
}

void fault_vfs_install(void) {
    if (world.real != NULL)
        return;
    world.real = sqlite3_vfs_find(NULL);
    world.vfs = *world.real;
    world.vfs.zName = "fault";
    world.vfs.pNext = NULL;
    world.vfs.szOsFile = (int)sizeof(struct fault_file) + world.real->szOsFile;
    world.vfs.xOpen = on_open;
    sqlite3_vfs_register(&world.vfs, 1);
}

void fault_vfs_fail(enum fault_kind kind, uint64_t n, int code, bool lasting) {
    world.kind = kind;
    world.left = n;
    world.code = code;
    world.lasting = lasting;
    world.failed = false;
    world.failed_path[0] = '\0';
}

const char *fault_vfs_failed_path(void) {
    return world.failed_path;
}

bool fault_vfs_heal(void) {
    const bool failed = world.failed;
    world.kind = FAULT_NONE;
    world.failed = false;
    return failed;
}

void fault_vfs_observe(const struct fault_observer *observer) {
    world.observer = observer;
}
