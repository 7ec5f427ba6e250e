#include <inttypes.h>
#include <stdlib.h>

#include "store/store_internal.h"

/* A smaller quota than before is reached step by step, so that no call takes long: to evict a large batch takes 0.2 ms,
 * to thin one of 32,768 readings 4 ms. store_keep_room() has mostly done both before. */
#define EVICT_MOST 16
#define THIN_MOST 16
#define THIN_READINGS_MOST 32768 /* or one batch, if that has more */
/* What is kept free ahead, in batches of the largest size; or that part of the quota, if it is less. */
#define AHEAD_BATCHES 2
#define AHEAD_SHARE 8

static int count(struct store *store, enum store_statement statement, uint64_t *ret_pages) {
    const int code = store_step(store, statement, "");
    if (code == SQLITE_ROW)
        *ret_pages = (uint64_t)store_integer(store, statement, 0);
    store_reset(store, statement);
    return code;
}

/* What records leave of the disk; and where the disk has none, the part of what is kept free ahead in the file. */
#define RECORDS_LEAVE_BYTES (UINT64_C(256) * 1024)
#define RECORDS_LEAVE_SHARE 2
/* A disk that was full has room again when the file may grow by so much. */
#define DISK_HAS_ROOM_PAGES 64

/* How full file and disk are; all in pages. */
struct room {
    uint64_t file;
    uint64_t unused;  /* of the file */
    uint64_t records; /* of those in use */
    uint64_t disk;    /* by which the file may still grow */
};

static uint64_t pages_ahead(const struct store *store) {
    const uint64_t one = BATCH_BYTES_MAX / STORE_PAGE_BYTES + STORE_TABLE_PAGES;
    const uint64_t share = store->batch_pages_most / AHEAD_SHARE;
    return share < one ? one : share < AHEAD_BATCHES * one ? share : AHEAD_BATCHES * one;
}

/* Records may use of the reserve what readings leave, but never so much that the log could not be written back. */
bool store_quota_disk_takes(struct store *store, uint64_t pages) {
    uint64_t unused = 0;
    if (store_room_beyond_reserve(store, pages * STORE_PAGE_BYTES + RECORDS_LEAVE_BYTES))
        return true;
    const uint64_t leave = pages_ahead(store) / RECORDS_LEAVE_SHARE;
    return count(store, STORE_COUNT_FREE_PAGES, &unused) == SQLITE_ROW && pages + leave <= unused;
}

static enum fb_error measure(struct store *store, struct room *ret_room, struct fb_cause *cause) {
    struct room room = {.records = store_records_pages(store)};
    int code = count(store, STORE_COUNT_PAGES, &room.file);
    room.disk = store_room_left_pages(store, room.file);
    store->disk_is_full = store->disk_is_full && room.disk < DISK_HAS_ROOM_PAGES;
    if (code == SQLITE_ROW)
        code = count(store, STORE_COUNT_FREE_PAGES, &room.unused);
    *ret_room = room;
    return store_result(store->db, code, cause, "counting pages");
}

/* Records have a quota of their own. */
static uint64_t pages_of_batches(const struct room *room) {
    const uint64_t used = room->file - room->unused;
    return used - (room->records < used ? room->records : used);
}

static bool within_quota(const struct store *store, const struct room *room, uint64_t pages) {
    return pages_of_batches(room) + pages <= store->batch_pages_most;
}

static bool within_disk(const struct room *room, uint64_t pages) {
    return pages <= room->unused + room->disk;
}

static bool has_room(const struct store *store, const struct room *room, uint64_t pages) {
    return within_quota(store, room, pages) && within_disk(room, pages);
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
    if (number > store->state.evicted_to && number < STORE_SALVAGED_FIRST)
        store->state.evicted_to = number;
    return delete_batch(store, number, cause);
}

/* What cannot be decoded though its pages hold tells nobody anything any more. */
static enum fb_error tell_again(struct store_state *state, uint64_t number, const uint8_t *bytes, size_t length,
                                struct batch_info *info, struct fb_cause *cause) {
    struct reading *readings = NULL;
    size_t units;
    const enum fb_error error = batch_decode(bytes, length, info, &readings, &units, cause);
    for (size_t i = 0; error == FB_OK && i < info->loss_count; i++) {
        struct batch_loss loss = info->losses[i];
        if (number >= STORE_SALVAGED_FIRST) /* the batches it names are another store's */
            loss.first_batch = loss.last_batch = 0;
        store_losses_add(state, &loss);
    }
    free(readings);
    return error == FB_MEMORY ? error : FB_OK;
}

/* A batch that goes unsent takes the losses that it should have told with it: they are told again. FB_MEMORY: it must
 * not go yet. */
