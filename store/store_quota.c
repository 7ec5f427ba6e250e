#include <inttypes.h>
#include <stdlib.h>

#include "store/store_internal.h"

/* A smaller quota than before is reached step by step, so that no call takes long. */
#define EVICT_MOST 64

static int count(struct store *store, enum store_statement statement, uint64_t *ret_pages) {
    const int code = store_step(store, statement, "");
    if (code == SQLITE_ROW)
        *ret_pages = (uint64_t)store_integer(store, statement, 0);
    store_reset(store, statement);
    return code;
}

static enum fb_error pages_in_use(struct store *store, uint64_t *ret_pages, struct fb_cause *cause) {
    uint64_t all = 0, free_pages = 0;
    int code = count(store, STORE_COUNT_PAGES, &all);
    if (code == SQLITE_ROW)
        code = count(store, STORE_COUNT_FREE_PAGES, &free_pages);
    *ret_pages = all - free_pages;
    return store_result(store->db, code, cause, "counting pages");
}

static enum fb_error delete_batch(struct store *store, uint64_t number, struct fb_cause *cause) {
    int code = store_step(store, STORE_DELETE_BATCH, "i", number);
    if (code == SQLITE_ROW) {
        store->state.batches--;
        store->state.readings -= (uint64_t)store_integer(store, STORE_DELETE_BATCH, 0);
        code = store_step(store, STORE_DELETE_BATCH, "");
    }
    store_reset(store, STORE_DELETE_BATCH);
    const enum fb_error error = store_result(store->db, code, cause, "evicting");
    if (error == FB_CORRUPT)
        store->unreadable_batch = number;
    return error;
}

/* FB_NOT_FOUND when there is none. */
static enum fb_error evict_history(struct store *store, struct fb_cause *cause) {
    const int code = store_step(store, STORE_OLDEST_HISTORY, "i", store->state.history_from);
    const uint64_t number = code == SQLITE_ROW ? (uint64_t)store_integer(store, STORE_OLDEST_HISTORY, 0) : 0;
    store_reset(store, STORE_OLDEST_HISTORY);
    if (code == SQLITE_DONE) {
        store->state.history_from = store->state.last_number + 1;
        return FB_NOT_FOUND;
    }
    if (code != SQLITE_ROW)
        return store_result(store->db, code, cause, "history");
    store->state.history_from = number + 1;
    return delete_batch(store, number, cause);
}

/* A batch that goes unsent takes the losses that it should have told with it: they are told again. */
static enum fb_error keep_its_losses(struct store *store, uint64_t number, struct fb_cause *cause) {
    struct batch_info *info = calloc(1, sizeof *info);
    if (info == NULL)
        return fb_fail(cause, FB_MEMORY, "store: out of memory");
    const int code = store_step(store, STORE_READ_BATCH, "i", number);
    struct reading *readings = NULL;
    size_t length, readings_count;
    if (code == SQLITE_ROW) {
        const uint8_t *bytes = store_bytes(store, STORE_READ_BATCH, 0, &length);
        if (batch_decode(bytes, length, info, &readings, &readings_count, NULL) == FB_OK)
            for (size_t i = 0; i < info->loss_count; i++)
                store_losses_add(&store->state, &info->losses[i]);
    }
    store_reset(store, STORE_READ_BATCH);
    free(readings);
    free(info);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        store->unreadable_batch = number;
    return code == SQLITE_ROW || code == SQLITE_DONE ? FB_OK : store_result(store->db, code, cause, "evicting");
}

/* Take the lowest batch in [number, number's end] off the queue and note its readings as lost. */
static enum fb_error lose(struct store *store, uint64_t first, uint64_t last, enum batch_loss_reason reason,
                          struct batch_loss *ret_loss, bool *ret_has_losses, struct fb_cause *cause) {
    const int code = store_step(store, STORE_FIRST_QUEUED, "ii", first, last);
    if (code == SQLITE_ROW) {
        const uint64_t number = (uint64_t)store_integer(store, STORE_FIRST_QUEUED, 0);
        *ret_loss = (struct batch_loss){
            .reason = reason,
            .readings = (uint64_t)store_integer(store, STORE_FIRST_QUEUED, 2),
            .from_ms = store_integer(store, STORE_FIRST_QUEUED, 3),
            .to_ms = store_integer(store, STORE_FIRST_QUEUED, 4),
            .first_batch = number,
            .last_batch = number,
        };
        *ret_has_losses = store_integer(store, STORE_FIRST_QUEUED, 5) > 0;
    }
    store_reset(store, STORE_FIRST_QUEUED);
    if (code == SQLITE_DONE)
        return FB_NOT_FOUND;
    if (code != SQLITE_ROW)
        return store_result(store->db, code, cause, "queue");
    store->state.unsent_batches--;
    store->state.unsent_readings -= ret_loss->readings;
    store_note_loss(store, ret_loss);
    return FB_OK;
}

