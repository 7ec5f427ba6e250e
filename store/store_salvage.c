#include "store/store_salvage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store_internal.h"
#include "store/store_walk.h"

/* In one transaction, whatever the time allows: what a commit may write at once. */
#define BATCHES_MOST 32
/* A tail makes fewer. */
#define TAIL_BATCHES_MOST 64
/* Tried singly when the old store cannot say how many it had, and the tree that orders them is damaged. */
#define NUMBERS_MOST 1000000

enum salvage_statement { ADD_ROW, FIND_ROW, ADD_TAIL, SAVE_ROW, COUNT_ALL, FIND_REVISION, NEXT_REVISION, STATEMENTS };
static const char *const sql[STATEMENTS] = {
    [ADD_ROW] = "INSERT OR IGNORE INTO salvages VALUES(NULL, ?1, ?2, ?3, 0, 0, 0, 0, 0, 0)",
    [FIND_ROW] =
        "SELECT id, next_number, batches, readings, unreadable FROM salvages WHERE store_id = ?1 AND kind = ?2",
    [ADD_TAIL] = "INSERT OR IGNORE INTO salvages VALUES(NULL, ?1, ?2, ?3, 0, 0, 0, 0, 0, 1) RETURNING id",
    [SAVE_ROW] = ("UPDATE salvages SET (path, next_number, last_number, batches, readings, unreadable,"
                  " finished) = (?2, ?3, ?4, ?5, ?6, ?7, ?8) WHERE id = ?1"),
    [COUNT_ALL] = "SELECT sum(batches) FROM salvages",
    [FIND_REVISION] = "SELECT revision FROM catalogues WHERE hash = ?1",
    [NEXT_REVISION] = "SELECT 1 + max(revision) FROM catalogues",
};

struct progress {
    int64_t number; /* of the old store, the last that was looked at */
    uint64_t batches, readings, unreadable;
};

struct store_salvage {
    struct store *store;
    sqlite3_stmt *statements[STATEMENTS]; /* of the store in use */
    sqlite3 *old;
    sqlite3_stmt *fate;      /* of a batch in the old store */
    sqlite3_stmt *catalogue; /* of the old store, by hash */
    struct store_walk walk;
    char *path;
    enum store_salvage_kind kind;
    uint8_t id[BATCH_STORE_ID_BYTES]; /* of the old store, or made from its path when that cannot be read */
    int64_t last_number;
    int64_t row;
    int64_t local; /* the number that the next batch gets here */
    struct progress progress;
    int64_t seen_ms; /* the time that the walk has come to */
    bool finished;
    struct batch_info info;
};

static int step(sqlite3_stmt *statement, const void *blob, int length, int64_t number) {
    sqlite3_reset(statement);
    int code = sqlite3_bind_blob(statement, 1, blob, length, SQLITE_STATIC);
    if (code == SQLITE_OK && sqlite3_bind_parameter_count(statement) > 1)
        code = sqlite3_bind_int64(statement, 2, number);
    return code == SQLITE_OK ? sqlite3_step(statement) : code;
}

static int read_number(sqlite3_stmt *statement, int64_t *ret_number) {
    sqlite3_reset(statement);
    const int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret_number = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return code;
}

static int save(struct store_salvage *salvage, bool finished) {
    sqlite3_stmt *statement = salvage->statements[SAVE_ROW];
    const struct progress *progress = &salvage->progress;
    const int64_t values[] = {progress->number + 1,        salvage->last_number,          (int64_t)progress->batches,
                              (int64_t)progress->readings, (int64_t)progress->unreadable, finished};
    sqlite3_bind_int64(statement, 1, salvage->row);
    sqlite3_bind_text(statement, 2, salvage->path, -1, SQLITE_STATIC);
    for (int i = 0; i < 6; i++)
        sqlite3_bind_int64(statement, 3 + i, values[i]);
    const int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    return code;
}

