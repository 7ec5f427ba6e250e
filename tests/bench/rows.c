#include "rows.h"

#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_BYTES 32

struct rows {
    sqlite3 *db;
    sqlite3_stmt *add;
};

static void must(struct rows *rows, int code) {
    if (code == SQLITE_OK || code == SQLITE_DONE)
        return;
    fprintf(stderr, "bench_store: rows: %s\n", sqlite3_errmsg(rows->db));
    exit(EXIT_FAILURE);
}

static void run(struct rows *rows, const char *sql) {
    must(rows, sqlite3_exec(rows->db, sql, NULL, NULL, NULL));
}

static void set_key(struct rows *rows, const uint8_t *key) {
    char text[2 * KEY_BYTES + 4] = "x'";
    for (size_t i = 0; i < KEY_BYTES; i++)
        snprintf(text + 2 + 2 * i, 3, "%02x", key[i]);
    text[sizeof text - 2] = '\'';
    must(rows, sqlite3_key(rows->db, text, (int)sizeof text - 1));
}

struct rows *rows_open(const char *path, const uint8_t *key) {
    struct rows *rows = calloc(1, sizeof *rows);
    if (rows == NULL || sqlite3_open(path, &rows->db) != SQLITE_OK)
        exit(EXIT_FAILURE);
    if (key != NULL)
        set_key(rows, key);
    run(rows, "PRAGMA cipher_memory_security = OFF; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
              "PRAGMA synchronous = FULL;"
              "CREATE TABLE IF NOT EXISTS readings(tag INTEGER, time_ms INTEGER, quality INTEGER, value REAL)");
    must(rows, sqlite3_prepare_v2(rows->db, "INSERT INTO readings VALUES(?1, ?2, ?3, ?4)", -1, &rows->add, NULL));
    return rows;
}

void rows_close(struct rows *rows) {
    sqlite3_finalize(rows->add);
    must(rows, sqlite3_close(rows->db));
    free(rows);
}

void rows_add(struct rows *rows, const struct reading *readings, size_t count) {
    run(rows, "BEGIN");
    for (size_t i = 0; i < count; i++) {
        sqlite3_bind_int64(rows->add, 1, readings[i].tag);
        sqlite3_bind_int64(rows->add, 2, readings[i].time_ms);
        sqlite3_bind_int(rows->add, 3, readings[i].quality);
        if (reading_has_value(&readings[i]))
            sqlite3_bind_double(rows->add, 4, reading_number(&readings[i]));
        else
            sqlite3_bind_null(rows->add, 4);
        sqlite3_step(rows->add);
        must(rows, sqlite3_reset(rows->add));
    }
    run(rows, "COMMIT");
}

size_t rows_read(struct rows *rows, void (*take)(const struct reading *reading, void *user), void *user) {
    sqlite3_stmt *all = NULL;
    must(rows, sqlite3_prepare_v2(rows->db, "SELECT tag, time_ms, quality, value FROM readings ORDER BY rowid", -1,
                                  &all, NULL));
    size_t count = 0;
    for (; sqlite3_step(all) == SQLITE_ROW; count++) {
        const struct reading reading = {.tag = (uint32_t)sqlite3_column_int64(all, 0),
                                        .time_ms = sqlite3_column_int64(all, 1),
                                        .quality = (uint8_t)sqlite3_column_int(all, 2),
                                        .value.real64 = sqlite3_column_double(all, 3)};
        take(&reading, user);
    }
    must(rows, sqlite3_finalize(all));
    return count;
}
