#include <stdlib.h>
#include <string.h>

#include "store/store_internal.h"

/* Tail and losses of a store set aside, as the batches that it would have sealed next, under its own identity: if those
 * were sealed and sent, in commits that the file has lost, the receiver drops them. Nothing but what stands in the old
 * file goes into them, so that they are the same whenever they are made. */

struct query {
    const char *sql;
    bool (*take)(struct store_last_batches *last, sqlite3_stmt *row);
};

static bool take_state(struct store_last_batches *last, sqlite3_stmt *row) {
    last->info.number = (uint64_t)sqlite3_column_int64(row, 1);
    return store_take_bytes(row, 0, last->info.store_id, BATCH_STORE_ID_BYTES) &&
           store_take_bytes(row, 2, last->info.previous, BATCH_HASH_BYTES);
}

static bool take_catalogue(struct store_last_batches *last, sqlite3_stmt *row) {
    return store_take_bytes(row, 0, last->info.catalogue, BATCH_HASH_BYTES);
}

static bool take_clock(struct store_last_batches *last, sqlite3_stmt *row) {
    last->info.clock = sqlite3_column_int64(row, 0) != 0 ? CLOCK_FREE_RUNNING : CLOCK_NOT_SET;
    return true;
}

static bool take_loss(struct store_last_batches *last, sqlite3_stmt *row) {
    const struct batch_loss loss = {
        .reason = (enum batch_loss_reason)sqlite3_column_int64(row, 0),
        .readings = (uint64_t)sqlite3_column_int64(row, 1),
        .from_ms = sqlite3_column_int64(row, 2),
        .to_ms = sqlite3_column_int64(row, 3),
        .first_batch = (uint64_t)sqlite3_column_int64(row, 4),
        .last_batch = (uint64_t)sqlite3_column_int64(row, 5),
    };
    if (last->info.loss_count == BATCH_LOSSES_MAX || loss.last_batch > last->info.number)
        return false;
    last->info.losses[last->info.loss_count++] = loss;
    return true;
}

static const struct query state_query = {"SELECT store_id, last_number, last_hash FROM state WHERE id = 1", take_state};
static const struct query catalogue_query = {
    "SELECT hash FROM catalogues WHERE revision < 1 << 62 ORDER BY revision DESC LIMIT 1", take_catalogue};
static const struct query clock_query = {"SELECT is_set FROM clock WHERE id = 1", take_clock};
static const struct query losses_query = {
    "SELECT reason, readings, from_ms, to_ms, first_batch, last_batch FROM losses ORDER BY id", take_loss};

/* How many rows, all of them taken; -1: not so. */
static int read_rows(sqlite3 *old, const struct query *query, struct store_last_batches *last) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(old, query->sql, -1, &statement, NULL);
    int rows = 0;
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code != SQLITE_ROW)
            break;
        if (!query->take(last, statement))
            code = SQLITE_CORRUPT;
        rows++;
    }
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? rows : -1;
}

static enum fb_error read_all(sqlite3 *old, struct store_last_batches *last, struct fb_cause *cause) {
    last->info.clock = CLOCK_FREE_RUNNING;
    read_rows(old, &clock_query, last); /* older files have no such table */
    if (read_rows(old, &state_query, last) != 1)
        return FB_OK;
    const bool has_catalogue = read_rows(old, &catalogue_query, last) == 1;
    const bool has_losses = read_rows(old, &losses_query, last) >= 0;
    const enum fb_error error = store_load_tail(last->vessel, old, last->info.number + 1, cause);
    if (error == FB_MEMORY)
        return error;
    const bool is_empty = last->vessel->tail_count == 0 && last->info.loss_count == 0;
    last->complete = error == FB_OK && has_losses && (has_catalogue || is_empty);
    if (!has_catalogue) { /* no batch goes without one */
        last->vessel->tail_count = 0;
        last->info.loss_count = 0;
    }
    return FB_OK;
}

enum fb_error store_last_batches_read(sqlite3 *old, const char *gateway, struct store_last_batches **ret_last,
                                      struct fb_cause *cause) {
    struct store_last_batches *last = calloc(1, sizeof *last);
    struct store *vessel = calloc(1, sizeof *vessel);
    *ret_last = last;
    if (last == NULL || vessel == NULL) {
        free(vessel);
        return fb_fail(cause, FB_MEMORY, "out of memory");
    }
    last->vessel = vessel;
    memcpy(last->info.gateway, gateway, sizeof last->info.gateway);
    return read_all(old, last, cause);
}

void store_last_batches_free(struct store_last_batches *last) {
    if (last == NULL)
        return;
    if (last->vessel != NULL)
        free(last->vessel->tail);
    free(last->vessel);
    free(last);
}

/* The times of the readings; of losses alone, the end of the last one. */
static void find_times(struct store_last_batches *last, const struct reading *readings, size_t units) {
    last->first_ms = units > 0 ? READING_TIME_MAX_MS : last->info.losses[last->info.loss_count - 1].to_ms;
    last->last_ms = units > 0 ? READING_TIME_MIN_MS : last->first_ms;
    for (size_t i = 0; i < units; i += reading_units(&readings[i])) {
        last->first_ms = readings[i].time_ms < last->first_ms ? readings[i].time_ms : last->first_ms;
        last->last_ms = readings[i].time_ms > last->last_ms ? readings[i].time_ms : last->last_ms;
    }
}

enum fb_error store_last_batches_next(struct store_last_batches *last, size_t bytes_most, struct fb_cause *cause) {
    const struct store *vessel = last->vessel;
    const size_t left = vessel->tail_count - last->done;
    if (last->length > 0) { /* behind the one before */
        memcpy(last->info.previous, last->hash, sizeof last->hash);
        last->info.loss_count = 0;
    }
    if (left == 0 && last->info.loss_count == 0)
        return FB_NOT_FOUND;
    const struct reading *tail = store_tail_from(vessel, last->done);
    size_t units = 0;
    find_times(last, tail, left);
    last->info.number++;
    last->info.sealed_ms = last->last_ms;
    const enum fb_error error =
        store_pack(&last->info, tail, left, bytes_most, last->bytes, &last->length, &units, cause);
    if (error != FB_OK)
        return error;
    find_times(last, tail, units);
    batch_hash(last->bytes, last->length, last->hash);
    last->readings = readings_count(tail, units);
    last->done += units;
    return FB_OK;
}
