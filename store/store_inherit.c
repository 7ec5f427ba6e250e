#include <stdlib.h>
#include <string.h>

#include "store/store_internal.h"
#include "store/store_salvage.h"

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
    int64_t sealed_ms; /* time of the last reading in a batch */
    bool has_state, has_last_number;
    bool complete;         /* until something could not be read */
    enum fb_error failure; /* of the heir: what was there to be read could not be written */
    struct fb_cause *cause;
};

/* A row that was read went into the heir, or not. A row against the heir's rules is the old store's damage. */
static void note_written(struct estate *estate, int code) {
    const bool old_is_damaged = (code & 0xff) == SQLITE_CONSTRAINT || (code & 0xff) == SQLITE_MISMATCH;
    estate->complete = estate->complete && code == SQLITE_DONE;
    if (code != SQLITE_DONE && !old_is_damaged && estate->failure == FB_OK)
        estate->failure = store_result(estate->heir->db, code, estate->cause, "inheriting");
}

static void take_state(struct estate *estate, sqlite3_stmt *row) {
    if (!store_take_bytes(row, 0, estate->id, sizeof estate->id))
        return;
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
    note_written(estate, code);
    sqlite3_finalize(insert);
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
    const enum fb_error error = catalogue_encode(&catalogue, estate->catalogue, &length, estate->cause);
    catalogue_done(&catalogue);
    if (error != FB_OK) {
        estate->failure = error;
        return;
    }
    batch_hash(estate->catalogue, length, heir->state.catalogue_hash);
    const int code = store_run(heir, STORE_ADD_CATALOGUE, "ibb", INT64_C(1), heir->state.catalogue_hash,
                               sizeof heir->state.catalogue_hash, estate->catalogue, length);
    heir->state.catalogue_revision = code == SQLITE_DONE;
    note_written(estate, code);
}

/* Where the state cannot tell it any more. */
static void take_last_number(struct estate *estate, sqlite3_stmt *row) {
    if (!estate->has_state)
        estate->last_number = (uint64_t)sqlite3_column_int64(row, 0);
    estate->sealed_ms = sqlite3_column_int64(row, 1);
    estate->has_last_number = true;
}

static const struct {
    const char *sql;
    void (*take)(struct estate *estate, sqlite3_stmt *row);
} queries[] = {
    {"SELECT store_id, epoch, sequence, last_number, lost_readings FROM state WHERE id = 1", take_state},
    {"SELECT * FROM state WHERE id = 1", take_link},
    {"SELECT number, last_ms FROM batches WHERE number < 1 << 62 ORDER BY number DESC LIMIT 1", take_last_number},
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
    if (code == SQLITE_NOMEM)
        estate->failure = FB_MEMORY;
    sqlite3_finalize(statement);
}

static void take_salvage(struct estate *estate, sqlite3_stmt *row) {
    static const char sql[] = "INSERT OR IGNORE INTO salvages VALUES(NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    sqlite3_stmt *insert = NULL;
    int code = sqlite3_prepare_v2(estate->heir->db, sql, -1, &insert, NULL);
    for (int i = 0; code == SQLITE_OK && i < 9; i++)
        code = sqlite3_bind_value(insert, i + 1, sqlite3_column_value(row, i));
    if (code == SQLITE_OK)
        code = sqlite3_step(insert);
    note_written(estate, code);
    sqlite3_finalize(insert);
}

/* Those that the old store had under way, of files set aside before it, go on; old files have no such table. */
static void take_salvages(struct estate *estate) {
    static const char sql[] = "SELECT store_id, kind, path, next_number, last_number, batches, readings, unreadable,"
                              " finished FROM salvages ORDER BY id";
    sqlite3_stmt *statement = NULL;
    const int code = sqlite3_prepare_v2(estate->old, sql, -1, &statement, NULL);
    sqlite3_finalize(statement);
    if (code != SQLITE_ERROR)
        take_rows(estate, sql, take_salvage);
}

