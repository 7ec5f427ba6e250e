#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/common/file.h"
#include "store/store_internal.h"

/* A checkpoint writes each changed page once, however often the log has it: the longer the log, the fewer writes. Four
 * megabytes hold some minutes of tail at 1000 readings/s. The log keeps that size, so that it does not need room anew
 * when the disk is full. */
#define WAL_PAGES_MAX 1000
#define WAL_PAGES_MIN 32
#define WAL_PAGES_SMALL 256 /* up to here an eighth of a small store instead of a sixteenth */
/* Room that batches leave to the tail (half of it), to batches while thinning goes on (a quarter), to the tables and
 * the pages that a large transaction needs. */
#define RESERVE_PAGES_MAX 512
#define RESERVE_PAGES_MIN 28
/* Room that batches leave to records: one part in so many, and no more than their quotas are. */
#define RECORDS_SHARE 16
#define BUSY_MS 2000

/* cipher_memory_security would lock and wipe each page of the cache, above what RLIMIT_MEMLOCK allows, to hide readings
 * that core holds anyway; swap and core dumps are closed by the image. secure_delete would write freed pages that are
 * unreadable without the key. Without auto_vacuum the file keeps its largest size and its free pages are used again:
 * moving pages would double the writes to give a bounded file's room back. The
 * locking mode, EXCLUSIVE, keeps a second core out and needs no -shm. */
static const char settings_sql[] = "PRAGMA cipher_memory_security = OFF;"
                                   "PRAGMA temp_store = MEMORY;"
                                   "PRAGMA secure_delete = OFF;"
                                   "PRAGMA cache_size = -256;"
                                   "PRAGMA journal_mode = WAL;"
                                   "PRAGMA synchronous = FULL;";

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most) {
    return value < least ? least : value > most ? most : value;
}

/* A disk that is smaller than the quota is the quota. */
static enum fb_error set_quota(struct store *store, const char *path, struct fb_cause *cause) {
    const uint64_t quota = store->quota_bytes / STORE_PAGE_BYTES, disk = store_room_disk_pages(path);
    const uint64_t total = clamp(disk, STORE_QUOTA_MIN / STORE_PAGE_BYTES, quota);
    const uint64_t small = clamp(total / 8, WAL_PAGES_MIN, WAL_PAGES_SMALL);
    const uint64_t wal = clamp(total / 16, small, WAL_PAGES_MAX);
    const uint64_t most = clamp(total - wal, 1, UINT32_MAX - 1);
    const uint64_t reserve = clamp(most / 8, RESERVE_PAGES_MIN, RESERVE_PAGES_MAX);
    const uint64_t records = store_records_share_pages(most / RECORDS_SHARE);
    store->batch_pages_most = most - reserve - records;
    store->reserve_pages = reserve + records;
    store->spare_pages = reserve / 4;
    store_records_set_quotas(store, records);
    store->file_pages_most = most;
    store->log_pages_most = wal;
    /* Sealing writes about as much as the tail has, in one transaction, which the log must take. */
    store->slots_most = (uint32_t)clamp(reserve / 2, 1, wal / 4);
    char sql[192];
    snprintf(sql, sizeof sql, "PRAGMA max_page_count = %" PRIu64 "; PRAGMA journal_size_limit = %" PRIu64, most,
             store_room_log_bytes(wal));
    return store_result(store->db, sqlite3_exec(store->db, sql, NULL, NULL, NULL), cause, "setting the quota");
}

/* The key as SQLCipher takes it raw, without derivation: x'64 digits'. Pages carry an HMAC-SHA256 instead of
 * SQLCipher's SHA512: the processors of gateways have instructions for the one alone. It is chosen before the key, with
 * which SQLite sets aside what the HMAC takes of each page: later that never becomes less. */
