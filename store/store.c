#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/store_internal.h"

#define LOOKS_MOST 3
/* What ended that many runs without a check of everything in between is damage, found or not. */
#define MARKS_BELIEVED 2
#define SEARCH_US 10000000 /* at the start after such an end: some 4 GB */

static enum fb_error open_once(struct store *store, const struct store_settings *settings,
                               const uint8_t key[static STORE_KEY_BYTES], struct store_opening *opening,
                               struct fb_cause *cause) {
    const enum fb_error error = store_database_open(store, settings, key, opening, cause);
    return error == FB_OK ? store_load(store, cause) : error;
}

/* The new store is complete, with what it inherits, before the old file gives up its place. */
static enum fb_error replace(struct store *store, const struct store_settings *settings,
                             const uint8_t key[static STORE_KEY_BYTES], struct store_opening *opening,
                             struct fb_cause *cause) {
    char aside[sizeof opening->set_aside];
    enum fb_error error = store_aside_name(settings->path, settings->now_ms, aside, sizeof aside - 8, cause);
    if (error == FB_OK)
        error = store_database_make(store, settings->path, key, cause);
    if (error == FB_OK)
        error = store_load(store, cause);
    if (error != FB_OK)
        return error;
    error = store_inherit(store, settings->path, aside, settings, key, &opening->inherited, cause);
    if (error != FB_OK)
        return error;
    error = store_database_install(store, settings, cause);
    if (error == FB_OK)
        error = store_aside_rename(settings->path, aside, cause);
    if (error != FB_OK)
        return error;
    snprintf(opening->set_aside, sizeof opening->set_aside, "%s", aside);
    error = store_database_take_ready(settings, cause);
    if (error == FB_OK)
        error = open_once(store, settings, key, opening, cause);
    return error;
}

/* A page that the disk did not give, or that OpenSSL had no memory for, comes as "not a database", too: damage is
 * believed when it shows in the file itself, or each time. */
static enum fb_error open_patiently(struct store *store, const struct store_settings *settings,
                                    const uint8_t key[static STORE_KEY_BYTES], struct store_opening *opening,
                                    struct fb_cause *cause) {
    enum fb_error error = FB_CORRUPT, found = FB_NOT_FOUND;
    for (int look = 0; look < LOOKS_MOST && error == FB_CORRUPT && found == FB_NOT_FOUND; look++) {
        opening->next_key_fits = false;
        error = open_once(store, settings, key, opening, cause);
        if (error != FB_CORRUPT)
            return error;
        store_database_detach(store);
        snprintf(opening->reason, sizeof opening->reason, "%.*s", STORE_REASON_MAX - 1, cause->text);
        if (look > 0)
            found = store_damage_explain(settings->path, opening->next_key_fits ? settings->next_key : key,
                                         opening->reason, sizeof opening->reason);
    }
    return found == FB_MEMORY ? fb_fail(cause, FB_MEMORY, "out of memory for OpenSSL") : error;
}

/* An earlier run ended because of damage. It may have been OpenSSL's lack of memory: the file is looked through, and
 * the work goes on when nothing is found, up to the next time. */
static enum fb_error check_marks(struct store *store, const struct store_settings *settings,
                                 const uint8_t key[static STORE_KEY_BYTES], struct store_opening *opening,
                                 struct fb_cause *cause) {
    char reason[STORE_REASON_MAX] = "";
    const unsigned marks = store_aside_marks(settings->path, reason, sizeof reason);
    if (marks == 0)
        return FB_OK;
    enum fb_error error =
        store_damage_search(store, opening->next_key_fits ? settings->next_key : key, SEARCH_US, cause);
    if (error == FB_OK && marks >= MARKS_BELIEVED)
        error = fb_fail(cause, FB_CORRUPT, "damaged, though its pages hold");
    if (error != FB_CORRUPT)
        return error;
    store_database_detach(store);
    snprintf(opening->reason, sizeof opening->reason, "%.96s; %.150s", cause->text, reason);
    return FB_CORRUPT;
}

static enum fb_error open_or_set_aside(struct store *store, const struct store_settings *settings,
                                       const uint8_t key[static STORE_KEY_BYTES], struct store_opening *opening,
                                       struct fb_cause *cause) {
    struct fb_cause reason = {""};
    enum fb_error error = open_patiently(store, settings, key, opening, &reason);
    if (error == FB_OK)
        error = check_marks(store, settings, key, opening, &reason);
    if (error == FB_CORRUPT) {
        opening->next_key_fits = false;
        error = replace(store, settings, key, opening, &reason);
    }
    return error == FB_OK ? FB_OK : fb_fail(cause, error, "store %s: %s", settings->path, reason.text);
}

enum fb_error store_open(const struct store_settings *settings, const uint8_t key[static STORE_KEY_BYTES],
                         struct store **ret_store, struct store_opening *ret_opening, struct fb_cause *cause) {
    struct store *store = calloc(1, sizeof *store);
    char *path = strdup(settings->path);
    if (store == NULL || path == NULL) {
        free(store);
        free(path);
        return fb_fail(cause, FB_MEMORY, "store: out of memory");
    }
    store->path = path;
    store->quota_bytes = settings->quota_bytes < STORE_QUOTA_MIN ? STORE_QUOTA_MIN : settings->quota_bytes;
    snprintf(store->gateway, sizeof store->gateway, "%s", settings->gateway);
    struct store_opening opening = {0};
    const enum fb_error error = open_or_set_aside(store, settings, key, &opening, cause);
    if (error != FB_OK) {
        store_close(store);
        return error;
    }
    store_database_forget_old(settings->path);
    *ret_opening = opening;
    *ret_store = store;
    return FB_OK;
}

void store_close(struct store *store) {
    if (store == NULL)
        return;
    store_database_detach(store);
    store_records_drop_waiting(store);
    free(store->tail);
    free(store->path);
    free(store);
}

const uint8_t *store_id(const struct store *store) {
    return store->id;
}

uint64_t store_last_number(const struct store *store) {
    return store->state.last_number;
}

struct store_cursor store_committed_cursor(const struct store *store) {
    return store->state.cursor;
}

static uint64_t file_bytes(const char *path, const char *suffix) {
    char name[4096];
    struct stat status;
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return stat(name, &status) == 0 ? (uint64_t)status.st_size : 0;
}

void store_figures(const struct store *store, struct store_figures *ret_figures) {
    const struct store_state *state = &store->state;
    const int64_t tail_ms = store->tail_count > 0 ? store->tail[0].time_ms : 0;
    *ret_figures = (struct store_figures){
        .readings = state->readings + store->tail_readings,
        .unsent_readings = state->unsent_readings + store->tail_readings,
        .batches = state->batches,
        .unsent_batches = state->unsent_batches,
        .last_number = state->last_number,
        .parked_batches = state->parked_batches,
        .parked_readings = state->parked_readings,
        .oldest_unsent_ms = state->oldest_queued_ms > 0 ? state->oldest_queued_ms : tail_ms,
        .lost_readings = state->lost_readings,
        .bytes = file_bytes(store->path, "") + file_bytes(store->path, "-wal"),
        .quota_bytes = store->quota_bytes,
    };
}
