#include "store/store_rekey.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/store_internal.h"
#include "store/store_walk.h"

#define TABLES_MAX 32
#define NAME_MAX_BYTES 64
/* Rows that changed behind the copying, until the next slice: an eviction of 64 batches changes some hundred. */
#define CHANGES_MAX 8192
/* What a commit of the copy may have to write: as much as the disk takes in the slice's time. */
#define SLICE_BYTES_MIN (32 * 1024)
#define SLICE_BYTES_MAX (256 * 1024)
#define ROOM_LEFT_BYTES (UINT64_C(64) * 1024 * 1024)
/* A file system takes 0.3 ms a megabyte to give the old file's room back. */
#define CLEAR_BYTES (4 * 1024 * 1024)

struct change {
    size_t table;
    int64_t row;
};

struct table {
    char name[NAME_MAX_BYTES];
    sqlite3_stmt *next; /* the first row above ?1; for batches the walk does it */
    sqlite3_stmt *at;
    sqlite3_stmt *put; /* the copy's */
    sqlite3_stmt *drop;
    int64_t copied; /* rows up to it are in the copy */
    bool done;
};

struct store_rekey {
    struct store *store;
    sqlite3 *copy;
    char path[PATH_MAX]; /* the copy's */
    char old[PATH_MAX];  /* the store's file under the old key, once the copy has its place */
    bool log_is_short;   /* the store's log was written into its file just now */
    struct table tables[TABLES_MAX];
    size_t table_count;
    size_t at; /* table that is being copied */
    struct store_walk walk;
    struct change changes[CHANGES_MAX];
    size_t change_count;
    bool too_many;
    uint64_t bytes, bytes_all; /* for the progress */
    size_t slice_bytes, slice_bytes_most;
};

/* SQLite calls it for each row that is written, whatever becomes of the transaction: what is noted is read anew. */
static void on_change(void *user, int what, const char *database, const char *name, sqlite3_int64 row) {
    struct store_rekey *rekey = user;
    (void)what;
    (void)database;
    for (size_t i = 0; i < rekey->table_count; i++) {
        const struct table *table = &rekey->tables[i];
        if (strcmp(table->name, name) != 0 || (!table->done && row > table->copied))
            continue;
        const struct change *last = &rekey->changes[rekey->change_count > 0 ? rekey->change_count - 1 : 0];
        if (rekey->change_count > 0 && last->table == i && last->row == row)
            return;
        if (rekey->change_count == CHANGES_MAX)
            rekey->too_many = true;
        else
            rekey->changes[rekey->change_count++] = (struct change){i, row};
        return;
    }
}

static int put_row(struct store_rekey *rekey, const struct table *table, sqlite3_stmt *row) {
    int code = SQLITE_OK;
    for (int i = 0; code == SQLITE_OK && i < sqlite3_column_count(row); i++) {
        code = sqlite3_bind_value(table->put, i + 1, sqlite3_column_value(row, i));
        rekey->slice_bytes += (size_t)sqlite3_column_bytes(row, i);
    }
    if (code == SQLITE_OK)
        code = sqlite3_step(table->put);
    sqlite3_reset(table->put);
    sqlite3_clear_bindings(table->put);
    return code;
}

static int drop_row(const struct table *table, int64_t row) {
    sqlite3_bind_int64(table->drop, 1, row);
    const int code = sqlite3_step(table->drop);
    sqlite3_reset(table->drop);
    return code;
}

static enum fb_error copy_failed(struct store_rekey *rekey, int code, struct fb_cause *cause) {
    return store_result(rekey->copy, code, cause, "the copy");
}

