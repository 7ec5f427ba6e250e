#include "store/store_parked.h"

#include <stdio.h>
#include <string.h>

#include "store/store_internal.h"

/* A batch has an envelope of its own, with up to 256 losses: below this there would be no room for readings. */
#define BATCH_BYTES_LEAST 16384

size_t store_batch_bytes_most(const struct store *store) {
    const uint64_t most = store->state.link.batch_bytes_most;
    if (most == 0 || most > BATCH_BYTES_MAX)
        return BATCH_BYTES_MAX;
    return most < BATCH_BYTES_LEAST ? BATCH_BYTES_LEAST : (size_t)most;
}

void store_keep_link(struct store *store, const struct store_link *link) {
    store->state.link = *link;
}

struct store_link store_link(const struct store *store) {
    return store->state.link;
}

int store_parked_count(struct store *store) {
    struct store_state *state = &store->state;
    const int code = store_step(store, STORE_COUNT_PARKED, "");
    if (code == SQLITE_ROW) {
        state->parked_batches = (uint64_t)store_integer(store, STORE_COUNT_PARKED, 0);
        state->parked_readings = (uint64_t)store_integer(store, STORE_COUNT_PARKED, 1);
        state->parked_changed = false;
    }
    store_reset(store, STORE_COUNT_PARKED);
    return code;
}

static const char *cut(const char *reason, char ret_text[static STORE_REASON_MAX]) {
    snprintf(ret_text, STORE_REASON_MAX, "%s", reason);
    return ret_text;
}

static enum fb_error refuse(struct store *store, uint64_t number, const struct store_refusal *refusal,
                            struct store_refused *refused, struct fb_cause *cause) {
    char reason[STORE_REASON_MAX];
    int code = store_step(store, STORE_REFUSE_QUEUED, "itiii", number, cut(refusal->reason, reason),
                          (int64_t)refusal->rejection, (int64_t)STORE_REJECTIONS_MOST, refusal->now_ms);
    if (code == SQLITE_ROW) {
        refused->attempts = (uint32_t)store_integer(store, STORE_REFUSE_QUEUED, 0);
        refused->rejections = (uint32_t)store_integer(store, STORE_REFUSE_QUEUED, 1);
        refused->parked = store_integer(store, STORE_REFUSE_QUEUED, 2) != 0;
        code = store_step(store, STORE_REFUSE_QUEUED, "");
    }
    store_reset(store, STORE_REFUSE_QUEUED);
    store->state.parked_changed = store->state.parked_changed || refused->parked;
    const enum fb_error error = store_result(store->db, code, cause, "queue");
    return error == FB_OK ? store_refresh_oldest(store, cause) : error;
}

enum fb_error store_mark_refused(struct store *store, uint64_t number, const struct store_refusal *refusal,
                                 struct store_refused *ret_refused, struct fb_cause *cause) {
    struct store_refused refused = {0};
    *ret_refused = refused;
    enum fb_error error = store_begin(store, cause);
    if (error == FB_OK)
        error = store_end(store, refuse(store, number, refusal, &refused, cause), false, cause);
    if (error == FB_OK)
        *ret_refused = refused;
    return store_finish(store, error, "marking as refused", cause);
}

static enum fb_error run(struct store *store, int code, struct fb_cause *cause) {
    store->state.parked_changed = true;
    const enum fb_error error = store_result(store->db, code, cause, "queue");
    return error == FB_OK ? store_refresh_oldest(store, cause) : error;
}

enum fb_error store_park_too_large(struct store *store, uint64_t number, size_t bytes, const char *reason,
                                   int64_t now_ms, struct fb_cause *cause) {
    char kept[STORE_REASON_MAX];
    enum fb_error error = store_begin(store, cause);
    if (error == FB_OK) {
        const int code = store_run(store, STORE_PARK_QUEUED, "itii", number, cut(reason, kept), (int64_t)bytes, now_ms);
        error = store_end(store, run(store, code, cause), false, cause);
    }
    return store_finish(store, error, "parking", cause);
}

enum fb_error store_next_parked(struct store *store, uint64_t after, struct store_parked *ret_parked,
                                struct fb_cause *cause) {
    const uint64_t behind = after < (uint64_t)INT64_MAX ? after : (uint64_t)INT64_MAX;
    const int code = store_step(store, STORE_NEXT_PARKED, "i", behind);
    if (code == SQLITE_ROW) {
        size_t length;
        const uint8_t *reason = store_bytes(store, STORE_NEXT_PARKED, 7, &length);
        *ret_parked = (struct store_parked){
            .number = (uint64_t)store_integer(store, STORE_NEXT_PARKED, 0),
            .readings = (uint64_t)store_integer(store, STORE_NEXT_PARKED, 1),
            .first_ms = store_integer(store, STORE_NEXT_PARKED, 2),
            .last_ms = store_integer(store, STORE_NEXT_PARKED, 3),
            .since_ms = store_integer(store, STORE_NEXT_PARKED, 4),
            .rejections = (uint32_t)store_integer(store, STORE_NEXT_PARKED, 5),
            .bytes = (uint64_t)store_integer(store, STORE_NEXT_PARKED, 6),
        };
        if (reason != NULL)
            memcpy(ret_parked->reason, reason, length < STORE_REASON_MAX ? length : STORE_REASON_MAX - 1);
    }
    store_reset(store, STORE_NEXT_PARKED);
    return code == SQLITE_DONE
               ? FB_NOT_FOUND
               : store_finish(store, store_result(store->db, code, cause, "queue"), "parked batches", cause);
}

static enum fb_error release(struct store *store, uint64_t first, uint64_t last, uint64_t bytes_least,
                             uint64_t bytes_most, size_t *ret_released, struct fb_cause *cause) {
    size_t released = 0;
    *ret_released = 0;
    if (store->state.parked_batches == 0)
        return FB_OK;
    enum fb_error error = store_begin(store, cause);
    if (error == FB_OK) {
        const int code = store_run(store, STORE_RELEASE_PARKED, "iiii", first,
                                   last < (uint64_t)INT64_MAX ? last : (uint64_t)INT64_MAX, bytes_least, bytes_most);
        released = (size_t)sqlite3_changes64(store->db);
        error = store_end(store, run(store, code, cause), false, cause);
    }
    if (error == FB_OK)
        *ret_released = released;
    return store_finish(store, error, "releasing parked batches", cause);
}

enum fb_error store_release(struct store *store, uint64_t first, uint64_t last, size_t *ret_released,
                            struct fb_cause *cause) {
    return release(store, first, last, 0, BATCH_BYTES_MAX, ret_released, cause);
}

enum fb_error store_release_fitting(struct store *store, size_t bytes_most, size_t *ret_released,
                                    struct fb_cause *cause) {
    return release(store, 1, INT64_MAX, 1, bytes_most, ret_released, cause);
}