/* What became of a batch in the old store. Where that cannot be read any more it is taken for unsent: the receiver
 * drops what it has already. */
struct fate {
    bool is_sent;
    uint64_t readings;
    int64_t first_ms, last_ms;
};

static struct fate find_fate(struct store_salvage *salvage, int64_t number) {
    sqlite3_stmt *statement = salvage->fate;
    struct fate fate = {.first_ms = salvage->seen_ms, .last_ms = salvage->seen_ms};
    sqlite3_bind_int64(statement, 1, number);
    const int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        fate = (struct fate){
            .is_sent = sqlite3_column_int64(statement, 0) != 0, /* damaged: it told the loss itself */
            .readings = (uint64_t)sqlite3_column_int64(statement, 1),
            .first_ms = sqlite3_column_int64(statement, 2),
            .last_ms = sqlite3_column_int64(statement, 3),
        };
    fate.is_sent = fate.is_sent || code == SQLITE_DONE;
    sqlite3_reset(statement);
    return fate;
}

static void lose(struct store_salvage *salvage, const struct fate *fate) {
    salvage->progress.unreadable++;
    const struct batch_loss loss = {
        .reason = BATCH_LOSS_DAMAGED, .readings = fate->readings, .from_ms = fate->first_ms, .to_ms = fate->last_ms};
    if (!fate->is_sent)
        store_note_loss(salvage->store, &loss);
}

/* The catalogue stays as the old store made it, so that its hash is the one the batch names; without it the batch goes
 * all the same. */
static int add_catalogue(struct store_salvage *salvage, int64_t revision) {
    const uint8_t *hash = salvage->info.catalogue;
    const void *bytes = "";
    size_t length = 0;
    if (step(salvage->catalogue, hash, BATCH_HASH_BYTES, 0) == SQLITE_ROW) {
        bytes = sqlite3_column_blob(salvage->catalogue, 0);
        length = (size_t)sqlite3_column_bytes(salvage->catalogue, 0);
    }
    const int code = store_run(salvage->store, STORE_ADD_CATALOGUE, "ibb", revision, hash, (size_t)BATCH_HASH_BYTES,
                               bytes != NULL ? bytes : "", length);
    sqlite3_reset(salvage->catalogue);
    return code;
}

static enum fb_error find_revision(struct store_salvage *salvage, int64_t *ret_revision, struct fb_cause *cause) {
    sqlite3_stmt *find = salvage->statements[FIND_REVISION];
    int code = step(find, salvage->info.catalogue, BATCH_HASH_BYTES, 0);
    if (code == SQLITE_ROW)
        *ret_revision = sqlite3_column_int64(find, 0);
    sqlite3_reset(find);
    if (code == SQLITE_DONE) {
        code = read_number(salvage->statements[NEXT_REVISION], ret_revision);
        if (*ret_revision < (int64_t)STORE_SALVAGED_FIRST)
            *ret_revision = (int64_t)STORE_SALVAGED_FIRST;
        if (code == SQLITE_ROW)
            code = add_catalogue(salvage, *ret_revision);
    }
    return store_result(salvage->store->db, code, cause, "catalogue");
}

/* A batch in its row of the old store. */
struct found {
    const uint8_t *hash;
    const uint8_t *bytes;
    size_t length;
    uint64_t readings;
    int64_t first_ms, last_ms;
};

/* False: it is not as it was sealed. */
static bool read_row(struct store_salvage *salvage, struct found *ret_found) {
    sqlite3_stmt *row = salvage->walk.row;
    uint8_t hash[BATCH_HASH_BYTES];
    struct reading *readings = NULL;
    size_t units;
    const struct found found = {
        .hash = sqlite3_column_blob(row, 1),
        .bytes = sqlite3_column_blob(row, 2),
        .length = (size_t)sqlite3_column_bytes(row, 2),
        .readings = (uint64_t)sqlite3_column_int64(row, 3),
        .first_ms = sqlite3_column_int64(row, 4),
        .last_ms = sqlite3_column_int64(row, 5),
    };
    if (found.bytes == NULL || found.length > BATCH_BYTES_MAX || sqlite3_column_bytes(row, 1) != sizeof hash)
        return false;
    batch_hash(found.bytes, found.length, hash);
    if (memcmp(hash, found.hash, sizeof hash) != 0 ||
        batch_decode(found.bytes, found.length, &salvage->info, &readings, &units, NULL) != FB_OK)
        return false;
    free(readings);
    *ret_found = found;
    return true;
}