/* A batch that cannot be read is given up, which notes its loss and changes the tables; it is not in the copy. */
static enum fb_error copy_change(struct store_rekey *rekey, const struct change *change, struct fb_cause *cause) {
    const struct table *table = &rekey->tables[change->table];
    sqlite3_bind_int64(table->at, 1, change->row);
    const int code = sqlite3_step(table->at);
    int put = SQLITE_DONE;
    if (code == SQLITE_ROW)
        put = put_row(rekey, table, table->at);
    sqlite3_reset(table->at);
    const bool unreadable = code != SQLITE_ROW && code != SQLITE_DONE && strcmp(table->name, "batches") == 0;
    if (code == SQLITE_DONE || unreadable)
        put = drop_row(table, change->row);
    else if (code != SQLITE_ROW)
        return store_result(rekey->store->db, code, cause, table->name);
    return copy_failed(rekey, put, cause);
}

static enum fb_error copy_changes(struct store_rekey *rekey, struct fb_cause *cause) {
    enum fb_error error = FB_OK;
    if (rekey->too_many)
        return fb_fail(cause, FB_AGAIN, "too much has changed at once");
    for (size_t i = 0; error == FB_OK && i < rekey->change_count; i++)
        error = copy_change(rekey, &rekey->changes[i], cause);
    rekey->change_count = 0;
    return error;
}

static enum fb_error copy_next_batch(struct store_rekey *rekey, struct table *table, struct fb_cause *cause) {
    struct store_walk *walk = &rekey->walk;
    walk->last = (int64_t)rekey->store->state.last_number;
    const int code = store_walk_step(walk);
    enum fb_error error = FB_OK;
    if (code == SQLITE_ROW)
        error = copy_failed(rekey, put_row(rekey, table, walk->row), cause);
    store_walk_rest(walk);
    table->copied = walk->number;
    table->done = code == SQLITE_DONE;
    return error == FB_OK && code == SQLITE_CORRUPT ? store_quota_give_up(rekey->store, (uint64_t)walk->number, cause)
                                                    : error;
}

static enum fb_error copy_next_row(struct store_rekey *rekey, struct table *table, struct fb_cause *cause) {
    sqlite3_bind_int64(table->next, 1, table->copied);
    const int code = sqlite3_step(table->next);
    int put = SQLITE_DONE;
    if (code == SQLITE_ROW) {
        table->copied = sqlite3_column_int64(table->next, 0);
        put = put_row(rekey, table, table->next);
    }
    sqlite3_reset(table->next);
    table->done = code == SQLITE_DONE;
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return store_result(rekey->store->db, code, cause, table->name);
    return copy_failed(rekey, put, cause);
}

static enum fb_error copy_some(struct store_rekey *rekey, int64_t until_us, struct fb_cause *cause) {
    enum fb_error error = copy_changes(rekey, cause);
    while (error == FB_OK && rekey->at < rekey->table_count && rekey->slice_bytes < rekey->slice_bytes_most &&
           clock_monotonic_us() < until_us) {
        struct table *table = &rekey->tables[rekey->at];
        const bool is_batches = strcmp(table->name, "batches") == 0;
        error = is_batches ? copy_next_batch(rekey, table, cause) : copy_next_row(rekey, table, cause);
        rekey->at += table->done;
    }
    return error;
}

