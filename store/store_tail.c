#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_internal.h"

#define TAIL_CAPACITY_MIN 4096
/* Half of what a batch may hold: a longer tail would make batches hardly smaller and the process larger. */
#define TAIL_FULL (BATCH_READINGS_MAX / 2)
#define READING_BYTES 12 /* on disk, of the least compressible kind */

size_t store_tail_readings(const struct store *store) {
    return store->tail_readings;
}

bool store_tail_full(const struct store *store) {
    return store->tail_count >= TAIL_FULL || store->slots.slot >= store->slots_most;
}

static bool make_room(struct store *store, size_t count) {
    size_t capacity = store->tail_capacity > 0 ? store->tail_capacity : TAIL_CAPACITY_MIN;
    while (capacity < count)
        capacity *= 2;
    if (capacity == store->tail_capacity)
        return true;
    struct reading *tail = realloc(store->tail, capacity * sizeof *tail);
    if (tail == NULL)
        return false;
    store->tail = tail;
    store->tail_capacity = capacity;
    return true;
}

enum fb_error store_append(struct store *store, const struct reading *readings, size_t units) {
    if (units > STORE_TAIL_MAX - store->tail_count)
        return FB_FULL;
    if (units == 0)
        return FB_OK;
    if (!make_room(store, store->tail_count + units))
        return FB_MEMORY;
    memcpy(store->tail + store->tail_count, readings, units * sizeof *readings);
    store->tail_count += units;
    store->tail_readings += readings_count(readings, units);
    return FB_OK;
}

enum fb_error store_pack(const struct batch_info *info, const struct reading *readings, size_t units, size_t bytes_most,
                         uint8_t *ret_bytes, size_t *ret_length, size_t *ret_taken, struct fb_cause *cause) {
    size_t take = readings_first(readings, units, BATCH_READINGS_MAX);
    enum fb_error error = batch_encode(info, readings, take, ret_bytes, ret_length, cause);
    while ((error == FB_LIMIT || (error == FB_OK && *ret_length > bytes_most)) && take >= 2 * READING_UNITS_MAX) {
        take = readings_first(readings, take / 2, BATCH_READINGS_MAX);
        error = batch_encode(info, readings, take, ret_bytes, ret_length, cause);
    }
    if (error == FB_OK)
        *ret_taken = take;
    return error;
}

bool store_commit_waits(const struct store *store) {
    return store->tail_committed < store->tail_count;
}

void store_mark(struct store *store, struct store_cursor cursor) {
    const size_t last = store->mark_count > 0 ? store->marks[store->mark_count - 1].units : store->tail_committed;
    if (store->tail_count - last < STORE_MARK_UNITS)
        return;
    assert(store->mark_count < STORE_MARKS_MAX);
    store->marks[store->mark_count++] =
        (struct store_mark){.units = store->tail_count, .cursor = cursor, .with_losses = store->losses_noted};
}

/* What one transaction takes of the tail: up to there. */
static struct store_mark choose_end(const struct store *store, struct store_cursor cursor) {
    struct store_mark end = {.units = store->tail_count, .cursor = cursor, .with_losses = true};
    if (store->tail_count - store->tail_committed <= STORE_COMMIT_UNITS)
        return end;
    for (size_t i = 0; i < store->mark_count; i++)
        if (i == 0 || store->marks[i].units - store->tail_committed <= STORE_COMMIT_UNITS)
            end = store->marks[i];
    return end;
}

static void forget_marks(struct store *store) {
    size_t gone = 0;
    while (gone < store->mark_count && store->marks[gone].units <= store->tail_committed)
        gone++;
    store->mark_count -= gone;
    memmove(store->marks, store->marks + gone, store->mark_count * sizeof store->marks[0]);
}

/* The tail on disk has the same form as batches, without an identity: nothing else is as small. */
static enum fb_error add_frames(struct store *store, const struct store_mark *end, uint8_t *bytes,
                                struct fb_cause *cause) {
    static const struct batch_info info = {.gateway = "tail", .number = 1};
    size_t at = store->tail_committed;
    do {
        size_t length, taken;
        enum fb_error error = store_pack(&info, store_tail_from(store, at), end->units - at, BATCH_BYTES_MAX, bytes,
                                         &length, &taken, cause);
        if (error == FB_OK)
            error = store_slots_add(store, end->cursor, bytes, length, cause);
        if (error != FB_OK)
            return error;
        at += taken;
    } while (at < end->units);
    return FB_OK;
}

static bool tail_changes(const struct store *store, struct store_cursor cursor) {
    return store->tail_committed != store->tail_count || cursor.epoch != store->state.cursor.epoch ||
           cursor.sequence != store->state.cursor.sequence;
}

static enum fb_error commit(struct store *store, const struct store_mark *end, uint64_t room_pages, bool with_records,
                            uint8_t *bytes, struct fb_cause *cause) {
    const bool with_tail = tail_changes(store, end->cursor);
    enum fb_error error = store_begin(store, cause);
    if (error != FB_OK)
        return error;
    store->state.cursor = end->cursor;
    const uint32_t fresh_slot = store->slots.slot + (store->slots.used > 0);
    if (room_pages > 0)
        error = store_quota_make_room(store, room_pages, cause);
    if (error == FB_OK && with_tail)
        error = add_frames(store, end, bytes, cause);
    if (error == FB_OK && with_records)
        error = store_records_write(store, cause);
    if (error == FB_OK && room_pages > 0)
        error = store_refresh_oldest(store, cause);
    error = store_end(store, error, room_pages > 0, cause);
    if (error != FB_OK) /* what stands in the slots since is not on disk */
        store_slots_restart(store, fresh_slot);
    store_records_settle(store, error, with_records);
    return error;
}

/* Batches leave the tail some room. Where it needs more, the quota takes it from them; a full disk does not. */
static enum fb_error commit_up_to(struct store *store, const struct store_mark *end, uint8_t *bytes,
                                  struct fb_cause *cause) {
    const uint64_t pages = (end->units - store->tail_committed) * READING_BYTES / STORE_PAGE_BYTES + 1;
    const bool with_records = store_records_due(store);
    enum fb_error error = commit(store, end, 0, with_records, bytes, cause);
    if (error == FB_FULL && with_records) /* readings come first, and need less room */
        error = commit(store, end, 0, false, bytes, cause);
    if (error == FB_FULL && store_quota_reached(store, pages))
        error = commit(store, end, pages, false, bytes, cause);
    for (int i = 0; i < STORE_GIVE_UP_MOST && store_quota_gave_up(store, error); i++)
        error = commit(store, end, pages, false, bytes, cause);
    return error;
}

enum fb_error store_commit(struct store *store, struct store_cursor cursor, struct fb_cause *cause) {
    if (!tail_changes(store, cursor) && !store->state.losses_changed && !store->state.corrections_changed &&
        store->records == NULL)
        return FB_OK;
    uint8_t *bytes = malloc(BATCH_BYTES_MAX);
    if (bytes == NULL)
        return fb_fail(cause, FB_MEMORY, "store: out of memory");
    const struct store_mark end = choose_end(store, cursor);
    const bool held = !end.with_losses && store_hold_losses(store);
    const enum fb_error error = commit_up_to(store, &end, bytes, cause);
    free(bytes);
    store->state.losses_changed |= held;
    if (error == FB_OK)
        store->tail_committed = end.units;
    forget_marks(store);
    store->losses_noted = store->losses_noted && store_commit_waits(store);
    return store_finish(store, error, "tail", cause);
}