int store_database_set_key(sqlite3 *db, const uint8_t key[static STORE_KEY_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    char text[2 * STORE_KEY_BYTES + 4] = "x'";
    for (size_t i = 0; i < STORE_KEY_BYTES; i++) { /* not by printf, which would leave the digits in its buffer */
        text[2 + 2 * i] = digits[key[i] >> 4];
        text[3 + 2 * i] = digits[key[i] & 15];
    }
    text[sizeof text - 2] = '\'';
    int code = sqlite3_exec(db, "PRAGMA cipher_default_hmac_algorithm = HMAC_SHA256", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_key_v2(db, "main", text, (int)sizeof text - 1);
    explicit_bzero(text, sizeof text);
    return code;
}

void store_database_detach(struct store *store) {
    for (size_t i = 0; i < STORE_STATEMENTS; i++) {
        sqlite3_finalize(store->statements[i]);
        store->statements[i] = NULL;
    }
    sqlite3_close(store->db);
    store->db = NULL;
    store_room_close(store);
}

/* On failure *ret_db may be there all the same, to be closed. */
static enum fb_error unlock(const char *path, int flags, const uint8_t key[static STORE_KEY_BYTES], sqlite3 **ret_db,
                            struct fb_cause *cause) {
    int code = sqlite3_open_v2(path, ret_db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(*ret_db, BUSY_MS);
    if (code == SQLITE_OK)
        code = store_database_set_key(*ret_db, key);
    if (code == SQLITE_OK) /* it would write to standard error what comes back as an error anyway */
        code = sqlite3_exec(*ret_db, "PRAGMA cipher_log_level = NONE", NULL, NULL, NULL);
    /* Before the first read, which would else make a -shm: a full disk has no room for one. */
    if (code == SQLITE_OK && (flags & SQLITE_OPEN_READWRITE) != 0)
        code = sqlite3_exec(*ret_db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL);
    else if (code == SQLITE_OK) /* a file that was cut off is not read at all otherwise; nothing can be written here */
        code = sqlite3_db_config(*ret_db, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1, NULL);
    const enum fb_error error = store_result(*ret_db, code, cause, "opening");
    if (error != FB_OK)
        return error;
    code = sqlite3_exec(*ret_db, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);
    return store_result(*ret_db, code, cause, "reading");
}

enum fb_error store_database_attach(struct store *store, const char *path, const uint8_t key[static STORE_KEY_BYTES],
                                    struct fb_cause *cause) {
    enum fb_error error = unlock(path, SQLITE_OPEN_READWRITE, key, &store->db, cause);
    if (error == FB_OK)
        error = store_result(store->db, sqlite3_exec(store->db, settings_sql, NULL, NULL, NULL), cause, "settings");
    if (error == FB_OK)
        error = set_quota(store, path, cause);
    if (error == FB_OK)
        store_room_open(store, path);
    if (error == FB_OK)
        error = store_schema_migrate(store->db, cause);
    if (error != FB_OK)
        store_database_detach(store);
    return error;
}

enum fb_error store_database_look(const char *path, const uint8_t key[static STORE_KEY_BYTES], sqlite3 **ret_db,
                                  struct fb_cause *cause) {
    sqlite3 *db = NULL;
    enum fb_error error = unlock(path, SQLITE_OPEN_READONLY, key, &db, cause);
    if (error == FB_OK)
        error =
            store_result(db, sqlite3_exec(db, "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -256", NULL, NULL, NULL),
                         cause, "settings");
    if (error == FB_OK)
        *ret_db = db;
    else
        sqlite3_close(db);
    return error;
}

enum fb_error store_database_sync_folder(const char *path, struct fb_cause *cause) {
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    FB_CLEANUP(file_close_descriptor) int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return fb_fail_errno(cause, FB_IO, errno, "its folder");
    return FB_OK;
}

enum fb_error store_database_make_empty(const char *path, struct fb_cause *cause) {
    if (unlink(path) < 0 && errno != ENOENT)
        return fb_fail_errno(cause, FB_IO, errno, "%s", path);
    FB_CLEANUP(file_close_descriptor) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fb_fail_errno(cause, errno == ENOSPC ? FB_FULL : FB_IO, errno, "%s", path);
    return FB_OK;
}

/* path + suffix, with room for SQLite's own endings. */
static enum fb_error other_name(const char *path, const char *suffix, char ret_name[static PATH_MAX],
                                struct fb_cause *cause) {
    if ((size_t)snprintf(ret_name, PATH_MAX, "%s%s", path, suffix) >= PATH_MAX - 8)
        return fb_fail(cause, FB_LIMIT, "path too long");
    return FB_OK;
}

void store_database_forget_old(const char *path) {
    char name[PATH_MAX];
    if (other_name(path, STORE_OLD_SUFFIX, name, NULL) == FB_OK)
        unlink(name);
}

/* Under another name: a cut never leaves an empty or half-made file in its place. */
enum fb_error store_database_make(struct store *store, const char *path, const uint8_t key[static STORE_KEY_BYTES],
                                  struct fb_cause *cause) {
    char fresh[PATH_MAX], wal[PATH_MAX];
    enum fb_error error = other_name(path, ".new", fresh, cause);
    if (error == FB_OK)
        error = other_name(path, ".new-wal", wal, cause);
    if (error == FB_OK && unlink(wal) < 0 && errno != ENOENT)
        error = fb_fail_errno(cause, FB_IO, errno, "%s", wal);
    if (error == FB_OK)
        error = store_database_make_empty(fresh, cause);
    return error == FB_OK ? store_database_attach(store, fresh, key, cause) : error;
}

/* A log that lies about without its database would be taken for the new one's: it is put aside, unless that was cut off
 * when the log stood beside its database there already, under its second name. */
static enum fb_error clear_stray_log(const struct store_settings *settings, struct fb_cause *cause) {
    char wal[PATH_MAX], name[PATH_MAX];
    struct stat status;
    enum fb_error error = other_name(settings->path, "-wal", wal, cause);
    if (error != FB_OK || stat(wal, &status) < 0)
        return error;
    if (status.st_nlink > 1)
        return unlink(wal) == 0 ? FB_OK : fb_fail_errno(cause, FB_IO, errno, "%s", wal);
    error = store_aside_name(settings->path, settings->now_ms, name, sizeof name - 8, cause);
    return error == FB_OK ? store_aside_rename(settings->path, name, cause) : error;
}

enum fb_error store_database_install(struct store *store, const struct store_settings *settings,
                                     struct fb_cause *cause) {
    char fresh[PATH_MAX] = "", ready[PATH_MAX] = "";
    /* Closing would write the log back, too, but would not say when it could not: the file would go without it. */
    const int code = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    enum fb_error error = store_result(store->db, code, cause, "writing the log back");
    store_database_detach(store);
    if (error == FB_OK)
        error = other_name(settings->path, ".new", fresh, cause);
    if (error == FB_OK)
        error = other_name(settings->path, ".ready", ready, cause);
    if (error == FB_OK && rename(fresh, ready) < 0)
        error = fb_fail_errno(cause, FB_IO, errno, "renaming %s", fresh);
    return error == FB_OK ? store_database_sync_folder(settings->path, cause) : error;
}

/* What was complete when a cut came takes its place now. FB_NOT_FOUND: there is nothing like that. */
enum fb_error store_database_take_ready(const struct store_settings *settings, struct fb_cause *cause) {
    char ready[PATH_MAX];
    enum fb_error error = other_name(settings->path, ".ready", ready, cause);
    if (error == FB_OK && access(ready, F_OK) < 0)
        return FB_NOT_FOUND;
    if (error == FB_OK)
        error = clear_stray_log(settings, cause);
    if (error == FB_OK) /* the marks are the old one's */
        store_aside_forget_mark(settings->path);
    if (error == FB_OK && rename(ready, settings->path) < 0)
        error = fb_fail_errno(cause, FB_IO, errno, "renaming %s", ready);
    return error == FB_OK ? store_database_sync_folder(settings->path, cause) : error;
}

static enum fb_error create(struct store *store, const struct store_settings *settings,
                            const uint8_t key[static STORE_KEY_BYTES], struct fb_cause *cause) {
    enum fb_error error = store_database_make(store, settings->path, key, cause);
    if (error == FB_OK)
        error = store_database_install(store, settings, cause);
    return error == FB_OK ? store_database_take_ready(settings, cause) : error;
}

static enum fb_error attach_existing(struct store *store, const struct store_settings *settings,
                                     const uint8_t key[static STORE_KEY_BYTES], struct store_opening *opening,
                                     struct fb_cause *cause) {
    enum fb_error error = store_wal_check(settings->path, cause);
    if (error == FB_OK)
        error = store_database_attach(store, settings->path, key, cause);
    if (error != FB_CORRUPT || settings->next_key == NULL)
        return error;
    struct fb_cause second;
    if (store_database_attach(store, settings->path, settings->next_key, &second) != FB_OK)
        return error;
    opening->next_key_fits = true;
    return FB_OK;
}

enum fb_error store_database_open(struct store *store, const struct store_settings *settings,
                                  const uint8_t key[static STORE_KEY_BYTES], struct store_opening *opening,
                                  struct fb_cause *cause) {
    struct stat status;
    enum fb_error error = FB_OK;
    if (stat(settings->path, &status) < 0) {
        if (errno != ENOENT)
            return fb_fail_errno(cause, FB_IO, errno, "cannot be looked at");
        error = store_database_take_ready(settings, cause);
        opening->created = error == FB_NOT_FOUND;
        if (error == FB_NOT_FOUND)
            error = create(store, settings, key, cause);
        return error == FB_OK ? store_database_attach(store, settings->path, key, cause) : error;
    }
    if (!S_ISREG(status.st_mode))
        return fb_fail(cause, FB_IO, "not a regular file");
    if (status.st_size == 0)
        return fb_fail(cause, FB_CORRUPT, "empty file");
    return attach_existing(store, settings, key, opening, cause);
}