/* What the switch would have to write when it closes the store. */
static void shorten_log(struct store_rekey *rekey) {
    sqlite3_wal_checkpoint_v2(rekey->store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    rekey->log_is_short = true;
}

static void adapt(struct store_rekey *rekey, int64_t took_us, int64_t budget_us) {
    if (took_us > budget_us && rekey->slice_bytes_most > SLICE_BYTES_MIN)
        rekey->slice_bytes_most /= 2;
    else if (took_us < budget_us / 2 && rekey->slice_bytes_most < SLICE_BYTES_MAX)
        rekey->slice_bytes_most *= 2;
}

enum fb_error store_rekey_step(struct store_rekey *rekey, int64_t budget_us, bool *ret_ready, struct fb_cause *cause) {
    const int64_t begun_us = clock_monotonic_us();
    if (rekey->at == rekey->table_count && !rekey->log_is_short) {
        shorten_log(rekey);
        return FB_OK;
    }
    rekey->slice_bytes = 0;
    enum fb_error error = copy_failed(rekey, sqlite3_exec(rekey->copy, "BEGIN", NULL, NULL, NULL), cause);
    if (error == FB_OK)
        error = copy_some(rekey, begun_us + budget_us, cause);
    if (error == FB_OK)
        error = copy_failed(rekey, sqlite3_exec(rekey->copy, "COMMIT", NULL, NULL, NULL), cause);
    rekey->bytes += rekey->slice_bytes;
    adapt(rekey, clock_monotonic_us() - begun_us, budget_us);
    if (error == FB_OK)
        *ret_ready = rekey->at == rekey->table_count && rekey->log_is_short;
    return error == FB_OK ? FB_OK : fb_context(cause, error, "rekey");
}

/* Without a log nothing is left to be written here, where SQLite would not tell of a failure: the last commit's fsync
 * did it. */
static void close_copy(struct store_rekey *rekey) {
    sqlite3_update_hook(rekey->store->db, NULL, NULL);
    for (size_t i = 0; i < rekey->table_count; i++) {
        sqlite3_finalize(rekey->tables[i].next);
        sqlite3_finalize(rekey->tables[i].at);
        sqlite3_finalize(rekey->tables[i].put);
        sqlite3_finalize(rekey->tables[i].drop);
        rekey->tables[i].next = rekey->tables[i].at = rekey->tables[i].put = rekey->tables[i].drop = NULL;
    }
    store_walk_end(&rekey->walk);
    sqlite3_close(rekey->copy);
    rekey->copy = NULL;
}

/* The old log must be gone before the copy is there: SQLite would take it for the copy's. It goes when the last
 * connection ends, unless its checkpoint fails. The old file keeps a name, so that the rename need not wait until its
 * room is free; where a file system has no links it does. */
static enum fb_error take_place(struct store_rekey *rekey, struct fb_cause *cause) {
    const struct store *store = rekey->store;
    char wal[PATH_MAX];
    snprintf(wal, sizeof wal, "%s-wal", store->path);
    if (access(wal, F_OK) == 0)
        return fb_fail(cause, FB_IO, "the old log stays");
    const enum fb_error error = store_database_sync_folder(store->path, cause); /* nor does a power cut bring it back */
    if (error != FB_OK)
        return error;
    store_database_forget_old(store->path);
    snprintf(rekey->old, sizeof rekey->old, "%s" STORE_OLD_SUFFIX, store->path);
    if (link(store->path, rekey->old) < 0)
        rekey->old[0] = '\0';
    if (rename(rekey->path, store->path) < 0)
        return fb_fail_errno(cause, FB_IO, errno, "renaming %s", rekey->path);
    return store_database_sync_folder(store->path, cause);
}

static enum fb_error open_again(struct store *store, const uint8_t key[static STORE_KEY_BYTES],
                                struct fb_cause *cause) {
    enum fb_error error = store_database_attach(store, store->path, key, cause);
    if (error == FB_OK)
        error = store_result(store->db, store_prepare_all(store), cause, "preparing");
    return error == FB_OK ? FB_OK : fb_context(cause, FB_CLOSED, "opening again");
}

/* Whether the old key still opens the store is for the next start to find out: we do not have it any more. */
enum fb_error store_rekey_switch(struct store_rekey *rekey, const uint8_t key[static STORE_KEY_BYTES],
                                 struct fb_cause *cause) {
    struct store *store = rekey->store;
    bool ready;
    enum fb_error error = store_rekey_step(rekey, 0, &ready, cause);
    if (error != FB_OK)
        return error;
    close_copy(rekey);
    store_database_detach(store);
    error = take_place(rekey, cause);
    return error == FB_OK ? open_again(store, key, cause) : fb_context(cause, FB_CLOSED, "rekey");
}

bool store_rekey_clear(struct store_rekey *rekey, int64_t budget_us) {
    const int64_t until_us = clock_monotonic_us() + budget_us;
    struct stat status;
    if (rekey->old[0] == '\0')
        return true;
    while (stat(rekey->old, &status) == 0 && status.st_size > CLEAR_BYTES &&
           truncate(rekey->old, status.st_size - CLEAR_BYTES) == 0)
        if (clock_monotonic_us() >= until_us)
            return false;
    unlink(rekey->old);
    rekey->old[0] = '\0';
    return true;
}

static enum fb_error check_room(struct store_rekey *rekey, struct fb_cause *cause) {
    struct statvfs disk;
    store_step(rekey->store, STORE_COUNT_PAGES, "");
    const int64_t all = store_integer(rekey->store, STORE_COUNT_PAGES, 0);
    store_reset(rekey->store, STORE_COUNT_PAGES);
    store_step(rekey->store, STORE_COUNT_FREE_PAGES, "");
    const int64_t unused = store_integer(rekey->store, STORE_COUNT_FREE_PAGES, 0);
    store_reset(rekey->store, STORE_COUNT_FREE_PAGES);
    rekey->bytes_all = (uint64_t)(all - unused) * STORE_PAGE_BYTES;
    if (statvfs(rekey->store->path, &disk) < 0)
        return fb_fail_errno(cause, FB_IO, errno, "%s", rekey->store->path);
    const uint64_t room = (uint64_t)disk.f_bavail * disk.f_frsize, wanted = rekey->bytes_all + ROOM_LEFT_BYTES;
    if (room < wanted)
        return fb_fail(
            cause, FB_FULL,
            "the copy under the new key needs %llu MB free on the disk, where %llu MB are: make room, or lower "
            "store.quota for a while",
            (unsigned long long)wanted / 1000000, (unsigned long long)room / 1000000);
    return FB_OK;
}

/* Nothing but a complete and synchronised copy is ever used: it needs no log. */
static enum fb_error open_copy(struct store_rekey *rekey, const uint8_t key[static STORE_KEY_BYTES],
                               struct fb_cause *cause) {
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    if ((size_t)snprintf(rekey->path, sizeof rekey->path, "%s.rekey", rekey->store->path) >= sizeof rekey->path - 8)
        return fb_fail(cause, FB_LIMIT, "path too long");
    const enum fb_error error = store_database_make_empty(rekey->path, cause);
    if (error != FB_OK)
        return error;
    int code = sqlite3_open_v2(rekey->path, &rekey->copy, flags, NULL);
    if (code == SQLITE_OK)
        code = store_database_set_key(rekey->copy, key);
    if (code == SQLITE_OK)
        code = sqlite3_exec(
            rekey->copy,
            "PRAGMA cipher_log_level = NONE; PRAGMA cipher_memory_security = OFF; PRAGMA temp_store = MEMORY;"
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = OFF; PRAGMA synchronous = NORMAL;"
            "PRAGMA cache_size = -512",
            NULL, NULL, NULL);
    return copy_failed(rekey, code, cause);
}

/* Rows have their INTEGER PRIMARY KEY first, see store_schema.c. */
static int prepare_table(struct store_rekey *rekey, const char *name) {
    struct table *table = &rekey->tables[rekey->table_count];
    char sql[256];
    char places[128] = "?1";
    sqlite3 *db = rekey->store->db;
    *table = (struct table){.copied = 0};
    snprintf(table->name, sizeof table->name, "%s", name);
    snprintf(sql, sizeof sql, "SELECT * FROM \"%s\" WHERE rowid > ?1 ORDER BY rowid LIMIT 1", name);
    int code = sqlite3_prepare_v2(db, sql, -1, &table->next, NULL);
    snprintf(sql, sizeof sql, "SELECT * FROM \"%s\" WHERE rowid = ?1", name);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(db, sql, -1, &table->at, NULL);
    for (int i = 2; code == SQLITE_OK && i <= sqlite3_column_count(table->at); i++)
        snprintf(places + strlen(places), sizeof places - strlen(places), ",?%d", i);
    snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO \"%s\" VALUES(%s)", name, places);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(rekey->copy, sql, -1, &table->put, NULL);
    snprintf(sql, sizeof sql, "DELETE FROM \"%s\" WHERE rowid = ?1", name);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(rekey->copy, sql, -1, &table->drop, NULL);
    rekey->table_count++;
    return code;
}