static enum fb_error evict_unsent(struct store *store, struct fb_cause *cause) {
    struct batch_loss loss = {.readings = 0};
    bool has_losses = false;
    enum fb_error error = lose(store, 1, INT64_MAX, BATCH_LOSS_QUOTA, &loss, &has_losses, cause);
    if (error == FB_OK && has_losses)
        error = keep_its_losses(store, loss.first_batch, cause);
    if (error != FB_OK)
        return error;
    const int code = store_step(store, STORE_DELETE_QUEUED, "i", loss.first_batch);
    store_reset(store, STORE_DELETE_QUEUED);
    error = store_result(store->db, code, cause, "queue");
    return error == FB_OK ? delete_batch(store, loss.first_batch, cause) : error;
}

bool store_quota_reached(struct store *store, uint64_t pages) {
    uint64_t used;
    return pages_in_use(store, &used, NULL) == FB_OK && used + pages > store->batch_pages_most;
}

enum fb_error store_quota_make_room(struct store *store, uint64_t pages, struct fb_cause *cause) {
    uint64_t used;
    enum fb_error error = pages_in_use(store, &used, cause);
    size_t evicted = 0;
    while (error == FB_OK && used + pages > store->batch_pages_most && evicted < EVICT_MOST) {
        error = evict_history(store, cause);
        if (error == FB_NOT_FOUND)
            error = evict_unsent(store, cause);
        if (error == FB_NOT_FOUND)
            break;
        evicted++;
        if (error == FB_OK)
            error = pages_in_use(store, &used, cause);
    }
    if (error != FB_OK && error != FB_NOT_FOUND)
        return error;
    const int code =
        evicted > 0 ? store_run(store, STORE_DROP_CATALOGUES, "i", store->state.catalogue_revision) : SQLITE_OK;
    return store_result(store->db, code, cause, "catalogues");
}

/* Stays 0 when even the row's head cannot be read. */
static enum fb_error count_readings(struct store *store, uint64_t number, uint64_t *ret_readings) {
    if (store_step(store, STORE_COUNT_READINGS, "i", number) == SQLITE_ROW)
        *ret_readings = (uint64_t)store_integer(store, STORE_COUNT_READINGS, 0);
    store_reset(store, STORE_COUNT_READINGS);
    return FB_OK;
}

/* Its pages cannot be freed, for want of the chain that links them: the row stays, and queue says that it is dead. */
enum fb_error store_quota_give_up(struct store *store, uint64_t number, struct fb_cause *cause) {
    enum fb_error error = store_begin(store, cause);
    if (error != FB_OK)
        return error;
    struct batch_loss loss = {.readings = 0};
    bool has_losses = false;
    error = lose(store, number, number, BATCH_LOSS_DAMAGED, &loss, &has_losses, cause);
    if (error == FB_NOT_FOUND) /* history: nothing to forward, only the count of what is kept changes */
        error = count_readings(store, number, &loss.readings);
    if (error == FB_OK) {
        store->state.batches--;
        store->state.readings -= loss.readings;
        const int code = store_run(store, STORE_DAMAGE_QUEUED, "it", number, "unreadable");
        error = store_result(store->db, code, cause, "queue");
    }
    if (error == FB_OK)
        error = store_refresh_oldest(store, cause);
    return store_end(store, error, true, cause);
}

bool store_quota_gave_up(struct store *store, enum fb_error error) {
    const uint64_t number = store->unreadable_batch;
    return error == FB_CORRUPT && number != 0 && store_quota_give_up(store, number, NULL) == FB_OK;
}
