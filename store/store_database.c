#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/common/file.h"
#include "store/store_internal.h"

/* A checkpoint writes each changed page once, however often the log has it: the longer the log, the fewer writes. Four
 * megabytes hold some minutes of tail at 1000 readings/s. The log keeps that size, so that it does not need room anew
 * when the disk is full. */
#define WAL_PAGES_MAX 1000
#define WAL_PAGES_MIN 32
/* Room that batches leave to the tail, the tables and the pages that a large transaction needs. */
#define RESERVE_PAGES_MAX 512
#define RESERVE_PAGES_MIN 28
#define BUSY_MS 2000
#define NAMES_TRIED 100
#define FAILED_BYTES_MAX 1024

/* cipher_memory_security would lock and wipe each page of the cache, above what RLIMIT_MEMLOCK allows, to hide readings
 * that core holds anyway; swap and core dumps are closed by the image. secure_delete would write freed pages that are
 * unreadable without the key. Without auto_vacuum the file keeps its largest size and its free pages are used again:
 * moving pages would double the writes to give a bounded file's room back. EXCLUSIVE keeps a second core out and needs
 * no -shm. */
static const char settings_sql[] = "PRAGMA cipher_memory_security = OFF;"
                                   "PRAGMA locking_mode = EXCLUSIVE;"
                                   "PRAGMA temp_store = MEMORY;"
                                   "PRAGMA secure_delete = OFF;"
                                   "PRAGMA cache_size = -256;"
                                   "PRAGMA journal_mode = WAL;"
                                   "PRAGMA synchronous = FULL;";

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most) {
    return value < least ? least : value > most ? most : value;
}

static enum fb_error set_quota(struct store *store, struct fb_cause *cause) {
    const uint64_t total = store->quota_bytes / STORE_PAGE_BYTES;
    const uint64_t wal = clamp(total / 16, WAL_PAGES_MIN, WAL_PAGES_MAX);
    const uint64_t most = clamp(total - wal, 1, UINT32_MAX - 1);
    const uint64_t reserve = clamp(most / 8, RESERVE_PAGES_MIN, RESERVE_PAGES_MAX);
    store->batch_pages_most = most - reserve;
    store->slots_most = (uint32_t)reserve / 2;
    char sql[192];
    snprintf(sql, sizeof sql,
             "PRAGMA max_page_count = %" PRIu64 "; PRAGMA wal_autocheckpoint = %" PRIu64
             "; PRAGMA journal_size_limit = %" PRIu64,
             most, wal, wal * (STORE_PAGE_BYTES + 24) + 32);
    return store_result(store->db, sqlite3_exec(store->db, sql, NULL, NULL, NULL), cause, "setting the quota");
}

/* The key as SQLCipher takes it raw, without derivation: x'64 digits'. */
static int set_key(sqlite3 *db, const uint8_t key[static STORE_KEY_BYTES]) {
    char text[2 * STORE_KEY_BYTES + 4] = "x'";
    for (size_t i = 0; i < STORE_KEY_BYTES; i++)
        snprintf(text + 2 + 2 * i, 3, "%02x", key[i]);
    text[sizeof text - 2] = '\'';
    const int code = sqlite3_key_v2(db, "main", text, (int)sizeof text - 1);
    explicit_bzero(text, sizeof text);
    return code;
}

static void detach(struct store *store) {
    sqlite3_close(store->db);
    store->db = NULL;
}