/* The schema as it is, tables before indexes. */
static int copy_schema(struct store_rekey *rekey) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(rekey->store->db,
                                  "SELECT type, name, sql FROM sqlite_master WHERE sql NOT NULL ORDER BY type DESC", -1,
                                  &statement, NULL);
    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const bool is_table = strcmp((const char *)sqlite3_column_text(statement, 0), "table") == 0;
        code = rekey->table_count < TABLES_MAX
                   ? sqlite3_exec(rekey->copy, (const char *)sqlite3_column_text(statement, 2), NULL, NULL, NULL)
                   : SQLITE_FULL;
        if (code == SQLITE_OK && is_table)
            code = prepare_table(rekey, (const char *)sqlite3_column_text(statement, 1));
    }
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int copy_pragma(struct store_rekey *rekey, const char *name) {
    sqlite3_stmt *statement = NULL;
    char sql[96];
    snprintf(sql, sizeof sql, "PRAGMA %s", name);
    int code = sqlite3_prepare_v2(rekey->store->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    snprintf(sql, sizeof sql, "PRAGMA %s = %d", name, sqlite3_column_int(statement, 0));
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? sqlite3_exec(rekey->copy, sql, NULL, NULL, NULL) : code;
}

static enum fb_error begin(struct store_rekey *rekey, const uint8_t key[static STORE_KEY_BYTES],
                           struct fb_cause *cause) {
    struct store *store = rekey->store;
    enum fb_error error = check_room(rekey, cause);
    if (error == FB_OK)
        error = open_copy(rekey, key, cause);
    if (error != FB_OK)
        return error;
    int code = sqlite3_exec(rekey->copy, "BEGIN", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = copy_schema(rekey);
    if (code == SQLITE_OK)
        code = copy_pragma(rekey, "application_id");
    if (code == SQLITE_OK)
        code = copy_pragma(rekey, "user_version");
    if (code == SQLITE_OK)
        code = sqlite3_exec(rekey->copy, "COMMIT", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = store_walk_begin(&rekey->walk, store->db, "*", 0, (int64_t)store->state.last_number);
    if (code == SQLITE_OK)
        sqlite3_update_hook(store->db, on_change, rekey);
    return copy_failed(rekey, code, cause);
}

enum fb_error store_rekey_begin(struct store *store, const uint8_t key[static STORE_KEY_BYTES],
                                struct store_rekey **ret_rekey, struct fb_cause *cause) {
    struct store_rekey *rekey = calloc(1, sizeof *rekey);
    if (rekey == NULL)
        return fb_fail(cause, FB_MEMORY, "rekey: out of memory");
    rekey->store = store;
    rekey->slice_bytes_most = SLICE_BYTES_MAX;
    const enum fb_error error = begin(rekey, key, cause);
    if (error != FB_OK) {
        store_rekey_end(rekey);
        return fb_context(cause, error, "rekey");
    }
    *ret_rekey = rekey;
    return FB_OK;
}

void store_rekey_end(struct store_rekey *rekey) {
    if (rekey == NULL)
        return;
    if (rekey->copy != NULL) {
        close_copy(rekey);
        unlink(rekey->path);
    }
    if (rekey->old[0] != '\0')
        unlink(rekey->old);
    free(rekey);
}

double store_rekey_done(const struct store_rekey *rekey) {
    const bool all_copied = rekey->at == rekey->table_count || rekey->bytes >= rekey->bytes_all;
    return all_copied ? 1 : (double)rekey->bytes / (double)rekey->bytes_all;
}
