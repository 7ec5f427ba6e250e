#include <string.h>

#include "store/store_internal.h"

/* Records of a store that could no longer be used, brought into the one that takes its place: the numbers go on, so
 * that nobody takes two records for one. The newest come first, since only so much finds room. */

/* What one transaction brings. */
#define SLICE_BYTES (512 * 1024)
/* Numbers that are tried singly where the tree is damaged, in a row without finding anything. */
#define TRIED_MOST 65536

struct heritage {
    struct store *heir;
    enum store_record_kind kind;
    sqlite3_stmt *below; /* the old store's first row below ?1 but above ?2 */
    sqlite3_stmt *at;    /* its row ?1 */
    sqlite3_stmt *row;   /* where the present row stands, one of the two */
    int64_t id;          /* everything from here on was looked at */
    int64_t floor;       /* the kind's ids are above */
    bool done;
};

static int look(struct heritage *heritage, sqlite3_stmt *statement) {
    sqlite3_reset(statement);
    sqlite3_bind_int64(statement, 1, heritage->id);
    if (statement == heritage->below)
        sqlite3_bind_int64(statement, 2, heritage->floor);
    heritage->row = statement;
    return sqlite3_step(statement);
}

static int try_singly(struct heritage *heritage) {
    for (int i = 0; i < TRIED_MOST && heritage->id - 1 > heritage->floor; i++) {
        heritage->id--;
        if (look(heritage, heritage->at) == SQLITE_ROW)
            return SQLITE_ROW;
    }
    return SQLITE_DONE;
}

/* The next older row that can be read. */
static int step(struct heritage *heritage) {
    const int code = look(heritage, heritage->below);
    if (code == SQLITE_ROW)
        heritage->id = sqlite3_column_int64(heritage->row, 0);
    return code == SQLITE_ROW || code == SQLITE_DONE ? code : try_singly(heritage);
}

static bool take_row(struct heritage *heritage, size_t *taken_bytes) {
    struct store *heir = heritage->heir;
    struct store_record_account *account = &heir->state.records[heritage->kind];
    const size_t length = (size_t)sqlite3_column_bytes(heritage->row, 3);
    const uint64_t bytes = store_records_row_bytes(length);
    if (account->bytes + bytes > heir->record_quotas[heritage->kind])
        return false;
    const int code = store_run(heir, STORE_ADD_RECORD, "iibb", heritage->id, sqlite3_column_int64(heritage->row, 1),
                               sqlite3_column_blob(heritage->row, 2), (size_t)sqlite3_column_bytes(heritage->row, 2),
                               sqlite3_column_blob(heritage->row, 3), length);
    account->bytes += bytes;
    account->first = (uint64_t)(heritage->id - heritage->floor);
    account->changed = true;
    *taken_bytes += length;
    return code == SQLITE_DONE;
}

static enum fb_error take_some(struct heritage *heritage) {
    size_t taken_bytes = 0;
    enum fb_error error = store_begin(heritage->heir, NULL);
    if (error != FB_OK)
        return error;
    while (!heritage->done && taken_bytes < SLICE_BYTES)
        heritage->done = step(heritage) != SQLITE_ROW || !take_row(heritage, &taken_bytes);
    sqlite3_reset(heritage->below);
    sqlite3_reset(heritage->at);
    return store_end(heritage->heir, FB_OK, false, NULL);
}

/* Where the table of kinds cannot tell it any more, the newest row does. */
static void take_numbers(struct heritage *heritage, sqlite3 *old) {
    struct store_record_account *account = &heritage->heir->state.records[heritage->kind];
    sqlite3_stmt *kinds = NULL;
    if (sqlite3_prepare_v2(old, "SELECT kind, last, 0, head, NULL FROM record_kinds WHERE kind = ?1", -1, &kinds,
                           NULL) == SQLITE_OK &&
        sqlite3_bind_int64(kinds, 1, heritage->kind) == SQLITE_OK && sqlite3_step(kinds) == SQLITE_ROW &&
        store_records_load(heritage->heir, kinds)) {
        account->changed = true;
    } else if (step(heritage) == SQLITE_ROW) {
        account->last = (uint64_t)(heritage->id - heritage->floor);
        account->changed = record_hash(sqlite3_column_blob(heritage->row, 2), heritage->kind, account->last,
                                       sqlite3_column_int64(heritage->row, 1), sqlite3_column_blob(heritage->row, 3),
                                       (size_t)sqlite3_column_bytes(heritage->row, 3), account->head);
    }
    sqlite3_finalize(kinds);
    account->first = account->last + 1;
    heritage->id = heritage->floor + (int64_t)account->last + 1;
}

static void take_kind(struct store *heir, sqlite3 *old, enum store_record_kind kind) {
    struct heritage heritage = {.heir = heir, .kind = kind, .floor = (int64_t)kind << STORE_RECORD_KIND_SHIFT};
    heritage.id = (int64_t)(kind + 1) << STORE_RECORD_KIND_SHIFT;
    static const char below[] = "SELECT id, time_ms, previous, body FROM records WHERE id < ?1 AND id > ?2"
                                " AND length(previous) = 32 ORDER BY id DESC LIMIT 1";
    static const char at[] = "SELECT id, time_ms, previous, body FROM records WHERE id = ?1 AND length(previous) = 32";
    if (sqlite3_prepare_v2(old, below, -1, &heritage.below, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(old, at, -1, &heritage.at, NULL) == SQLITE_OK) {
        take_numbers(&heritage, old);
        while (!heritage.done)
            heritage.done |= take_some(&heritage) != FB_OK;
    }
    sqlite3_finalize(heritage.below);
    sqlite3_finalize(heritage.at);
}

void store_records_inherit(struct store *heir, sqlite3 *old) {
    for (enum store_record_kind kind = 1; kind <= STORE_RECORD_KINDS; kind++)
        take_kind(heir, old, kind);
}