/* Open the file at path, which must exist. On failure nothing stays open. */
static enum fb_error attach(struct store *store, const char *path, const uint8_t key[static STORE_KEY_BYTES],
                            struct fb_cause *cause) {
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(path, &store->db, flags, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(store->db, BUSY_MS);
    if (code == SQLITE_OK) /* it would write to standard error what comes back as an error anyway */
        code = sqlite3_exec(store->db, "PRAGMA cipher_log_level = NONE", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = set_key(store->db, key);
    enum fb_error error = store_result(store->db, code, cause, "opening");
    if (error == FB_OK) {
        code = sqlite3_exec(store->db, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);
        error = store_result(store->db, code, cause, "reading");
    }
    if (error == FB_OK)
        error = store_result(store->db, sqlite3_exec(store->db, settings_sql, NULL, NULL, NULL), cause, "settings");
    if (error == FB_OK)
        error = set_quota(store, cause);
    if (error == FB_OK)
        error = store_schema_migrate(store->db, cause);
    if (error != FB_OK)
        detach(store);
    return error;
}

static enum fb_error sync_folder(const char *path, struct fb_cause *cause) {
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    FB_CLEANUP(file_close_descriptor) int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return fb_fail_errno(cause, FB_IO, errno, "its folder");
    return FB_OK;
}

static enum fb_error rename_if_there(const char *from, const char *to, struct fb_cause *cause) {
    if (rename(from, to) < 0 && errno != ENOENT)
        return fb_fail_errno(cause, FB_IO, errno, "renaming to %s", to);
    return FB_OK;
}

/* A name that nothing has yet: path.unreadable-20261231T235959Z, then ...-2 and so on. */
static enum fb_error free_name(const char *path, int64_t now_ms, char *ret_name, size_t size, struct fb_cause *cause) {
    const time_t now = (time_t)(now_ms / 1000);
    struct tm utc;
    char stamp[32] = "", again[16] = "";
    if (gmtime_r(&now, &utc) != NULL)
        strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
    for (int i = 1; i <= NAMES_TRIED; i++) {
        if (i > 1)
            snprintf(again, sizeof again, "-%d", i);
        if ((size_t)snprintf(ret_name, size, "%s.unreadable-%s%s", path, stamp, again) >= size)
            return fb_fail(cause, FB_LIMIT, "path too long");
        if (access(ret_name, F_OK) < 0 && errno == ENOENT)
            return FB_OK;
    }
    return fb_fail(cause, FB_IO, "too many files named %s: move them away", ret_name);
}

static void forget_failed(const char *path) {
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s.failed", path);
    unlink(name);
}

void store_database_mark_failed(const char *path, const char *reason) {
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s.failed", path);
    /* Where even this cannot be written, the damage shows again after the next start. */
    if (file_write(name, reason, strlen(reason), 0600, NULL) != FB_OK)
        return;
}

/* FB_CORRUPT when an earlier run found the file broken. */
static enum fb_error check_failed(const char *path, struct fb_cause *cause) {
    char name[PATH_MAX];
    size_t length;
    FB_CLEANUP(file_free) char *reason = NULL;
    snprintf(name, sizeof name, "%s.failed", path);
    if (file_read(name, FAILED_BYTES_MAX, &reason, &length, NULL) != FB_OK)
        return FB_OK;
    return fb_fail(cause, FB_CORRUPT, "damaged: %s", reason);
}

enum fb_error store_database_set_aside(const char *path, int64_t now_ms, struct store_opening *opening,
                                       struct fb_cause *cause) {
    static const char *const suffixes[] = {"-wal", "-shm", ""};
    char name[sizeof opening->set_aside];
    enum fb_error error = free_name(path, now_ms, name, sizeof name - 8, cause);
    /* The database goes last: as long as its name is there, a cut in between is seen and ended by the next start. */
    for (size_t i = 0; error == FB_OK && i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char from[PATH_MAX], to[PATH_MAX];
        snprintf(from, sizeof from, "%s%s", path, suffixes[i]);
        snprintf(to, sizeof to, "%s%s", name, suffixes[i]);
        error = rename_if_there(from, to, cause);
    }
    if (error != FB_OK)
        return error;
    snprintf(opening->set_aside, sizeof opening->set_aside, "%s", name);
    return sync_folder(path, cause);
}

static enum fb_error make_empty_file(const char *path, struct fb_cause *cause) {
    if (unlink(path) < 0 && errno != ENOENT)
        return fb_fail_errno(cause, FB_IO, errno, "%s", path);
    FB_CLEANUP(file_close_descriptor) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fb_fail_errno(cause, errno == ENOSPC ? FB_FULL : FB_IO, errno, "%s", path);
    return FB_OK;
}

/* Made under another name and renamed when complete: a cut never leaves an empty or half-made file in its place. A log
 * that lies about without its database would be taken for the new one's: it is put aside. */
static enum fb_error create(struct store *store, const struct store_settings *settings,
                            const uint8_t key[static STORE_KEY_BYTES], struct fb_cause *cause) {
    char fresh[PATH_MAX], wal[PATH_MAX];
    if ((size_t)snprintf(fresh, sizeof fresh, "%s.new", settings->path) >= sizeof fresh - 8)
        return fb_fail(cause, FB_LIMIT, "path too long");
    snprintf(wal, sizeof wal, "%s.new-wal", settings->path);
    if (unlink(wal) < 0 && errno != ENOENT)
        return fb_fail_errno(cause, FB_IO, errno, "%s", wal);
    forget_failed(settings->path);
    enum fb_error error = make_empty_file(fresh, cause);
    if (error == FB_OK)
        error = attach(store, fresh, key, cause);
    if (error != FB_OK)
        return error;
    detach(store);
    snprintf(wal, sizeof wal, "%s-wal", settings->path);
    struct store_opening stray;
    if (access(wal, F_OK) == 0)
        error = store_database_set_aside(settings->path, settings->now_ms, &stray, cause);
    if (error == FB_OK && rename(fresh, settings->path) < 0)
        error = fb_fail_errno(cause, FB_IO, errno, "renaming %s", fresh);
    if (error == FB_OK)
        error = sync_folder(settings->path, cause);
    return error == FB_OK ? attach(store, settings->path, key, cause) : error;
}

enum fb_error store_database_open(struct store *store, const struct store_settings *settings,
                                  const uint8_t key[static STORE_KEY_BYTES], struct store_opening *opening,
                                  struct fb_cause *cause) {
    struct stat status;
    if (stat(settings->path, &status) < 0) {
        if (errno != ENOENT)
            return fb_fail_errno(cause, FB_IO, errno, "cannot be looked at");
        opening->created = opening->set_aside[0] == '\0';
        return create(store, settings, key, cause);
    }
    if (!S_ISREG(status.st_mode))
        return fb_fail(cause, FB_IO, "not a regular file");
    if (status.st_size == 0)
        return fb_fail(cause, FB_CORRUPT, "empty file");
    const enum fb_error error = check_failed(settings->path, cause);
    return error == FB_OK ? attach(store, settings->path, key, cause) : error;
}
