#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_internal.h"

#define TAIL_KEEP_CAPACITY 16384

struct sealing {
    struct store *store;
    struct batch_info info;
    uint8_t bytes[BATCH_BYTES_MAX];
    size_t length;
    size_t done; /* units of the tail that are in batches */
    size_t batches;
};

static void begin_info(struct sealing *sealing, int64_t now_ms, enum clock_state clock) {
    const struct store *store = sealing->store;
    struct batch_info *info = &sealing->info;
    memcpy(info->gateway, store->gateway, sizeof info->gateway);
    memcpy(info->store_id, store->id, sizeof info->store_id);
    memcpy(info->catalogue, store->state.catalogue_hash, sizeof info->catalogue);
    info->sealed_ms = now_ms < READING_TIME_MIN_MS ? READING_TIME_MIN_MS : now_ms;
    info->clock = clock;
}

/* The losses so far go out with this batch, unless readings that came before them wait for their commit. */
static void take_losses(struct sealing *sealing) {
    struct store_state *state = &sealing->store->state;
    struct batch_info *info = &sealing->info;
    info->loss_count = 0;
    if (store_commit_waits(sealing->store))
        return;
    memcpy(info->losses, state->losses, state->loss_count * sizeof *state->losses);
    info->loss_count = state->loss_count;
    state->losses_changed = state->losses_changed || state->loss_count > 0;
    state->loss_count = 0;
}

static enum fb_error add_rows(struct sealing *sealing, size_t units, size_t readings, struct fb_cause *cause) {
    struct store *store = sealing->store;
    const struct batch_info *info = &sealing->info;
    int64_t first_ms = readings > 0 ? READING_TIME_MAX_MS : info->sealed_ms, last_ms = readings > 0 ? 0 : first_ms;
    const struct reading *tail = store_tail_from(store, sealing->done);
    for (size_t i = 0; i < units; i += reading_units(&tail[i])) {
        first_ms = tail[i].time_ms < first_ms ? tail[i].time_ms : first_ms;
        last_ms = tail[i].time_ms > last_ms ? tail[i].time_ms : last_ms;
    }
    batch_hash(sealing->bytes, sealing->length, store->state.last_hash);
    int code = store_run(store, STORE_ADD_BATCH, "iiiiibb", info->number, store->state.catalogue_revision,
                         (int64_t)readings, first_ms, last_ms, store->state.last_hash, sizeof store->state.last_hash,
                         sealing->bytes, sealing->length);
    if (code == SQLITE_DONE)
        code = store_run(store, STORE_ADD_QUEUED, "iiiii", info->number, (int64_t)readings, first_ms, last_ms,
                         (int64_t)info->loss_count);
    return store_result(store->db, code, cause, "batch");
}

static enum fb_error seal_one(struct sealing *sealing, struct fb_cause *cause) {
    struct store *store = sealing->store;
    struct store_state *state = &store->state;
    size_t units = 0;
    take_losses(sealing);
    sealing->info.number = state->last_number + 1;
    store_corrections_take(state, &sealing->info);
    memcpy(sealing->info.previous, state->last_hash, sizeof sealing->info.previous);
    enum fb_error error =
        store_pack(&sealing->info, store_tail_from(store, sealing->done), store->tail_committed - sealing->done,
                   store_batch_bytes_most(store), sealing->bytes, &sealing->length, &units, cause);
    const size_t readings = error == FB_OK ? readings_count(store_tail_from(store, sealing->done), units) : 0;
    if (error == FB_OK)
        error = store_quota_make_room(store, sealing->length / STORE_PAGE_BYTES + STORE_TABLE_PAGES, cause);
    if (error == FB_OK)
        error = add_rows(sealing, units, readings, cause);
    if (error != FB_OK)
        return error;
    state->last_number++;
    state->batches++;
    state->unsent_batches++;
    state->readings += readings;
    state->unsent_readings += readings;
    sealing->done += units;
    sealing->batches++;
    if (sealing->done < store->tail_count)
        store_corrections_extend(store, state->last_number);
    return FB_OK;
}

/* The uncommitted rest moves to the front; a tail that a long outage made large gives its memory back. */
static void drop_sealed(struct store *store, size_t sealed) {
    store->tail_count -= sealed;
    store->tail_committed -= sealed;
    for (size_t i = 0; i < store->mark_count; i++)
        store->marks[i].units -= sealed;
    if (store->tail_count > 0)
        memmove(store->tail, store->tail + sealed, store->tail_count * sizeof *store->tail);
    store->tail_readings = readings_count(store->tail, store->tail_count);
    if (store->tail_capacity <= TAIL_KEEP_CAPACITY || store->tail_count > TAIL_KEEP_CAPACITY)
        return;
    struct reading *smaller = realloc(store->tail, TAIL_KEEP_CAPACITY * sizeof *smaller);
    if (smaller == NULL)
        return;
    store->tail = smaller;
    store->tail_capacity = TAIL_KEEP_CAPACITY;
}

static enum fb_error seal_all(struct sealing *sealing, struct fb_cause *cause) {
    struct store *store = sealing->store;
    enum fb_error error = store_begin(store, cause);
    if (error != FB_OK)
        return error;
    sealing->done = sealing->batches = 0;
    /* First what the tail has too much goes: a full store needs its place for the batch. */
    error = store_slots_trim(store, cause);
    while (error == FB_OK && (sealing->done < store->tail_committed || sealing->batches == 0))
        error = seal_one(sealing, cause);
    if (error == FB_OK)
        error = store_refresh_oldest(store, cause);
    return store_end(store, error, true, cause);
}

static bool has_something(const struct store *store) {
    return store->tail_committed > 0 || store_corrections_wait(&store->state) ||
           (store->state.loss_count > 0 && !store_commit_waits(store));
}

enum fb_error store_seal(struct store *store, int64_t now_ms, enum clock_state clock, size_t *ret_sealed,
                         struct fb_cause *cause) {
    if (!has_something(store)) {
        *ret_sealed = 0;
        return FB_OK;
    }
    if (store->state.catalogue_revision == 0)
        return fb_fail(cause, FB_INVALID, "store: no catalogue names the tail's tags");
    struct sealing *sealing = calloc(1, sizeof *sealing);
    if (sealing == NULL)
        return fb_fail(cause, FB_MEMORY, "store: out of memory");
    sealing->store = store;
    const bool held = store_commit_waits(store) && store_hold_losses(store);
    begin_info(sealing, now_ms, clock);
    enum fb_error error = seal_all(sealing, cause);
    for (int i = 0; i < STORE_GIVE_UP_MOST && store_quota_gave_up(store, error); i++)
        error = seal_all(sealing, cause);
    store->state.losses_changed |= held;
    if (error == FB_OK) {
        drop_sealed(store, sealing->done);
        store_slots_restart(store, 1);
        *ret_sealed = sealing->batches;
    }
    free(sealing);
    return store_finish(store, error, "sealing", cause);
}
