#include <stdlib.h>
#include <string.h>

#include "store/store_internal.h"

/* A new store that takes the place of a damaged one goes on where that one stood: tags keep their numbers, readings of
 * the tail are sealed under its own identity, and forebay-field goes on behind the last of them. What is read here is
 * small; the batches follow later, see store_salvage.c. It keeps an identity of its own, since nobody can say any more
 * which numbers the old one has given. */
struct estate {
    struct store *heir;
    sqlite3 *old;
    const struct store_settings *settings;
    uint8_t *catalogue; /* CATALOGUE_BYTES_MAX */
    uint8_t id[BATCH_STORE_ID_BYTES];
    uint64_t last_number;
    bool has_state, has_last_number;
    bool complete; /* until something could not be read */
};

static void take_state(struct estate *estate, sqlite3_stmt *row) {
    if (sqlite3_column_bytes(row, 0) != BATCH_STORE_ID_BYTES)
        return;
    memcpy(estate->id, sqlite3_column_blob(row, 0), BATCH_STORE_ID_BYTES);
    estate->last_number = (uint64_t)sqlite3_column_int64(row, 3);
    estate->heir->state.cursor = (struct store_cursor){
        .epoch = (uint64_t)sqlite3_column_int64(row, 1),
        .sequence = (uint64_t)sqlite3_column_int64(row, 2),
    };
    estate->heir->state.lost_readings += (uint64_t)sqlite3_column_int64(row, 4);
    estate->has_state = true;
}

/* What the link has cost, and which events have left, stays true; files of before that was kept have fewer columns. */
static void take_link(struct estate *estate, sqlite3_stmt *row) {
    if (sqlite3_column_count(row) < STORE_STATE_COLUMNS)
        return;
    estate->heir->state.link = (struct store_link){
        .batch_bytes_most = (uint64_t)sqlite3_column_int64(row, 14),
        .month = (uint32_t)sqlite3_column_int64(row, 15),
        .month_bytes = (uint64_t)sqlite3_column_int64(row, 16),
        .event_sent = (uint64_t)sqlite3_column_int64(row, 17),
    };
}

static void take_tag(struct estate *estate, sqlite3_stmt *row) {
    sqlite3_stmt *insert = NULL;
    int code = sqlite3_prepare_v2(estate->heir->db, "INSERT INTO tags VALUES(?1, ?2, ?3)", -1, &insert, NULL);
    for (int i = 0; code == SQLITE_OK && i < 3; i++)
        code = sqlite3_bind_value(insert, i + 1, sqlite3_column_value(row, i));
    if (code == SQLITE_OK)
        code = sqlite3_step(insert);
    sqlite3_finalize(insert);
    estate->complete = estate->complete && code == SQLITE_DONE;
}

/* The numbers of batches were the old store's. Their readings count as lost there already. */
static void take_loss(struct estate *estate, sqlite3_stmt *row) {
    const struct batch_loss loss = {
        .reason = (enum batch_loss_reason)sqlite3_column_int64(row, 0),
        .readings = (uint64_t)sqlite3_column_int64(row, 1),
        .from_ms = sqlite3_column_int64(row, 2),
        .to_ms = sqlite3_column_int64(row, 3),
    };
    store_losses_add(&estate->heir->state, &loss);
}

/* It names the same tags by the same numbers; only the store that it belongs to is another. */
static void take_catalogue(struct estate *estate, sqlite3_stmt *row) {
    struct store *heir = estate->heir;
    struct catalogue catalogue;
    size_t length;
    if (catalogue_decode(sqlite3_column_blob(row, 0), (size_t)sqlite3_column_bytes(row, 0), &catalogue, NULL) !=
        FB_OK) {
        estate->complete = false;
        return;
    }
    memcpy(catalogue.store_id, heir->id, sizeof catalogue.store_id);
    catalogue.revision = 1;
    int code = SQLITE_ERROR;
    if (catalogue_encode(&catalogue, estate->catalogue, &length, NULL) == FB_OK) {
        batch_hash(estate->catalogue, length, heir->state.catalogue_hash);
        code = store_run(heir, STORE_ADD_CATALOGUE, "ibb", INT64_C(1), heir->state.catalogue_hash,
                         sizeof heir->state.catalogue_hash, estate->catalogue, length);
    }
    heir->state.catalogue_revision = code == SQLITE_DONE;
    estate->complete = estate->complete && code == SQLITE_DONE;
    catalogue_done(&catalogue);
}

