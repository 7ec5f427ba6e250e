#include <stdlib.h>
#include <string.h>

#include "store/store_internal.h"

/* Each row of a query that is read once goes to a function; false ends it as corrupt. */
typedef bool row_handler(struct store *store, sqlite3_stmt *row);

static bool take_state(struct store *store, sqlite3_stmt *row) {
    struct store_state *state = &store->state;
    state->cursor.epoch = (uint64_t)sqlite3_column_int64(row, 2);
    state->cursor.sequence = (uint64_t)sqlite3_column_int64(row, 3);
    state->last_number = (uint64_t)sqlite3_column_int64(row, 4);
    state->batches = (uint64_t)sqlite3_column_int64(row, 6);
    state->readings = (uint64_t)sqlite3_column_int64(row, 7);
    state->unsent_batches = (uint64_t)sqlite3_column_int64(row, 8);
    state->unsent_readings = (uint64_t)sqlite3_column_int64(row, 9);
    state->lost_readings = (uint64_t)sqlite3_column_int64(row, 10);
    state->sent_ms = sqlite3_column_int64(row, 11);
    state->thinned_to = (uint64_t)sqlite3_column_int64(row, 12);
    state->evicted_to = (uint64_t)sqlite3_column_int64(row, 13);
    state->link = (struct store_link){
        .batch_bytes_most = (uint64_t)sqlite3_column_int64(row, 14),
        .month = (uint32_t)sqlite3_column_int64(row, 15),
        .month_bytes = (uint64_t)sqlite3_column_int64(row, 16),
        .event_sent = (uint64_t)sqlite3_column_int64(row, 17),
    };
    state->parked_changed = true;
    return store_take_bytes(row, 1, store->id, BATCH_STORE_ID_BYTES) &&
           store_take_bytes(row, 5, state->last_hash, BATCH_HASH_BYTES);
}

static bool take_catalogue(struct store *store, sqlite3_stmt *row) {
    store->state.catalogue_revision = (uint64_t)sqlite3_column_int64(row, 0);
    return store_take_bytes(row, 1, store->state.catalogue_hash, BATCH_HASH_BYTES);
}

/* Whether people were told of it before the end, nobody knows: better twice than never. */
static bool take_loss(struct store *store, sqlite3_stmt *row) {
    if (store->state.loss_count == BATCH_LOSSES_MAX)
        return false;
    struct batch_loss *loss = &store->state.losses[store->state.loss_count++];
    *loss = (struct batch_loss){
        .reason = (enum batch_loss_reason)sqlite3_column_int64(row, 0),
        .readings = (uint64_t)sqlite3_column_int64(row, 1),
        .from_ms = sqlite3_column_int64(row, 2),
        .to_ms = sqlite3_column_int64(row, 3),
        .first_batch = (uint64_t)sqlite3_column_int64(row, 4),
        .last_batch = (uint64_t)sqlite3_column_int64(row, 5),
    };
    if (loss->reason < BATCH_LOSS_QUOTA || loss->reason > BATCH_LOSS_THINNED)
        return false;
    store_losses_note(&store->state, loss);
    return true;
}

static bool take_newest(struct store *store, sqlite3_stmt *row) {
    return (uint64_t)sqlite3_column_int64(row, 0) <= store->state.last_number;
}

static bool take_any(struct store *store, sqlite3_stmt *row) {
    (void)store;
    return sqlite3_column_int64(row, 0) >= 0;
}

/* Small tables are read to the end, by their index as
 * well, so that damage in them shows here and not in the middle of the work; of the large ones the newest row is looked
 * at, beside which the next one goes. */