static enum fb_error add_rows(struct store_salvage *salvage, const struct found *found, int64_t revision,
                              struct fb_cause *cause) {
    struct store *store = salvage->store;
    int code = store_run(store, STORE_ADD_BATCH, "iiiiibb", salvage->local, revision, found->readings, found->first_ms,
                         found->last_ms, found->hash, (size_t)BATCH_HASH_BYTES, found->bytes, found->length);
    if (code == SQLITE_DONE && salvage->kind == STORE_SALVAGE_UNSENT)
        code = store_run(store, STORE_ADD_QUEUED, "iiiii", salvage->local, found->readings, found->first_ms,
                         found->last_ms, (int64_t)salvage->info.loss_count);
    return store_result(store->db, code, cause, "batch");
}

static enum fb_error take(struct store_salvage *salvage, const struct found *found, struct fb_cause *cause) {
    struct store *store = salvage->store;
    int64_t revision = 0;
    enum fb_error error =
        store_quota_room_from_history(store, found->length / STORE_PAGE_BYTES + STORE_TABLE_PAGES, cause);
    if (error == FB_OK)
        error = find_revision(salvage, &revision, cause);
    if (error == FB_OK)
        error = add_rows(salvage, found, revision, cause);
    if (error != FB_OK)
        return error;
    const bool is_unsent = salvage->kind == STORE_SALVAGE_UNSENT;
    store->state.batches++;
    store->state.readings += found->readings;
    store->state.unsent_batches += is_unsent;
    store->state.unsent_readings += is_unsent ? found->readings : 0;
    salvage->local++;
    salvage->progress.batches++;
    salvage->progress.readings += found->readings;
    return FB_OK;
}

/* What the walk came to. A batch of the store in use itself is never brought in a second time. */
static enum fb_error consider(struct store_salvage *salvage, bool can_read, struct fb_cause *cause) {
    struct found found;
    const struct fate fate = find_fate(salvage, salvage->walk.number);
    if (fate.is_sent != (salvage->kind == STORE_SALVAGE_HISTORY))
        return FB_OK;
    if (!can_read || !read_row(salvage, &found)) {
        lose(salvage, &fate);
        return FB_OK;
    }
    salvage->seen_ms = found.last_ms;
    const bool is_own = memcmp(salvage->info.store_id, salvage->store->id, BATCH_STORE_ID_BYTES) == 0;
    return is_own ? FB_OK : take(salvage, &found, cause);
}

/* Whether this is the first time that it is asked: the tail and the losses are taken once, by inheritance or here. */
static enum fb_error claim_tail(struct store_salvage *salvage, bool *ret_is_first, struct fb_cause *cause) {
    sqlite3_stmt *add = salvage->statements[ADD_TAIL];
    sqlite3_bind_text(add, 3, salvage->path, -1, SQLITE_STATIC);
    const int code = step(add, salvage->id, sizeof salvage->id, STORE_SALVAGE_TAIL);
    *ret_is_first = code == SQLITE_ROW;
    sqlite3_reset(add);
    return store_result(salvage->store->db, code, cause, "salvage");
}

