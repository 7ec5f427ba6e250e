#include <stdlib.h>
#include <string.h>

#include "store/store_internal.h"

/* FB_NOT_FOUND when the tag has no number yet. */
static enum fb_error find_number(struct store *store, const char *instrument, struct plant_tag *tag,
                                 struct fb_cause *cause) {
    const int code = store_step(store, STORE_FIND_TAG, "tt", instrument, tag->name);
    if (code == SQLITE_ROW)
        tag->number = (uint32_t)store_integer(store, STORE_FIND_TAG, 0);
    store_reset(store, STORE_FIND_TAG);
    return code == SQLITE_DONE ? FB_NOT_FOUND : store_result(store->db, code, cause, "tags");
}

static enum fb_error give_number(struct store *store, const char *instrument, struct plant_tag *tag,
                                 struct fb_cause *cause) {
    const int code = store_run(store, STORE_ADD_TAG, "tt", instrument, tag->name);
    if (code != SQLITE_DONE)
        return store_result(store->db, code, cause, "tags");
    const int64_t number = sqlite3_last_insert_rowid(store->db);
    if (number > UINT32_MAX)
        return fb_fail(cause, FB_LIMIT, "tags: all numbers are given");
    tag->number = (uint32_t)number;
    return FB_OK;
}

/* With new ones absent numbers are given, inside a transaction; without, the first absent one is FB_NOT_FOUND. */
static enum fb_error number_all(struct store *store, struct plant *plant, bool with_new, struct fb_cause *cause) {
    for (size_t i = 0; i < plant->instrument_count; i++) {
        struct plant_instrument *instrument = &plant->instruments[i];
        for (size_t k = 0; k < instrument->tag_count; k++) {
            enum fb_error error = find_number(store, instrument->name, &instrument->tags[k], cause);
            if (error == FB_NOT_FOUND && with_new)
                error = give_number(store, instrument->name, &instrument->tags[k], cause);
            if (error != FB_OK)
                return error;
        }
    }
    return FB_OK;
}

enum fb_error store_number_tags(struct store *store, struct plant *plant, struct fb_cause *cause) {
    enum fb_error error = number_all(store, plant, false, cause);
    if (error == FB_NOT_FOUND) {
        error = store_begin(store, cause);
        if (error == FB_OK)
            error = store_end(store, number_all(store, plant, true, cause), false, cause);
    }
    return store_finish(store, error, "numbering tags", cause);
}

