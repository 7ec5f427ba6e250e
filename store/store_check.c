#include "store/store_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_internal.h"
#include "store/store_walk.h"

#define TABLE_NAME_MAX 64
#define ROW_KEYS_MAX 3

struct store_check {
    struct store *store;
    sqlite3_stmt *tables;       /* the first name behind ?1 */
    char table[TABLE_NAME_MAX]; /* that was checked last */
    size_t long_table;          /* of long_tables, that is read */
    sqlite3_stmt *rows;         /* its next row */
    int64_t row[ROW_KEYS_MAX];  /* where the one before stands */
    sqlite3_stmt *dead;         /* whether a batch was given up before */
    struct store_walk walk;
    bool tables_done, finished;
    uint64_t batches, unreadable;
};

/* So large that they are read row by row, the first keys columns of a row telling where the next one is looked for; the
 * batches come after them. Indexes are in the order of their entries, so each of their pages is met. Those of the
 * hashes of catalogues are few. */
static const struct {
    const char *name;
    const char *sql;
    int keys;
} long_tables[] = {
    {"queue", "SELECT number, * FROM queue WHERE number > ?1 ORDER BY number LIMIT 1", 1},
    {"queue_parked",
     "SELECT number FROM queue INDEXED BY queue_parked WHERE parked_ms > 0 AND number > ?1 ORDER BY number LIMIT 1", 1},
    {"records", "SELECT id, * FROM records WHERE id > ?1 ORDER BY id LIMIT 1", 1},
    {"catalogues", "SELECT revision, * FROM catalogues WHERE revision > ?1 ORDER BY revision LIMIT 1", 1},
    {"hashes of catalogues",
     "SELECT count(hash) FROM catalogues INDEXED BY sqlite_autoindex_catalogues_1 WHERE hash >= x''", 0},
    {"batches_times",
     "SELECT last_ms, first_ms, number FROM batches INDEXED BY batches_times"
     " WHERE (last_ms, first_ms, number) > (?1, ?2, ?3) ORDER BY last_ms, first_ms, number LIMIT 1",
     3},
};
#define LONG_TABLES (sizeof long_tables / sizeof long_tables[0])

/* SQLite's own check of a table with its indexes, for those that are small. */
static enum fb_error check_table(struct store *store, const char *name, struct fb_cause *cause) {
    char sql[TABLE_NAME_MAX + 64];
    sqlite3_stmt *statement = NULL;
    snprintf(sql, sizeof sql, "PRAGMA integrity_check(\"%s\")", name);
    int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    enum fb_error error = store_result(store->db, code, cause, name);
    const char *found = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    if (error == FB_OK && (found == NULL || strcmp(found, "ok") != 0))
        error = fb_fail(cause, FB_CORRUPT, "damaged: table %s: %s", name, found != NULL ? found : "nothing");
    sqlite3_finalize(statement);
    return error;
}

static enum fb_error check_next_table(struct store_check *check, struct fb_cause *cause) {
    char name[TABLE_NAME_MAX] = "";
    int code = sqlite3_bind_text(check->tables, 1, check->table, -1, SQLITE_TRANSIENT);
    if (code == SQLITE_OK)
        code = sqlite3_step(check->tables);
    if (code == SQLITE_ROW)
        snprintf(name, sizeof name, "%s", (const char *)sqlite3_column_text(check->tables, 0));
    sqlite3_reset(check->tables);
    check->tables_done = code == SQLITE_DONE;
    memcpy(check->table, name, sizeof check->table);
    return code == SQLITE_ROW ? check_table(check->store, name, cause)
                              : store_result(check->store->db, code, cause, "tables");
}

static enum fb_error begin_long_table(struct store_check *check, struct fb_cause *cause) {
    sqlite3 *db = check->store->db;
    for (size_t i = 0; i < ROW_KEYS_MAX; i++)
        check->row[i] = INT64_MIN;
    return store_result(db, sqlite3_prepare_v2(db, long_tables[check->long_table].sql, -1, &check->rows, NULL), cause,
                        long_tables[check->long_table].name);
}

static bool blobs_hold(sqlite3_stmt *row) {
    for (int i = 0; i < sqlite3_column_count(row); i++)
        if (sqlite3_column_type(row, i) == SQLITE_BLOB && sqlite3_column_bytes(row, i) > 0 &&
            sqlite3_column_blob(row, i) == NULL)
            return false;
    return true;
}

/* Reads the whole row, with the pages that it goes on in. */
static enum fb_error check_next_row(struct store_check *check, struct fb_cause *cause) {
    enum fb_error error = check->rows == NULL ? begin_long_table(check, cause) : FB_OK;
    if (error != FB_OK)
        return error;
    const char *name = long_tables[check->long_table].name;
    const int keys = long_tables[check->long_table].keys;
    for (int i = 0; i < keys; i++)
        sqlite3_bind_int64(check->rows, i + 1, check->row[i]);
    const int code = sqlite3_step(check->rows);
    error = store_result(check->store->db, code, cause, name);
    if (code == SQLITE_ROW && !blobs_hold(check->rows))
        error = fb_fail(cause, FB_CORRUPT, "damaged: a row of %s", name);
    for (int i = 0; code == SQLITE_ROW && i < keys; i++)
        check->row[i] = sqlite3_column_int64(check->rows, i);
    sqlite3_reset(check->rows);
    if (code == SQLITE_ROW && keys > 0)
        return error;
    sqlite3_finalize(check->rows);
    check->rows = NULL;
    check->long_table++;
    return error;
}

