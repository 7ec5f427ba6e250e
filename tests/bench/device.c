#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fault_vfs.h"

#define BLOCK_BYTES 4096
#define BLOCKS_MAX (1 << 18) /* files of up to a gigabyte */
#define FILES_MAX 64
#define PATH_BYTES 512

struct file {
    char path[PATH_BYTES];
    uint8_t *dirty; /* a byte for each block */
    uint64_t dirty_blocks;
};

static struct file files[FILES_MAX];
static uint64_t written_blocks;

static struct file *find(const char *path) {
    size_t i = 0;
    while (i < FILES_MAX && files[i].dirty != NULL && strcmp(files[i].path, path) != 0)
        i++;
    if (i == FILES_MAX)
        abort();
    if (files[i].dirty == NULL) {
        snprintf(files[i].path, sizeof files[i].path, "%s", path);
        files[i].dirty = calloc(BLOCKS_MAX, 1);
    }
    if (files[i].dirty == NULL)
        abort();
    return &files[i];
}

static void on_write(const char *path, const void *bytes, size_t length, int64_t offset, void *user) {
    (void)bytes;
    (void)user;
    struct file *file = find(path);
    const int64_t last = (offset + (int64_t)length - 1) / BLOCK_BYTES;
    if (last >= BLOCKS_MAX)
        abort();
    for (int64_t block = offset / BLOCK_BYTES; block <= last; block++) {
        file->dirty_blocks += !file->dirty[block];
        file->dirty[block] = 1;
    }
}

static void on_truncate(const char *path, int64_t size, void *user) {
    (void)path;
    (void)size;
    (void)user;
}

static void on_sync(const char *path, void *user) {
    (void)user;
    struct file *file = find(path);
    written_blocks += file->dirty_blocks;
    file->dirty_blocks = 0;
    memset(file->dirty, 0, BLOCKS_MAX);
}

void device_watch(void) {
    static const struct fault_observer observer = {.write = on_write, .truncate = on_truncate, .sync = on_sync};
    fault_vfs_install();
    fault_vfs_observe(&observer);
    written_blocks = 0;
}

uint64_t device_bytes(void) {
    return written_blocks * BLOCK_BYTES;
}
