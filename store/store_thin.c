#include <stdlib.h>

#include "store/store_internal.h"
#include "store/thin.h"

/* Everything large that thinning one batch needs. */
struct thinning {
    struct store_batch batch;
    struct thin_result result;
    uint8_t bytes[BATCH_BYTES_MAX];
    size_t length;
};

static enum fb_error replace(struct store *store, const struct thinning *thinning, struct fb_cause *cause) {
    const uint64_t number = thinning->batch.number;
    const int64_t readings = (int64_t)thinning->result.after;
    uint8_t hash[BATCH_HASH_BYTES];
    batch_hash(thinning->bytes, thinning->length, hash);
    int code = store_run(store, STORE_REPLACE_BATCH, "iibb", number, readings, hash, sizeof hash, thinning->bytes,
                         thinning->length);
    if (code == SQLITE_DONE)
        code = store_run(store, STORE_THIN_QUEUED, "ii", number, readings);
    const enum fb_error error = store_result(store->db, code, cause, "thinning");
    if (error == FB_CORRUPT)
        store->unreadable_batch = number;
    return error;
}

/* What it should have told is told again by a later batch, whose bytes stay as they were sealed. */
static void note(struct store *store, const struct thinning *thinning, int64_t first_ms, int64_t last_ms) {
    struct store_state *state = &store->state;
    const struct thin_result *result = &thinning->result;
    const struct batch_loss loss = {
        .reason = BATCH_LOSS_THINNED,
        .readings = result->before - result->after,
        .from_ms = first_ms,
        .to_ms = last_ms,
        .first_batch = thinning->batch.number,
        .last_batch = thinning->batch.number,
    };
    state->readings -= loss.readings;
    state->unsent_readings -= loss.readings;
    state->parked_changed = state->parked_batches > 0;
    store_note_loss(store, &loss);
    for (size_t i = 0; i < result->info.loss_count; i++)
        store_losses_add(state, &result->info.losses[i]);
}

/* Worth it only if it frees a page; one that is as small already stays as it was sealed. */
static bool frees_pages(const struct thinning *thinning) {
    return thinning->result.after < thinning->result.before &&
           thinning->length + STORE_PAGE_BYTES <= thinning->batch.length;
}

static enum fb_error thin(struct store *store, struct thinning *thinning, int64_t first_ms, int64_t last_ms,
                          struct fb_cause *cause) {
    enum fb_error error = store_read_batch(store, &thinning->batch, cause);
    if (error == FB_CORRUPT)
        store->unreadable_batch = thinning->batch.number;
    if (error == FB_OK)
        error = thin_batch(thinning->batch.bytes, thinning->batch.length, thinning->bytes, &thinning->length,
                           &thinning->result, cause);
    if (error != FB_OK || !frees_pages(thinning))
        return error;
    error = replace(store, thinning, cause);
    if (error == FB_OK)
        note(store, thinning, first_ms, last_ms);
    return error;
}

/* The first that may be thinned; SQLITE_DONE when there is none. */
static int find(struct store *store) {
    return store_first_queued(store, store->state.thinned_to + 1, STORE_SALVAGED_FIRST - 1, false);
}

bool store_thin_waits(struct store *store) {
    const int code = find(store);
    store_reset(store, STORE_FIRST_QUEUED);
    return code != SQLITE_DONE;
}

enum fb_error store_thin_next(struct store *store, uint64_t *ret_readings, struct fb_cause *cause) {
    const int code = find(store);
    const bool is_there = code == SQLITE_ROW;
    const uint64_t number = is_there ? (uint64_t)store_integer(store, STORE_FIRST_QUEUED, 0) : 0;
    *ret_readings = is_there ? (uint64_t)store_integer(store, STORE_FIRST_QUEUED, 2) : 0;
    const int64_t first_ms = is_there ? store_integer(store, STORE_FIRST_QUEUED, 3) : 0;
    const int64_t last_ms = is_there ? store_integer(store, STORE_FIRST_QUEUED, 4) : 0;
    store_reset(store, STORE_FIRST_QUEUED);
    if (code == SQLITE_DONE)
        return FB_NOT_FOUND;
    if (code != SQLITE_ROW)
        return store_result(store->db, code, cause, "queue");
    struct thinning *thinning = malloc(sizeof *thinning);
    if (thinning == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    thinning->batch.number = number;
    const enum fb_error error = thin(store, thinning, first_ms, last_ms, cause);
    free(thinning);
    if (error == FB_OK)
        store->state.thinned_to = number;
    return error;
}