/* Where the state cannot tell it any more. */
static void take_last_number(struct estate *estate, sqlite3_stmt *row) {
    if (!estate->has_state)
        estate->last_number = (uint64_t)sqlite3_column_int64(row, 0);
    estate->has_last_number = true;
}

static const struct {
    const char *sql;
    void (*take)(struct estate *estate, sqlite3_stmt *row);
} queries[] = {
    {"SELECT store_id, epoch, sequence, last_number, lost_readings FROM state WHERE id = 1", take_state},
    {"SELECT * FROM state WHERE id = 1", take_link},
    {"SELECT number FROM batches WHERE number < 1 << 62 ORDER BY number DESC LIMIT 1", take_last_number},
    {"SELECT number, instrument, name FROM tags NOT INDEXED", take_tag},
    {"SELECT bytes FROM catalogues WHERE revision < 1 << 62 ORDER BY revision DESC LIMIT 1", take_catalogue},
    {"SELECT reason, readings, from_ms, to_ms FROM losses ORDER BY id", take_loss},
};

static void take_rows(struct estate *estate, const char *sql, void (*take)(struct estate *, sqlite3_stmt *)) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(estate->old, sql, -1, &statement, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
            take(estate, statement);
    }
    estate->complete = estate->complete && code == SQLITE_DONE;
    sqlite3_finalize(statement);
}

/* The batches to come, for store_salvage.c. */
static int note_salvage(struct estate *estate, const char *aside) {
    static const char sql[] = "INSERT INTO salvages VALUES(NULL, ?1, 0, ?2, 0, 0, 0, 0, 0, 0)";
    sqlite3_stmt *insert = NULL;
    int code = sqlite3_prepare_v2(estate->heir->db, sql, -1, &insert, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_blob(insert, 1, estate->id, sizeof estate->id, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(insert, 2, aside, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_step(insert);
    sqlite3_finalize(insert);
    return code;
}

static enum fb_error take_all(struct estate *estate, const char *aside) {
    struct store *heir = estate->heir;
    enum fb_error error = store_begin(heir, NULL);
    if (error != FB_OK)
        return error;
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++)
        take_rows(estate, queries[i].sql, queries[i].take);
    if (!estate->has_state)
        store_salvage_name_id(aside, estate->id);
    else
        store_corrections_inherit(heir, estate->old, estate->id, estate->last_number, true);
    error = store_result(heir->db, note_salvage(estate, aside), NULL, "salvage");
    return store_end(heir, error, true, NULL);
}

/* Readings that no catalogue names could never be sealed. */
static void take_tail(struct estate *estate) {
    struct store *heir = estate->heir;
    if ((estate->has_state || estate->has_last_number) && heir->state.catalogue_revision > 0)
        estate->complete &= store_load_tail(heir, estate->old, estate->last_number + 1, NULL) == FB_OK;
    else
        estate->complete = false;
    store_slots_restart(heir, 1);
    const int64_t now_ms = estate->settings->now_ms;
    const int64_t since_ms = heir->tail_count > 0 ? heir->tail[heir->tail_count - 1].time_ms : now_ms;
    const struct batch_loss loss = {.reason = BATCH_LOSS_DAMAGED, .from_ms = since_ms, .to_ms = now_ms};
    if (!estate->complete)
        store_note_loss(heir, &loss);
    const struct store_cursor cursor = heir->state.cursor;
    heir->state.cursor = (struct store_cursor){0}; /* so that it is written also when the tail was empty */
    if (store_commit(heir, cursor, NULL) != FB_OK)
        estate->complete = false;
}

static enum fb_error look(const char *path, const struct store_settings *settings,
                          const uint8_t key[static STORE_KEY_BYTES], sqlite3 **ret_db) {
    enum fb_error error = store_database_look(path, key, ret_db, NULL);
    if (error != FB_OK && settings->next_key != NULL)
        error = store_database_look(path, settings->next_key, ret_db, NULL);
    return error;
}

bool store_inherit(struct store *heir, const char *path, const char *aside, const struct store_settings *settings,
                   const uint8_t key[static STORE_KEY_BYTES]) {
    struct estate estate = {.heir = heir, .settings = settings, .complete = true};
    estate.catalogue = malloc(CATALOGUE_BYTES_MAX);
    if (estate.catalogue == NULL || look(path, settings, key, &estate.old) != FB_OK) {
        free(estate.catalogue);
        return false;
    }
    const bool taken = take_all(&estate, aside) == FB_OK;
    if (taken)
        take_tail(&estate);
    if (taken)
        store_records_inherit(heir, estate.old);
    sqlite3_close(estate.old);
    free(estate.catalogue);
    return taken && (estate.has_state || estate.has_last_number);
}
