#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "gateway/common/file.h"
#include "store/store_internal.h"

/* Room on the disk is taken before it is promised: the log has from the begin all that it grows to, and the file is
 * made longer before a transaction that needs more pages is committed. Else a log that is full might find no room in
 * the file to be written back to, and everything would stand still for good, also what gives room back. */
#define GROW_PAGES 64 /* at once, so that the file system is seldom asked */
/* What readings leave free on the disk, for the system's own files. */
#define DISK_RESERVE_BYTES (UINT64_C(64) * 1024 * 1024)
#define DISK_RESERVE_SHARE 20 /* or one part in so many, if that is less */
#define LOG_HEAD_BYTES 32
#define FRAME_BYTES (STORE_PAGE_BYTES + 24)
#define BLOCK_BYTES 512 /* of stat() */
/* On a full disk the log is written back before a transaction that might not fit behind what it has: most take less
 * than this part of it. */
#define TRANSACTION_SHARE 2

uint64_t store_room_log_bytes(uint64_t pages) {
    return LOG_HEAD_BYTES + pages * FRAME_BYTES;
}

/* What the log will still take of the disk. */
static uint64_t log_misses_bytes(const struct store *store, int log) {
    struct stat status;
    const uint64_t most = store_room_log_bytes(store->log_pages_most);
    const uint64_t has = fstat(log, &status) == 0 ? (uint64_t)status.st_blocks * BLOCK_BYTES : 0;
    return has < most ? most - has : 0;
}

/* Of a disk that does not tell everything is left: it will say so when it is written to. */
static uint64_t disk_left_bytes(const struct store *store, uint64_t *ret_reserve_bytes) {
    struct statvfs disk;
    *ret_reserve_bytes = 0;
    if (statvfs(store->room.path, &disk) < 0)
        return (uint64_t)UINT32_MAX * STORE_PAGE_BYTES;
    const uint64_t share = (uint64_t)disk.f_blocks * disk.f_frsize / DISK_RESERVE_SHARE;
    *ret_reserve_bytes = share < DISK_RESERVE_BYTES ? share : DISK_RESERVE_BYTES;
    return (uint64_t)disk.f_bavail * disk.f_frsize;
}

uint64_t store_room_disk_pages(const char *path) {
    struct statvfs disk;
    return statvfs(path, &disk) == 0 ? (uint64_t)disk.f_blocks * disk.f_frsize / STORE_PAGE_BYTES : UINT32_MAX;
}

/* SQLite makes it with its first transaction. A file system that cannot take room ahead gives it when it is written. */
static void take_log(struct store *store) {
    char name[PATH_MAX + 8];
    uint64_t reserve;
    if (store->room.log_misses_bytes == 0)
        return;
    snprintf(name, sizeof name, "%s-wal", store->room.path);
    FB_CLEANUP(file_close_descriptor) int log = open(name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (log < 0)
        return;
    const uint64_t misses = log_misses_bytes(store, log);
    const bool may_take = misses > 0 && disk_left_bytes(store, &reserve) >= misses + reserve;
    const off_t most = (off_t)store_room_log_bytes(store->log_pages_most);
    const bool is_taken = may_take && (fallocate(log, FALLOC_FL_KEEP_SIZE, 0, most) == 0 || errno == EOPNOTSUPP);
    store->room.log_misses_bytes = is_taken ? 0 : misses;
}

void store_room_write_back(struct store *store) {
    int frames = 0, written = 0;
    if (sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &written) == SQLITE_OK &&
        frames == written)
        store->room.log_pages = 0;
}

static int on_committed(void *user, sqlite3 *db, const char *name, int frames) {
    (void)db;
    (void)name;
    struct store *store = user;
    store->room.log_pages = (uint64_t)frames;
    if (store->room.log_pages >= store->log_pages_most)
        store_room_write_back(store);
    return SQLITE_OK;
}

void store_room_open(struct store *store, const char *path) {
    struct store_room *room = &store->room;
    snprintf(room->path, sizeof room->path, "%s", path);
    room->log_misses_bytes = store_room_log_bytes(store->log_pages_most);
    room->file = open(path, O_RDWR | O_CLOEXEC);
    room->is_open = room->file >= 0;
    room->log_pages = 0;
    sqlite3_wal_hook(store->db, on_committed, store);
    take_log(store);
}

/* Behind SQLite's own close: a process loses all its locks on a file when it closes any descriptor of it. */
void store_room_close(struct store *store) {
    if (store->room.is_open)
        close(store->room.file);
    store->room.is_open = false;
}

static uint64_t file_pages(const struct store *store) {
    struct stat status;
    return fstat(store->room.file, &status) == 0 ? (uint64_t)status.st_size / STORE_PAGE_BYTES : UINT32_MAX;
}

static bool make_longer(const struct store *store, uint64_t from_pages, uint64_t to_pages) {
    const int code = posix_fallocate(store->room.file, (off_t)(from_pages * STORE_PAGE_BYTES),
                                     (off_t)((to_pages - from_pages) * STORE_PAGE_BYTES));
    return code != ENOSPC && code != EDQUOT;
}

enum fb_error store_room_take_file(struct store *store, struct fb_cause *cause) {
    if (!store->room.is_open)
        return FB_OK;
    const int code = store_step(store, STORE_COUNT_PAGES, "");
    const uint64_t wanted = code == SQLITE_ROW ? (uint64_t)store_integer(store, STORE_COUNT_PAGES, 0) : 0;
    store_reset(store, STORE_COUNT_PAGES);
    const uint64_t pages = file_pages(store);
    const uint64_t ahead = (wanted / GROW_PAGES + 1) * GROW_PAGES;
    if (wanted <= pages || (ahead <= store->file_pages_most && make_longer(store, pages, ahead)) ||
        make_longer(store, pages, wanted))
        return store_result(store->db, code, cause, "counting pages");
    return fb_fail(cause, FB_FULL, "the disk has no room for the file to grow");
}

void store_room_for_transaction(struct store *store) {
    const uint64_t pages = store->log_pages_most / TRANSACTION_SHARE;
    take_log(store);
    if (store->room.log_pages + pages > store->log_pages_most && !store_room_beyond_reserve(store, pages * FRAME_BYTES))
        store_room_write_back(store);
}

uint64_t store_room_left_pages(const struct store *store, uint64_t used_pages) {
    uint64_t reserve;
    const uint64_t has = store->room.is_open ? file_pages(store) * STORE_PAGE_BYTES : 0;
    const uint64_t left = disk_left_bytes(store, &reserve) + has;
    const uint64_t promised = reserve + store->room.log_misses_bytes + used_pages * STORE_PAGE_BYTES;
    return left > promised ? (left - promised) / STORE_PAGE_BYTES : 0;
}

bool store_room_beyond_reserve(const struct store *store, uint64_t bytes) {
    uint64_t reserve;
    return disk_left_bytes(store, &reserve) >= store->room.log_misses_bytes + bytes;
}