/* What can be read of it goes as the batches that the old store would have sealed next. */
static enum fb_error take_sealed_tail(struct store_salvage *salvage, struct store_last_batches *last,
                                      struct fb_cause *cause) {
    const size_t bytes_most = store_batch_bytes_most(salvage->store);
    enum fb_error error;
    while ((error = store_last_batches_next(last, bytes_most, cause)) == FB_OK) {
        const struct found found = {
            .hash = last->hash,
            .bytes = last->bytes,
            .length = last->length,
            .readings = last->readings,
            .first_ms = last->first_ms,
            .last_ms = last->last_ms,
        };
        salvage->info = last->info;
        error = take(salvage, &found, cause);
        if (error != FB_OK)
            return error;
    }
    return error == FB_NOT_FOUND ? FB_OK : error;
}

/* After the batches: nothing else tells of what the old store had not sealed yet. Inside a transaction. */
static enum fb_error take_tail(struct store_salvage *salvage, struct fb_cause *cause) {
    struct store_last_batches *last = NULL;
    bool is_first = false;
    enum fb_error error = claim_tail(salvage, &is_first, cause);
    if (error != FB_OK || !is_first)
        return error;
    error = store_last_batches_read(salvage->old, salvage->store->gateway, &last, cause);
    if (error == FB_OK)
        error = take_sealed_tail(salvage, last, cause);
    const struct batch_loss loss = {.reason = BATCH_LOSS_DAMAGED, .from_ms = salvage->seen_ms, .to_ms = clock_utc_ms()};
    if (error == FB_OK && !last->complete)
        store_note_loss(salvage->store, &loss);
    store_last_batches_free(last);
    return error;
}

/* Inside a transaction. FB_FULL only when nothing at all found room. */
static enum fb_error take_some(struct store_salvage *salvage, int64_t until_us, bool *ret_done,
                               struct fb_cause *cause) {
    const uint64_t before = salvage->progress.batches;
    int code = SQLITE_ROW;
    for (int i = 0; i < BATCHES_MOST && clock_monotonic_us() < until_us; i++) {
        const int64_t came_from = salvage->walk.number;
        code = store_walk_step(&salvage->walk);
        if (code == SQLITE_DONE)
            break;
        const enum fb_error error = code == SQLITE_BUSY ? FB_OK : consider(salvage, code == SQLITE_ROW, cause);
        if (error != FB_OK)
            salvage->walk.number = came_from;
        if (error == FB_FULL && salvage->progress.batches > before)
            break;
        if (error != FB_OK)
            return error;
    }
    store_walk_rest(&salvage->walk);
    salvage->progress.number = salvage->walk.number;
    *ret_done = code == SQLITE_DONE;
    return FB_OK;
}

/* The tail has a transaction of its own, after the batches. */
static enum fb_error take_slice(struct store_salvage *salvage, int64_t until_us, bool *ret_done,
                                struct fb_cause *cause) {
    const uint64_t before = salvage->progress.batches;
    bool done = false;
    enum fb_error error = take_some(salvage, until_us, &done, cause);
    *ret_done = done && salvage->kind != STORE_SALVAGE_UNSENT;
    if (error != FB_OK || !done || *ret_done || salvage->progress.batches > before)
        return error;
    error = take_tail(salvage, cause);
    *ret_done = error == FB_OK;
    return error;
}

enum fb_error store_salvage_step(struct store_salvage *salvage, int64_t budget_us, bool *ret_done,
                                 struct fb_cause *cause) {
    struct store *store = salvage->store;
    const struct progress before = salvage->progress;
    const int64_t local = salvage->local;
    bool done = false;
    enum fb_error error = store_begin(store, cause);
    if (error != FB_OK)
        return store_finish(store, error, "salvage", cause);
    error = take_slice(salvage, clock_monotonic_us() + budget_us, &done, cause);
    if (error == FB_OK)
        error = store_result(store->db, save(salvage, done), cause, "salvage");
    if (error == FB_OK)
        error = store_refresh_oldest(store, cause);
    store_walk_rest(&salvage->walk);
    error = store_end(store, error, true, cause);
    if (error == FB_OK) {
        salvage->finished = *ret_done = done;
        return FB_OK;
    }
    salvage->progress = before;
    salvage->walk.number = before.number;
    salvage->local = local;
    return store_quota_gave_up(store, error) ? FB_OK : store_finish(store, error, "salvage", cause);
}

