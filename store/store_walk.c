#include "store/store_walk.h"

#include <stdio.h>

#include "store/store_internal.h"

/* Numbers that are tried singly in one step, where the tree that orders them is damaged. */
#define TRIED_MOST 64

static int prepare(sqlite3 *db, const char *columns, const char *rest, sqlite3_stmt **ret_statement) {
    char sql[256];
    snprintf(sql, sizeof sql, "SELECT %s FROM batches WHERE %s", columns, rest);
    return sqlite3_prepare_v2(db, sql, -1, ret_statement, NULL);
}

/* Salvaged batches were numbered without a gap, by the count in salvages; unreadable: there are none to be tried. */
static int64_t count_salvaged(sqlite3 *db) {
    sqlite3_stmt *statement = NULL;
    int64_t count = 0;
    if (sqlite3_prepare_v2(db, "SELECT sum(batches) FROM salvages", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        count = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return count > 0 ? (int64_t)STORE_SALVAGED_FIRST + count - 1 : 0;
}

int store_walk_begin(struct store_walk *walk, sqlite3 *db, const char *columns, int64_t from, int64_t last) {
    *walk = (struct store_walk){.number = from, .last = last, .salvaged = count_salvaged(db)};
    const int code = prepare(db, columns, "number > ?1 ORDER BY number LIMIT 1", &walk->next);
    return code == SQLITE_OK ? prepare(db, columns, "number = ?1", &walk->at) : code;
}

static int look(struct store_walk *walk, sqlite3_stmt *statement) {
    walk->row = statement;
    sqlite3_bind_int64(statement, 1, walk->number);
    return sqlite3_step(statement);
}

static bool count_on(struct store_walk *walk) {
    if (walk->number == walk->last)
        walk->number = (int64_t)STORE_SALVAGED_FIRST - 1;
    walk->number++;
    return walk->number < (int64_t)STORE_SALVAGED_FIRST || walk->number <= walk->salvaged;
}

static int try_singly(struct store_walk *walk) {
    for (int i = 0; i < TRIED_MOST; i++) {
        store_walk_rest(walk);
        if (!count_on(walk))
            return SQLITE_DONE;
        const int code = look(walk, walk->at);
        if (code != SQLITE_DONE)
            return code == SQLITE_ROW ? SQLITE_ROW : SQLITE_CORRUPT;
    }
    return SQLITE_BUSY;
}

int store_walk_step(struct store_walk *walk) {
    store_walk_rest(walk);
    const int code = look(walk, walk->next);
    if (code == SQLITE_DONE)
        return SQLITE_DONE;
    if (code != SQLITE_ROW)
        return try_singly(walk);
    walk->number = sqlite3_column_int64(walk->row, 0);
    return SQLITE_ROW;
}

void store_walk_rest(struct store_walk *walk) {
    if (walk->row != NULL)
        sqlite3_reset(walk->row);
    walk->row = NULL;
}

void store_walk_end(struct store_walk *walk) {
    sqlite3_finalize(walk->next);
    sqlite3_finalize(walk->at);
    *walk = (struct store_walk){0};
}