static enum fb_error keep_its_losses(struct store *store, uint64_t number, struct fb_cause *cause) {
    struct batch_info *info = calloc(1, sizeof *info);
    if (info == NULL)
        return fb_fail(cause, FB_MEMORY, "store: out of memory");
    const int code = store_step(store, STORE_READ_BATCH, "i", number);
    enum fb_error error = code == SQLITE_DONE ? FB_OK : store_result(store->db, code, cause, "evicting");
    if (code == SQLITE_ROW) {
        size_t length;
        const uint8_t *bytes = store_bytes(store, STORE_READ_BATCH, 0, &length);
        error = tell_again(&store->state, number, bytes, length, info, cause);
    } else if (error != FB_OK) {
        store->unreadable_batch = number;
    }
    store_reset(store, STORE_READ_BATCH);
    free(info);
    return error;
}

/* Note the readings of this unsent batch as lost. */
static enum fb_error lose(struct store *store, uint64_t number, enum batch_loss_reason reason,
                          struct batch_loss *ret_loss, bool *ret_has_losses, struct fb_cause *cause) {
    const int code = store_step(store, STORE_FIRST_QUEUED, "ii", number, number);
    if (code == SQLITE_ROW) {
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
    store->state.parked_changed = store->state.parked_batches > 0; /* it may have been one */
    struct batch_loss told = *ret_loss;
    if (told.first_batch >= STORE_SALVAGED_FIRST) /* nobody else knows it by that number */
        told.first_batch = told.last_batch = 0;
    store_note_loss(store, &told);
    store_corrections_retell(&store->state, ret_loss->first_batch);
    return FB_OK;
}

/* Which unsent batch goes first: those that were salvaged are older than our own; those under way go last. */
static enum fb_error find_unsent(struct store *store, uint64_t *ret_number, struct fb_cause *cause) {
    static const struct {
        uint64_t first, last;
        bool under_way_too;
    } turns[] = {
        {STORE_SALVAGED_FIRST, INT64_MAX, false},
        {1, STORE_SALVAGED_FIRST - 1, false},
        {STORE_SALVAGED_FIRST, INT64_MAX, true},
        {1, STORE_SALVAGED_FIRST - 1, true},
    };
    int code = SQLITE_DONE;
    for (size_t i = 0; code == SQLITE_DONE && i < sizeof turns / sizeof turns[0]; i++) {
        code = store_first_queued(store, turns[i].first, turns[i].last, turns[i].under_way_too);
        if (code == SQLITE_ROW)
            *ret_number = (uint64_t)store_integer(store, STORE_FIRST_QUEUED, 0);
        store_reset(store, STORE_FIRST_QUEUED);
    }
    return code == SQLITE_DONE ? FB_NOT_FOUND : store_result(store->db, code, cause, "queue");
}

static enum fb_error evict_unsent(struct store *store, struct fb_cause *cause) {
    struct batch_loss loss = {.readings = 0};
    bool has_losses = false;
    uint64_t number = 0;
    enum fb_error error = find_unsent(store, &number, cause);
    if (error == FB_OK)
        error = lose(store, number, BATCH_LOSS_QUOTA, &loss, &has_losses, cause);
    if (error == FB_OK && has_losses)
        error = keep_its_losses(store, number, cause);
    if (error != FB_OK)
        return error;
    const int code = store_step(store, STORE_DELETE_QUEUED, "i", number);
    store_reset(store, STORE_DELETE_QUEUED);
    error = store_result(store->db, code, cause, "queue");
    return error == FB_OK ? delete_batch(store, number, cause) : error;
}

bool store_quota_reached(struct store *store, uint64_t pages) {
    struct room room;
    return measure(store, &room, NULL) == FB_OK && !has_room(store, &room, pages);
}

/* What one call may do. */
struct effort {
    size_t evict, thin;   /* batches */
    size_t thin_readings; /* may be passed by one batch */
    bool drop;            /* unsent batches, when thinning gives no more room, or not in time */
};

static const struct effort sealing = {EVICT_MOST, THIN_MOST, THIN_READINGS_MOST, true};
static const struct effort ahead = {EVICT_MOST, THIN_MOST, THIN_READINGS_MOST, false};
static const struct effort history_alone = {EVICT_MOST, 0, 0, false};

/* FB_NOT_FOUND: no batch can be thinned. FB_AGAIN: one can, by a later call. */
static enum fb_error thin_some(struct store *store, struct effort *effort, struct fb_cause *cause) {
    uint64_t readings = 0;
    if (!store_thin_waits(store))
        return FB_NOT_FOUND;
    if (effort->thin == 0 || effort->thin_readings == 0)
        return FB_AGAIN;
    const enum fb_error error = store_thin_next(store, &readings, cause);
    effort->thin--;
    effort->thin_readings -= readings < effort->thin_readings ? readings : effort->thin_readings;
    return error;
}

/* Thinning goes before dropping: while it is still going on, a batch may use the spare pages, and what a file that has
 * become too large for its quota has free. */
static bool can_wait(const struct store *store, const struct room *room, uint64_t pages) {
    return within_disk(room, pages) &&
           (pages_of_batches(room) + pages <= store->batch_pages_most + store->spare_pages ||
            room->unused >= pages + store->reserve_pages);
}

/* FB_NOT_FOUND: nothing more can give way, or needs to. */
static enum fb_error give_way(struct store *store, const struct room *room, uint64_t pages, struct effort *effort,
                              struct fb_cause *cause) {
    enum fb_error error = evict_history(store, cause);
    if (error == FB_NOT_FOUND) {
        const bool for_disk = within_quota(store, room, pages);
        store->disk_is_full = store->disk_is_full || for_disk;
        if (for_disk && !effort->drop) /* others may give it back before it is needed */
            return FB_NOT_FOUND;
        error = thin_some(store, effort, cause);
        if (error == FB_OK || (error != FB_NOT_FOUND && error != FB_AGAIN))
            return error;
        if (!effort->drop || (error == FB_AGAIN && can_wait(store, room, pages)))
            return FB_NOT_FOUND;
        error = evict_unsent(store, cause);
    }
    effort->evict--;
    return error;
}

static enum fb_error make_room(struct store *store, uint64_t pages, struct effort effort, struct fb_cause *cause) {
    struct room room;
    bool some = false;
    enum fb_error error = measure(store, &room, cause);
    while (error == FB_OK && effort.evict > 0 && !has_room(store, &room, pages)) {
        error = give_way(store, &room, pages, &effort, cause);
        if (error == FB_NOT_FOUND)
            break;
        some = true;
        if (error == FB_OK)
            error = measure(store, &room, cause);
    }
    if (error != FB_OK && error != FB_NOT_FOUND)
        return error;
    const int code = some ? store_run(store, STORE_DROP_CATALOGUES, "i", store->state.catalogue_revision) : SQLITE_OK;
    return store_result(store->db, code, cause, "catalogues");
}

enum fb_error store_quota_make_room(struct store *store, uint64_t pages, struct fb_cause *cause) {
    return make_room(store, pages, sealing, cause);
}

enum fb_error store_quota_room_from_history(struct store *store, uint64_t pages, struct fb_cause *cause) {
    const enum fb_error error = make_room(store, pages, history_alone, cause);
    if (error == FB_OK && store_quota_reached(store, pages))
        return fb_fail(cause, FB_FULL, "the quota or the disk is full of batches that are not sent yet");
    return error;
}

bool store_disk_is_full(const struct store *store) {
    return store->disk_is_full;
}

enum fb_error store_keep_room(struct store *store, struct fb_cause *cause) {
    const uint64_t pages = pages_ahead(store);
    const bool may_help = store->state.history_from <= store->state.last_number || store->state.unsent_batches > 0;
    if (!may_help || !store_quota_reached(store, pages))
        return FB_OK;
    enum fb_error error = store_begin(store, cause);
    if (error != FB_OK)
        return store_finish(store, error, "keeping room", cause);
    error = make_room(store, pages, ahead, cause);
    error = store_end(store, error, true, cause);
    if (store_quota_gave_up(store, error))
        return FB_OK;
    return store_finish(store, error, "keeping room", cause);
}

/* Stays 0 when even the row's head cannot be read. */
static enum fb_error count_readings(struct store *store, uint64_t number, uint64_t *ret_readings) {
    if (store_step(store, STORE_COUNT_READINGS, "i", number) == SQLITE_ROW)
        *ret_readings = (uint64_t)store_integer(store, STORE_COUNT_READINGS, 0);
    store_reset(store, STORE_COUNT_READINGS);
    return FB_OK;
}

/* What could not be read a moment ago: OpenSSL may have had no memory for it. FB_CORRUPT: it still cannot. */
static enum fb_error look_again(struct store *store, uint64_t number, struct fb_cause *cause) {
    struct store_batch *batch = malloc(sizeof *batch);
    if (batch == NULL || !store_damage_can_tell()) {
        free(batch);
        return fb_fail(cause, FB_MEMORY, "out of memory");
    }
    batch->number = number;
    const enum fb_error error = store_read_batch(store, batch, cause);
    free(batch);
    return error;
}

/* Its pages cannot be freed, for want of the chain that links them: the row stays, and queue says that it is dead. */
enum fb_error store_quota_give_up(struct store *store, uint64_t number, struct fb_cause *cause) {
    enum fb_error error = look_again(store, number, cause);
    if (error != FB_CORRUPT)
        return error == FB_OK ? fb_fail(cause, FB_AGAIN, "batch %" PRIu64 " can be read again", number) : error;
    error = store_begin(store, cause);
    if (error != FB_OK)
        return error;
    struct batch_loss loss = {.readings = 0};
    bool has_losses = false;
    error = lose(store, number, BATCH_LOSS_DAMAGED, &loss, &has_losses, cause);
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
    if (error != FB_CORRUPT || number == 0)
        return false;
    const enum fb_error given_up = store_quota_give_up(store, number, NULL);
    return given_up == FB_OK || given_up == FB_AGAIN;
}