void store_salvage_name_id(const char *path, uint8_t ret_id[static BATCH_STORE_ID_BYTES]) {
    uint8_t hash[BATCH_HASH_BYTES];
    batch_hash((const uint8_t *)path, strlen(path), hash);
    memcpy(ret_id, hash, BATCH_STORE_ID_BYTES);
}

static void identify(struct store_salvage *salvage) {
    sqlite3_stmt *statement = NULL;
    store_salvage_name_id(salvage->path, salvage->id);
    salvage->last_number = NUMBERS_MOST;
    if (sqlite3_prepare_v2(salvage->old, "SELECT store_id, last_number FROM state WHERE id = 1", -1, &statement,
                           NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW && store_take_bytes(statement, 0, salvage->id, sizeof salvage->id))
        salvage->last_number = sqlite3_column_int64(statement, 1);
    sqlite3_finalize(statement);
}

static enum fb_error find_row(struct store_salvage *salvage, struct fb_cause *cause) {
    sqlite3_stmt *add = salvage->statements[ADD_ROW], *find = salvage->statements[FIND_ROW];
    sqlite3_bind_text(add, 3, salvage->path, -1, SQLITE_STATIC);
    int code = step(add, salvage->id, sizeof salvage->id, salvage->kind);
    sqlite3_reset(add);
    if (code == SQLITE_DONE)
        code = step(find, salvage->id, sizeof salvage->id, salvage->kind);
    if (code == SQLITE_ROW) {
        salvage->row = sqlite3_column_int64(find, 0);
        const int64_t next_number = sqlite3_column_int64(find, 1);
        salvage->progress = (struct progress){
            .number = next_number > 0 ? next_number - 1 : 0,
            .batches = (uint64_t)sqlite3_column_int64(find, 2),
            .readings = (uint64_t)sqlite3_column_int64(find, 3),
            .unreadable = (uint64_t)sqlite3_column_int64(find, 4),
        };
    }
    sqlite3_reset(find);
    if (code == SQLITE_ROW)
        code = read_number(salvage->statements[COUNT_ALL], &salvage->local);
    salvage->local += (int64_t)STORE_SALVAGED_FIRST;
    return store_result(salvage->store->db, code, cause, "salvage");
}

static bool has_tail(struct store_salvage *salvage) {
    sqlite3_stmt *find = salvage->statements[FIND_ROW];
    const int code = step(find, salvage->id, sizeof salvage->id, STORE_SALVAGE_TAIL);
    sqlite3_reset(find);
    return code == SQLITE_ROW;
}

/* What was found out about the times of its batches, and of those that its tail will become; unless it cannot say any
 * more who it is, or all that was taken with the tail. */
static enum fb_error take_corrections(struct store_salvage *salvage, struct fb_cause *cause) {
    struct store *store = salvage->store;
    uint8_t no_id[BATCH_STORE_ID_BYTES];
    store_salvage_name_id(salvage->path, no_id);
    if (memcmp(salvage->id, no_id, sizeof no_id) == 0 || has_tail(salvage))
        return FB_OK;
    const enum fb_error error = store_begin(store, cause);
    if (error != FB_OK)
        return error;
    store_corrections_inherit(store, salvage->old, salvage->id, (uint64_t)salvage->last_number + TAIL_BATCHES_MOST,
                              false);
    return store_end(store, FB_OK, false, cause);
}

static enum fb_error prepare(struct store_salvage *salvage, struct fb_cause *cause) {
    int code = SQLITE_OK;
    for (size_t i = 0; code == SQLITE_OK && i < STATEMENTS; i++)
        code = sqlite3_prepare_v2(salvage->store->db, sql[i], -1, &salvage->statements[i], NULL);
    enum fb_error error = store_result(salvage->store->db, code, cause, "salvage");
    if (error == FB_OK)
        error = find_row(salvage, cause);
    if (error != FB_OK)
        return error;
    code = sqlite3_prepare_v2(salvage->old, "SELECT damaged, readings, first_ms, last_ms FROM queue WHERE number = ?1",
                              -1, &salvage->fate, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(salvage->old, "SELECT bytes FROM catalogues WHERE hash = ?1", -1, &salvage->catalogue,
                                  NULL);
    if (code == SQLITE_OK)
        code = store_walk_begin(&salvage->walk, salvage->old, "number, hash, bytes, readings, first_ms, last_ms",
                                salvage->progress.number, salvage->last_number);
    return code == SQLITE_OK ? FB_OK : fb_fail(cause, FB_DENIED, "%s: not a store of Forebay", salvage->path);
}

enum fb_error store_salvage_begin(struct store *store, const char *path, enum store_salvage_kind kind,
                                  const uint8_t key[static STORE_KEY_BYTES], struct store_salvage **ret_salvage,
                                  struct fb_cause *cause) {
    struct fb_cause why;
    if (access(path, R_OK) < 0)
        return fb_fail(cause, FB_NOT_FOUND, "%s: there is no such file that forebay-core can read", path);
    struct store_salvage *salvage = calloc(1, sizeof *salvage);
    char *copy = strdup(path);
    if (salvage == NULL || copy == NULL) {
        free(salvage);
        free(copy);
        return fb_fail(cause, FB_MEMORY, "out of memory");
    }
    *salvage = (struct store_salvage){.store = store, .path = copy, .kind = kind};
    enum fb_error error = store_database_look(path, key, &salvage->old, &why);
    if (error != FB_OK)
        error = fb_fail(cause, FB_DENIED, "%s: %s", path, why.text);
    if (error == FB_OK)
        identify(salvage);
    if (error == FB_OK && memcmp(salvage->id, store->id, sizeof salvage->id) == 0)
        error = fb_fail(cause, FB_INVALID, "%s: an earlier copy of the store in use, which has all of it", path);
    if (error == FB_OK)
        error = prepare(salvage, cause);
    if (error == FB_OK)
        error = take_corrections(salvage, cause);
    if (error != FB_OK) {
        store_salvage_end(salvage);
        return error;
    }
    *ret_salvage = salvage;
    return FB_OK;
}

void store_salvage_end(struct store_salvage *salvage) {
    if (salvage == NULL)
        return;
    for (size_t i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(salvage->statements[i]);
    sqlite3_finalize(salvage->fate);
    sqlite3_finalize(salvage->catalogue);
    store_walk_end(&salvage->walk);
    sqlite3_close(salvage->old);
    free(salvage->path);
    free(salvage);
}

void store_salvage_figures(const struct store_salvage *salvage, struct store_salvage_figures *ret_figures) {
    const int64_t last = salvage->last_number > 0 ? salvage->last_number : 1;
    const int64_t at = salvage->progress.number < last ? salvage->progress.number : last;
    *ret_figures = (struct store_salvage_figures){
        .path = salvage->path,
        .batches = salvage->progress.batches,
        .readings = salvage->progress.readings,
        .unreadable = salvage->progress.unreadable,
        .done = salvage->finished ? 1 : (double)at / (double)last,
    };
}

enum fb_error store_salvage_unfinished(struct store *store, char *ret_path, size_t size, struct fb_cause *cause) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->db, "SELECT path FROM salvages WHERE finished = 0 AND kind = 0 LIMIT 1", -1,
                                  &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        snprintf(ret_path, size, "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? FB_NOT_FOUND : store_result(store->db, code, cause, "salvage");
}

enum fb_error store_salvage_give_up(struct store *store, const char *path, struct fb_cause *cause) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->db, "UPDATE salvages SET finished = 1 WHERE path = ?1", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(statement, 1, path, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return store_result(store->db, code, cause, "salvage");
}