static const struct {
    const char *sql;
    row_handler *handler;
    int rows_least;
} queries[] = {
    {"SELECT * FROM state WHERE id = 1", take_state, 1},
    {"SELECT revision, hash FROM catalogues WHERE revision < 1 << 62 ORDER BY revision DESC LIMIT 1", take_catalogue,
     0},
    {"SELECT reason, readings, from_ms, to_ms, first_batch, last_batch FROM losses ORDER BY id", take_loss, 0},
    {"SELECT * FROM corrections ORDER BY id", store_corrections_load, 0},
    {"SELECT boot, first_batch, ahead_ms, is_set FROM clock WHERE id = 1", store_clock_load, 0},
    {"SELECT kind, last, bytes, head, (SELECT id FROM records WHERE id > kind << 56 AND id < (kind + 1) << 56"
     " ORDER BY id LIMIT 1) FROM record_kinds",
     store_records_load, 0},
    {"SELECT (SELECT id FROM records WHERE id < (kind + 1) << 56 ORDER BY id DESC LIMIT 1) FROM record_kinds", take_any,
     0},
    {"SELECT sum(number) FROM tags NOT INDEXED", take_any, 1},
    {"SELECT count(name) FROM tags INDEXED BY sqlite_autoindex_tags_1 WHERE instrument >= ''", take_any, 1},
    {"SELECT count(hash) FROM catalogues INDEXED BY sqlite_autoindex_catalogues_1 WHERE hash >= x''", take_any, 1},
    {"SELECT number FROM batches WHERE number < 1 << 62 ORDER BY number DESC LIMIT 1", take_newest, 0},
    {"SELECT number FROM queue WHERE number < 1 << 62 ORDER BY number DESC LIMIT 1", take_newest, 0},
};

static enum fb_error run_query(struct store *store, const char *sql, row_handler *handler, int rows_least,
                               struct fb_cause *cause) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
    enum fb_error error = FB_OK;
    int rows = 0;
    for (; code == SQLITE_OK || code == SQLITE_ROW; rows++) {
        code = sqlite3_step(statement);
        if (code != SQLITE_ROW)
            break;
        if (!handler(store, statement)) {
            error = fb_fail(cause, FB_CORRUPT, "damaged: a row against the rules (%s)", sql);
            break;
        }
    }
    if (error == FB_OK)
        error = store_result(store->db, code, cause, "reading");
    if (error == FB_OK && rows < rows_least)
        error = fb_fail(cause, FB_CORRUPT, "damaged: its state is missing");
    sqlite3_finalize(statement);
    return error;
}

/* The slots of the batch that comes next, one after the other. ret_bytes: malloc. */
static enum fb_error read_slots(struct store *store, sqlite3 *db, sqlite3_stmt *statement, uint8_t **ret_bytes,
                                size_t *ret_length, struct fb_cause *cause) {
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (sqlite3_column_bytes(statement, 1) != STORE_SLOT_BYTES)
            return fb_fail(cause, FB_CORRUPT, "damaged: its tail has a page of another size");
        uint8_t *bytes = realloc(*ret_bytes, *ret_length + STORE_SLOT_BYTES);
        if (bytes == NULL)
            return fb_fail(cause, FB_MEMORY, "out of memory");
        memcpy(bytes + *ret_length, sqlite3_column_blob(statement, 1), STORE_SLOT_BYTES);
        *ret_bytes = bytes;
        *ret_length += STORE_SLOT_BYTES;
        store->slots.slot = (uint32_t)sqlite3_column_int64(statement, 0);
    }
    return store_result(db, code, cause, "reading the tail");
}

/* Its records bring a newer cursor than the state. What comes next goes into a slot of its own. */
enum fb_error store_load_tail(struct store *store, sqlite3 *db, uint64_t number, struct fb_cause *cause) {
    static const char sql[] = "SELECT slot, bytes FROM tail WHERE batch = ?1 ORDER BY slot";
    sqlite3_stmt *statement = NULL;
    uint8_t *bytes = NULL;
    size_t length = 0;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(statement, 1, (int64_t)number);
    enum fb_error error = store_result(db, code, cause, "reading the tail");
    store->slots = (struct store_slots){.slot = 0};
    if (error == FB_OK)
        error = read_slots(store, db, statement, &bytes, &length, cause);
    if (error == FB_OK)
        error = store_slots_load(store, bytes, length, cause);
    sqlite3_finalize(statement);
    free(bytes);
    store_slots_restart(store, store->slots.slot + 1);
    return error;
}

enum fb_error store_load(struct store *store, struct fb_cause *cause) {
    store->state = (struct store_state){0};
    store->tail_count = 0;
    store->tail_readings = 0;
    enum fb_error error = FB_OK;
    for (size_t i = 0; error == FB_OK && i < sizeof queries / sizeof queries[0]; i++)
        error = run_query(store, queries[i].sql, queries[i].handler, queries[i].rows_least, cause);
    if (error == FB_OK)
        error = store_load_tail(store, store->db, store->state.last_number + 1, cause);
    if (error == FB_OK)
        error = store_result(store->db, store_prepare_all(store), cause, "preparing");
    if (error != FB_OK)
        return error;
    store->tail_committed = store->tail_count;
    return store_refresh_oldest(store, cause);
}