static bool row_holds(const struct store_check *check) {
    sqlite3_stmt *row = check->walk.row;
    uint8_t hash[BATCH_HASH_BYTES];
    const uint8_t *bytes = sqlite3_column_blob(row, 2);
    if (bytes == NULL || sqlite3_column_bytes(row, 1) != sizeof hash)
        return false;
    batch_hash(bytes, (size_t)sqlite3_column_bytes(row, 2), hash);
    return memcmp(hash, sqlite3_column_blob(row, 1), sizeof hash) == 0;
}

static bool was_given_up(struct store_check *check) {
    sqlite3_bind_int64(check->dead, 1, check->walk.number);
    const bool dead = sqlite3_step(check->dead) == SQLITE_ROW;
    sqlite3_reset(check->dead);
    return dead;
}

static enum fb_error check_next_batch(struct store_check *check, bool *ret_done, struct fb_cause *cause) {
    const int code = store_walk_step(&check->walk);
    const bool good = code == SQLITE_ROW && row_holds(check);
    *ret_done = code == SQLITE_DONE;
    store_walk_rest(&check->walk);
    if (code == SQLITE_DONE || code == SQLITE_BUSY)
        return FB_OK;
    check->batches++;
    if (good || was_given_up(check))
        return FB_OK;
    const enum fb_error error = store_quota_give_up(check->store, (uint64_t)check->walk.number, cause);
    check->unreadable += error == FB_OK;
    return error == FB_AGAIN ? FB_OK : error;
}

static enum fb_error save(const struct store_check *check, int64_t now_ms, struct fb_cause *cause) {
    char sql[192];
    snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO checks VALUES(1, %lld, %llu, %llu)", (long long)now_ms,
             (unsigned long long)check->batches, (unsigned long long)check->unreadable);
    return store_result(check->store->db, sqlite3_exec(check->store->db, sql, NULL, NULL, NULL), cause, "saving");
}

enum fb_error store_check_step(struct store_check *check, int64_t budget_us, int64_t now_ms, bool *ret_done,
                               struct fb_cause *cause) {
    const int64_t until_us = clock_monotonic_us() + budget_us;
    enum fb_error error = FB_OK;
    bool done = false;
    if (!check->tables_done)
        error = check_next_table(check, cause);
    while (error == FB_OK && check->tables_done && !done && clock_monotonic_us() < until_us)
        error = check->long_table < LONG_TABLES ? check_next_row(check, cause) : check_next_batch(check, &done, cause);
    if (error == FB_OK && done)
        error = save(check, now_ms, cause);
    if (error == FB_OK && done)
        store_aside_forget_mark(check->store->path);
    if (error == FB_OK)
        *ret_done = check->finished = done;
    return store_finish(check->store, error, "integrity check", cause);
}

enum fb_error store_check_begin(struct store *store, struct store_check **ret_check, struct fb_cause *cause) {
    struct store_check *check = calloc(1, sizeof *check);
    if (check == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    check->store = store;
    int code =
        sqlite3_prepare_v2(store->db,
                           "SELECT min(name) FROM sqlite_master WHERE type = 'table' AND name > ?1"
                           " AND name NOT IN ('batches', 'queue', 'records', 'catalogues') HAVING min(name) NOT NULL",
                           -1, &check->tables, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(store->db, "SELECT 1 FROM queue WHERE number = ?1 AND damaged = 1", -1, &check->dead,
                                  NULL);
    if (code == SQLITE_OK)
        code = store_walk_begin(&check->walk, store->db, "number, hash, bytes", 0, (int64_t)store->state.last_number);
    if (code != SQLITE_OK) {
        store_check_end(check);
        return store_result(store->db, code, cause, "integrity check");
    }
    *ret_check = check;
    return FB_OK;
}

void store_check_end(struct store_check *check) {
    if (check == NULL)
        return;
    sqlite3_finalize(check->tables);
    sqlite3_finalize(check->rows);
    sqlite3_finalize(check->dead);
    store_walk_end(&check->walk);
    free(check);
}

void store_check_figures(const struct store_check *check, struct store_check_figures *ret_figures) {
    const uint64_t all = check->store->state.batches;
    *ret_figures = (struct store_check_figures){
        .batches = check->batches,
        .unreadable = check->unreadable,
        .done = check->finished        ? 1
                : all == 0             ? 0
                : check->batches < all ? (double)check->batches / (double)all
                                       : 1,
    };
}

enum fb_error store_check_last(struct store *store, struct store_check_figures *ret_figures, int64_t *ret_finished_ms,
                               struct fb_cause *cause) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->db, "SELECT finished_ms, batches, unreadable FROM checks WHERE id = 1", -1,
                                  &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *ret_finished_ms = sqlite3_column_int64(statement, 0);
        *ret_figures = (struct store_check_figures){
            .batches = (uint64_t)sqlite3_column_int64(statement, 1),
            .unreadable = (uint64_t)sqlite3_column_int64(statement, 2),
            .done = 1,
        };
    }
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? FB_NOT_FOUND : store_result(store->db, code, cause, "integrity check");
}