static int by_number(const void *a, const void *b) {
    const struct catalogue_tag *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static enum fb_error describe(const struct plant *plant, struct catalogue *catalogue, struct fb_cause *cause) {
    size_t count = 0;
    for (size_t i = 0; i < plant->instrument_count; i++)
        count += plant->instruments[i].tag_count;
    catalogue->tags = calloc(count + 1, sizeof *catalogue->tags);
    if (catalogue->tags == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    for (size_t i = 0; i < plant->instrument_count; i++) {
        const struct plant_instrument *instrument = &plant->instruments[i];
        for (size_t k = 0; k < instrument->tag_count; k++) {
            struct catalogue_tag *tag = &catalogue->tags[catalogue->tag_count++];
            tag->number = instrument->tags[k].number;
            tag->kind = plant_tag_kind(&instrument->tags[k]);
            memcpy(tag->instrument, instrument->name, sizeof tag->instrument);
            memcpy(tag->name, instrument->tags[k].name, sizeof tag->name);
            memcpy(tag->unit, instrument->tags[k].unit, sizeof tag->unit);
        }
    }
    qsort(catalogue->tags, count, sizeof *catalogue->tags, by_number);
    return FB_OK;
}

/* FB_NOT_FOUND: there is none that can be read. ret_current: catalogue_done(). bytes: CATALOGUE_BYTES_MAX of room. */
static enum fb_error read_current(struct store *store, uint8_t *bytes, struct catalogue *ret_current,
                                  struct fb_cause *cause) {
    uint64_t revision;
    size_t length;
    if (store->state.catalogue_revision == 0)
        return FB_NOT_FOUND;
    enum fb_error error = store_read_catalogue(store, store->state.catalogue_hash, &revision, bytes, &length, cause);
    if (error == FB_OK)
        error = catalogue_decode(bytes, length, ret_current, cause);
    return error == FB_CORRUPT ? FB_NOT_FOUND : error;
}

static enum fb_error same_as_current(struct store *store, const struct catalogue *catalogue, uint8_t *bytes,
                                     bool *ret_same, struct fb_cause *cause) {
    struct catalogue current;
    *ret_same = false;
    const enum fb_error error = read_current(store, bytes, &current, cause);
    if (error != FB_OK)
        return error == FB_NOT_FOUND ? FB_OK : error;
    *ret_same = catalogue_same_tags(catalogue, &current);
    catalogue_done(&current);
    return FB_OK;
}

static enum fb_error save(struct store *store, const struct catalogue *catalogue, const uint8_t *bytes, size_t length,
                          struct fb_cause *cause) {
    enum fb_error error = store_begin(store, cause);
    if (error != FB_OK)
        return error;
    store->state.catalogue_revision = catalogue->revision;
    batch_hash(bytes, length, store->state.catalogue_hash);
    const int code = store_run(store, STORE_ADD_CATALOGUE, "ibb", catalogue->revision, store->state.catalogue_hash,
                               sizeof store->state.catalogue_hash, bytes, length);
    return store_end(store, store_result(store->db, code, cause, "catalogue"), false, cause);
}

static enum fb_error set_catalogue(struct store *store, struct catalogue *catalogue, uint8_t *bytes,
                                   struct fb_cause *cause) {
    bool is_same;
    size_t length;
    enum fb_error error = same_as_current(store, catalogue, bytes, &is_same, cause);
    if (error != FB_OK || is_same)
        return error;
    if (store->tail_count > 0)
        return fb_fail(cause, FB_AGAIN, "the tail must be committed and sealed before the catalogue changes");
    error = catalogue_encode(catalogue, bytes, &length, cause);
    return error == FB_OK ? save(store, catalogue, bytes, length, cause) : error;
}

enum fb_error store_set_catalogue(struct store *store, const struct plant *plant, int64_t now_ms,
                                  struct fb_cause *cause) {
    struct catalogue catalogue = {
        .revision = store->state.catalogue_revision + 1,
        .made_ms = now_ms < READING_TIME_MIN_MS ? READING_TIME_MIN_MS : now_ms,
    };
    memcpy(catalogue.gateway, store->gateway, sizeof catalogue.gateway);
    memcpy(catalogue.store_id, store->id, sizeof catalogue.store_id);
    uint8_t *bytes = malloc(CATALOGUE_BYTES_MAX);
    enum fb_error error = bytes != NULL ? FB_OK : fb_fail(cause, FB_MEMORY, "out of memory");
    if (error == FB_OK)
        error = describe(plant, &catalogue, cause);
    if (error == FB_OK)
        error = set_catalogue(store, &catalogue, bytes, cause);
    catalogue_done(&catalogue);
    free(bytes);
    return store_finish(store, error, "catalogue", cause);
}

/* Whether the catalogue names it as it is now. */
static bool is_named(const struct catalogue *catalogue, const char *instrument, const struct plant_tag *tag) {
    const struct catalogue_tag wanted = {.number = tag->number};
    const struct catalogue_tag *found =
        catalogue->tag_count > 0 ? bsearch(&wanted, catalogue->tags, catalogue->tag_count, sizeof wanted, by_number)
                                 : NULL;
    return found != NULL && found->kind == plant_tag_kind(tag) && strcmp(found->instrument, instrument) == 0 &&
           strcmp(found->name, tag->name) == 0 && strcmp(found->unit, tag->unit) == 0;
}

static enum fb_error keep_named(struct store *store, const struct catalogue *current, struct plant *plant,
                                size_t *ret_unknown, struct fb_cause *cause) {
    *ret_unknown = 0;
    for (size_t i = 0; i < plant->instrument_count; i++) {
        struct plant_instrument *instrument = &plant->instruments[i];
        for (size_t k = 0; k < instrument->tag_count; k++) {
            struct plant_tag *tag = &instrument->tags[k];
            const enum fb_error error = find_number(store, instrument->name, tag, cause);
            if (error != FB_OK && error != FB_NOT_FOUND)
                return error;
            if (error == FB_OK && is_named(current, instrument->name, tag))
                continue;
            tag->number = 0;
            ++*ret_unknown;
        }
    }
    return FB_OK;
}

enum fb_error store_known_tags(struct store *store, struct plant *plant, size_t *ret_unknown, struct fb_cause *cause) {
    struct catalogue current = {0};
    uint8_t *bytes = malloc(CATALOGUE_BYTES_MAX);
    enum fb_error error =
        bytes != NULL ? read_current(store, bytes, &current, cause) : fb_fail(cause, FB_MEMORY, "out of memory");
    if (error == FB_OK || error == FB_NOT_FOUND)
        error = keep_named(store, &current, plant, ret_unknown, cause);
    catalogue_done(&current);
    free(bytes);
    return store_finish(store, error, "known tags", cause);
}

static enum fb_error copy_row(struct store *store, const uint8_t *hash, uint64_t *ret_revision, uint8_t *ret_bytes,
                              size_t *ret_length, struct fb_cause *cause) {
    uint8_t found[BATCH_HASH_BYTES];
    size_t length;
    const uint8_t *bytes = store_bytes(store, STORE_READ_CATALOGUE, 1, &length);
    if (bytes == NULL || length > CATALOGUE_BYTES_MAX)
        return fb_fail(cause, FB_CORRUPT, "catalogue: its row is damaged");
    batch_hash(bytes, length, found);
    if (memcmp(found, hash, sizeof found) != 0)
        return fb_fail(cause, FB_CORRUPT, "catalogue: its bytes are damaged");
    memcpy(ret_bytes, bytes, length);
    *ret_length = length;
    *ret_revision = (uint64_t)store_integer(store, STORE_READ_CATALOGUE, 0);
    return FB_OK;
}

enum fb_error store_read_catalogue(struct store *store, const uint8_t hash[static BATCH_HASH_BYTES],
                                   uint64_t *ret_revision, uint8_t *ret_bytes, size_t *ret_length,
                                   struct fb_cause *cause) {
    const int code = store_step(store, STORE_READ_CATALOGUE, "b", hash, (size_t)BATCH_HASH_BYTES);
    enum fb_error error = code == SQLITE_DONE ? fb_fail(cause, FB_NOT_FOUND, "no catalogue has that hash")
                                              : store_result(store->db, code, cause, "catalogue");
    if (error == FB_OK)
        error = copy_row(store, hash, ret_revision, ret_bytes, ret_length, cause);
    store_reset(store, STORE_READ_CATALOGUE);
    return error;
}
