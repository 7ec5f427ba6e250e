#include <stdio.h>
#include <string.h>

#include "store/store_internal.h"

/* Unreadable batches that one call gives up before it lets its caller go on. */
#define GIVE_UP_MOST 16

/* ret_first_ms: 0 when nothing in the range is queued. */
static int begin_of(struct store *store, uint64_t first, uint64_t last, int64_t *ret_first_ms) {
    const int code = store_step(store, STORE_NEXT_QUEUED, "ii", first, last);
    *ret_first_ms = code == SQLITE_ROW ? store_integer(store, STORE_NEXT_QUEUED, 3) : 0;
    store_reset(store, STORE_NEXT_QUEUED);
    return code;
}

enum fb_error store_refresh_oldest(struct store *store, struct fb_cause *cause) {
    int64_t own_ms = 0, salvaged_ms = 0;
    int code = begin_of(store, 1, STORE_SALVAGED_FIRST - 1, &own_ms);
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        code = begin_of(store, STORE_SALVAGED_FIRST, INT64_MAX, &salvaged_ms);
    if (store->state.parked_changed && (code == SQLITE_ROW || code == SQLITE_DONE))
        code = store_parked_count(store);
    const bool salvaged_older = own_ms == 0 || (salvaged_ms != 0 && salvaged_ms < own_ms);
    store->state.oldest_queued_ms = salvaged_older ? salvaged_ms : own_ms;
    return store_result(store->db, code, cause, "queue");
}

void store_set_under_way(struct store *store, bool (*is_under_way)(uint64_t number, void *user), void *user) {
    store->is_under_way = is_under_way;
    store->under_way_user = user;
}

static bool is_under_way(const struct store *store, uint64_t number) {
    return store->is_under_way != NULL && store->is_under_way(number, store->under_way_user);
}

/* Those under way mostly follow each other: only the first of them is looked for in the queue. */
int store_first_queued(struct store *store, uint64_t first, uint64_t last, bool under_way_too) {
    for (;;) {
        const int code = store_step(store, STORE_FIRST_QUEUED, "ii", first, last);
        const uint64_t number = code == SQLITE_ROW ? (uint64_t)store_integer(store, STORE_FIRST_QUEUED, 0) : 0;
        if (code != SQLITE_ROW || under_way_too || !is_under_way(store, number))
            return code;
        store_reset(store, STORE_FIRST_QUEUED);
        for (first = number + 1; is_under_way(store, first); first++) {
        }
    }
}

static enum fb_error find(struct store *store, uint64_t first, uint64_t last, struct store_batch *batch,
                          struct fb_cause *cause) {
    const int code = store_step(store, STORE_NEXT_QUEUED, "ii", first, last);
    if (code == SQLITE_ROW) {
        batch->number = (uint64_t)store_integer(store, STORE_NEXT_QUEUED, 0);
        batch->attempts = (uint32_t)store_integer(store, STORE_NEXT_QUEUED, 1);
        batch->first_ms = store_integer(store, STORE_NEXT_QUEUED, 3);
    }
    store_reset(store, STORE_NEXT_QUEUED);
    return code == SQLITE_DONE ? FB_NOT_FOUND : store_result(store->db, code, cause, "queue");
}

static bool copy_fixed(struct store *store, int column, uint8_t *ret_bytes) {
    size_t length;
    const uint8_t *bytes = store_bytes(store, STORE_READ_BATCH, column, &length);
    if (bytes == NULL || length != BATCH_HASH_BYTES)
        return false;
    memcpy(ret_bytes, bytes, length);
    return true;
}

static bool copy_row(struct store *store, struct store_batch *batch) {
    uint8_t stored[BATCH_HASH_BYTES], hash[BATCH_HASH_BYTES];
    const uint8_t *bytes = store_bytes(store, STORE_READ_BATCH, 0, &batch->length);
    if (bytes == NULL || batch->length > sizeof batch->bytes)
        return false;
    memcpy(batch->bytes, bytes, batch->length);
    batch_hash(batch->bytes, batch->length, hash);
    return copy_fixed(store, 1, stored) && copy_fixed(store, 2, batch->catalogue) &&
           memcmp(stored, hash, sizeof hash) == 0;
}

enum fb_error store_read_batch(struct store *store, struct store_batch *batch, struct fb_cause *cause) {
    const int code = store_step(store, STORE_READ_BATCH, "i", batch->number);
    enum fb_error error = store_result(store->db, code, cause, "reading");
    if (error == FB_OK && (code == SQLITE_DONE || !copy_row(store, batch)))
        error = fb_fail(cause, FB_CORRUPT, "its row is damaged");
    store_reset(store, STORE_READ_BATCH);
    return error;
}

enum fb_error store_next(struct store *store, uint64_t first, uint64_t last, struct store_batch *ret_batch,
                         struct fb_cause *cause) {
    const uint64_t most = last < (uint64_t)INT64_MAX ? last : (uint64_t)INT64_MAX;
    for (int i = 0; i < GIVE_UP_MOST; i++) {
        enum fb_error error = find(store, first, most, ret_batch, cause);
        if (error == FB_OK)
            error = store_read_batch(store, ret_batch, cause);
        if (error == FB_OK || error == FB_NOT_FOUND)
            return error;
        if (error == FB_CORRUPT)
            error = store_quota_give_up(store, ret_batch->number, cause);
        if (error != FB_OK)
            return store_finish(store, error, "next batch", cause);
    }
    return fb_fail(cause, FB_AGAIN, "store: many batches in a row cannot be read");
}

static enum fb_error take_off_queue(struct store *store, uint64_t number, struct fb_cause *cause) {
    struct store_state *state = &store->state;
    int code = store_step(store, STORE_DELETE_QUEUED, "i", number);
    if (code == SQLITE_ROW) {
        state->unsent_batches--;
        state->unsent_readings -= (uint64_t)store_integer(store, STORE_DELETE_QUEUED, 0);
        state->history_from = number < state->history_from ? number : state->history_from;
        code = store_step(store, STORE_DELETE_QUEUED, "");
    }
    store_reset(store, STORE_DELETE_QUEUED);
    return store_result(store->db, code, cause, "queue");
}

enum fb_error store_mark_sent(struct store *store, const uint64_t *numbers, size_t count, int64_t now_ms,
                              struct fb_cause *cause) {
    enum fb_error error = store_begin(store, cause);
    if (error != FB_OK)
        return store_finish(store, error, "marking as sent", cause);
    store->state.sent_ms = now_ms;
    for (size_t i = 0; error == FB_OK && i < count; i++)
        error = take_off_queue(store, numbers[i], cause);
    if (error == FB_OK)
        error = store_refresh_oldest(store, cause);
    error = store_end(store, error, true, cause);
    return store_finish(store, error, "marking as sent", cause);
}