/* The batches to come, for store_salvage.c; the tail comes here. */
static int note_salvages(struct estate *estate, const char *aside) {
    static const char sql[] = "INSERT OR REPLACE INTO salvages VALUES(NULL, ?1, ?3, ?2, 0, 0, 0, 0, 0, ?3 <> 0)";
    static const int64_t kinds[] = {STORE_SALVAGE_UNSENT, STORE_SALVAGE_TAIL};
    sqlite3_stmt *insert = NULL;
    int code = sqlite3_prepare_v2(estate->heir->db, sql, -1, &insert, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_blob(insert, 1, estate->id, sizeof estate->id, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(insert, 2, aside, -1, SQLITE_STATIC);
    for (size_t i = 0; (code == SQLITE_OK || code == SQLITE_DONE) && i < sizeof kinds / sizeof kinds[0]; i++) {
        sqlite3_reset(insert);
        sqlite3_bind_int64(insert, 3, kinds[i]);
        code = sqlite3_step(insert);
    }
    sqlite3_finalize(insert);
    return code;
}

static enum fb_error take_all(struct estate *estate, const char *aside) {
    struct store *heir = estate->heir;
    enum fb_error error = store_begin(heir, estate->cause);
    if (error != FB_OK)
        return error;
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++)
        take_rows(estate, queries[i].sql, queries[i].take);
    take_salvages(estate);
    if (!estate->has_state)
        store_salvage_name_id(aside, estate->id);
    else
        store_corrections_inherit(heir, estate->old, estate->id, estate->last_number, true);
    error = estate->failure;
    if (error == FB_OK)
        error = store_result(heir->db, note_salvages(estate, aside), estate->cause, "salvage");
    return store_end(heir, error, true, estate->cause);
}

/* How much it was, nobody can say; and since when only as far as a reading is known to be there. */
static void note_unknown_loss(struct estate *estate) {
    const struct store *heir = estate->heir;
    const int64_t since_ms = heir->tail_count > 0 ? heir->tail[heir->tail_count - 1].time_ms : estate->sealed_ms;
    const struct batch_loss loss = {
        .reason = BATCH_LOSS_DAMAGED, .from_ms = since_ms, .to_ms = estate->settings->now_ms};
    store_note_loss(estate->heir, &loss);
}

/* Readings that no catalogue names could never be sealed. */
static enum fb_error take_tail(struct estate *estate) {
    struct store *heir = estate->heir;
    enum fb_error error = FB_CORRUPT;
    if ((estate->has_state || estate->has_last_number) && heir->state.catalogue_revision > 0)
        error = store_load_tail(heir, estate->old, estate->last_number + 1, estate->cause);
    estate->complete &= error == FB_OK;
    store_slots_restart(heir, 1);
    if (error == FB_MEMORY || (!estate->complete && !store_damage_can_tell()))
        return fb_fail(estate->cause, FB_MEMORY, "out of memory");
    if (!estate->complete)
        note_unknown_loss(estate);
    const struct store_cursor cursor = heir->state.cursor;
    heir->state.cursor = (struct store_cursor){0}; /* so that it is written also when the tail was empty */
    return store_commit(heir, cursor, estate->cause);
}

static enum fb_error look(struct estate *estate, const char *path, const uint8_t key[static STORE_KEY_BYTES]) {
    const struct store_settings *settings = estate->settings;
    enum fb_error error = store_database_look(path, key, &estate->old, estate->cause);
    if (error != FB_OK && error != FB_MEMORY && settings->next_key != NULL)
        error = store_database_look(path, settings->next_key, &estate->old, estate->cause);
    return error;
}

/* From a file that gives nothing: all that it may have held. */
static enum fb_error take_nothing(struct estate *estate) {
    if (!store_damage_can_tell())
        return fb_fail(estate->cause, FB_MEMORY, "out of memory");
    note_unknown_loss(estate);
    return store_commit(estate->heir, estate->heir->state.cursor, estate->cause);
}

static enum fb_error take(struct estate *estate, const char *aside) {
    enum fb_error error = take_all(estate, aside);
    if (error == FB_OK)
        error = take_tail(estate);
    if (error == FB_OK)
        store_records_inherit(estate->heir, estate->old);
    return error;
}

enum fb_error store_inherit(struct store *heir, const char *path, const char *aside,
                            const struct store_settings *settings, const uint8_t key[static STORE_KEY_BYTES],
                            bool *ret_inherited, struct fb_cause *cause) {
    struct estate estate = {.heir = heir, .settings = settings, .complete = true, .cause = cause};
    estate.catalogue = malloc(CATALOGUE_BYTES_MAX);
    if (estate.catalogue == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    enum fb_error error = look(&estate, path, key);
    if (error == FB_OK)
        error = take(&estate, aside);
    else if (error != FB_MEMORY && error != FB_AGAIN && error != FB_FULL)
        error = take_nothing(&estate);
    sqlite3_close(estate.old);
    free(estate.catalogue);
    if (error == FB_OK)
        *ret_inherited = estate.has_state || estate.has_last_number;
    return error;
}
