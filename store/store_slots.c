#include <stdlib.h>
#include <string.h>

#include "store/store_internal.h"

/* The tail on disk: rows of one page each that are written over and over, because rows that come and go would dirty the
 * free list, the tree above them and page 1 with every commit (24 bytes a reading instead of 8 at 1000 readings/s).
 *
 * A row belongs to the batch that its readings will be in: once that is sealed its row is stale, without being touched.
 * The rows of one batch, in their order, hold records: length of the frame (u32), cursor (2 x u64), frame. A record
 * begins in the page of the one before if it fits there as a whole, else in the next; length 0 ends a page. */
struct record {
    uint32_t length;
    uint64_t epoch;
    uint64_t sequence;
} __attribute__((packed));

static enum fb_error write_slot(struct store *store, struct fb_cause *cause) {
    struct store_slots *slots = &store->slots;
    memset(slots->bytes + slots->used, 0, sizeof slots->bytes - slots->used);
    const int code = store_run(store, STORE_WRITE_SLOT, "iib", (int64_t)slots->slot, store->state.last_number + 1,
                               slots->bytes, sizeof slots->bytes);
    return store_result(store->db, code, cause, "slot");
}

void store_slots_restart(struct store *store, uint32_t slot) {
    store->slots.slot = slot;
    store->slots.used = 0;
}

/* Add bytes, going on in further slots; full ones are written at once. */
static enum fb_error put(struct store *store, const void *bytes, size_t length, struct fb_cause *cause) {
    struct store_slots *slots = &store->slots;
    const uint8_t *from = bytes;
    while (length > 0) {
        if (slots->used == sizeof slots->bytes)
            store_slots_restart(store, slots->slot + 1);
        const size_t room = sizeof slots->bytes - slots->used;
        const size_t part = length < room ? length : room;
        memcpy(slots->bytes + slots->used, from, part);
        slots->used += part;
        from += part;
        length -= part;
        const enum fb_error error =
            slots->used == sizeof slots->bytes || length == 0 ? write_slot(store, cause) : FB_OK;
        if (error != FB_OK)
            return error;
    }
    return FB_OK;
}

enum fb_error store_slots_add(struct store *store, struct store_cursor cursor, const uint8_t *frame, size_t length,
                              struct fb_cause *cause) {
    const struct record record = {.length = (uint32_t)length, .epoch = cursor.epoch, .sequence = cursor.sequence};
    struct store_slots *slots = &store->slots;
    if (slots->used > 0 && sizeof slots->bytes - slots->used < sizeof record + length)
        store_slots_restart(store, slots->slot + 1);
    memcpy(slots->bytes + slots->used, &record, sizeof record);
    slots->used += sizeof record;
    return put(store, frame, length, cause);
}

enum fb_error store_slots_trim(struct store *store, struct fb_cause *cause) {
    const int code = store_run(store, STORE_TRIM_SLOTS, "i", (int64_t)store->slots_most);
    return store_result(store->db, code, cause, "slots");
}

static enum fb_error take_record(struct store *store, const struct record *record, const uint8_t *frame,
                                 struct fb_cause *cause) {
    struct batch_info info;
    struct reading *readings = NULL;
    size_t units;
    enum fb_error error = batch_decode(frame, record->length, &info, &readings, &units, cause);
    if (error != FB_OK)
        return fb_fail(cause, FB_CORRUPT, "damaged: its tail cannot be read");
    error = store_append(store, readings, units);
    free(readings);
    store->state.cursor = (struct store_cursor){.epoch = record->epoch, .sequence = record->sequence};
    return error;
}

enum fb_error store_slots_load(struct store *store, const uint8_t *bytes, size_t length, struct fb_cause *cause) {
    enum fb_error error = FB_OK;
    for (size_t at = 0; error == FB_OK && at < length;) {
        const size_t slot_left = STORE_SLOT_BYTES - at % STORE_SLOT_BYTES;
        struct record record = {.length = 0};
        if (slot_left >= sizeof record)
            memcpy(&record, bytes + at, sizeof record);
        if (record.length == 0) {
            at += slot_left;
            continue;
        }
        at += sizeof record;
        if (record.length > length - at)
            return fb_fail(cause, FB_CORRUPT, "damaged: its tail is cut off");
        error = take_record(store, &record, bytes + at, cause);
        at += record.length;
    }
    return error;
}
