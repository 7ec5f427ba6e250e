#include "gateway/receive/names.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/file.h"
#include "gateway/common/hex.h"

#define FILE_NAME_MAX 128
#define STORE_DIGITS (2 * BATCH_STORE_ID_BYTES)
#define HASH_DIGITS (2 * BATCH_HASH_BYTES)

struct entry {
    uint8_t store_id[BATCH_STORE_ID_BYTES];
    uint8_t hash[BATCH_HASH_BYTES];
    uint64_t revision;
    struct catalogue catalogue; /* tags NULL while it is not taken apart */
    bool open;
    uint64_t used; /* the turn in which it was last asked for */
};

struct names {
    char folder[PATH_MAX];
    struct entry *entries; /* in no order */
    size_t count;
    size_t open_tags;
    uint64_t turn;
};

static void file_name(const struct entry *entry, char *ret_name) {
    char store[STORE_DIGITS + 1], hash[HASH_DIGITS + 1];
    hex_encode(entry->store_id, sizeof entry->store_id, store);
    hex_encode(entry->hash, sizeof entry->hash, hash);
    snprintf(ret_name, FILE_NAME_MAX, "%s-%" PRIu64 "-%s", store, entry->revision, hash);
}

static bool parse_file_name(const char *name, struct entry *ret_entry) {
    char store[STORE_DIGITS + 1], again[FILE_NAME_MAX];
    const size_t length = strlen(name);
    struct entry entry = {0};
    if (length < STORE_DIGITS + HASH_DIGITS || length >= FILE_NAME_MAX)
        return false;
    memcpy(store, name, STORE_DIGITS);
    store[STORE_DIGITS] = '\0';
    if (!hex_decode(store, entry.store_id, sizeof entry.store_id) ||
        !hex_decode(name + length - HASH_DIGITS, entry.hash, sizeof entry.hash))
        return false;
    entry.revision = strtoull(name + STORE_DIGITS + 1, NULL, 10);
    file_name(&entry, again);
    *ret_entry = entry;
    return strcmp(again, name) == 0;
}

static enum fb_error append(struct names *names, const struct entry *entry, struct fb_cause *cause) {
    struct entry *grown = reallocarray(names->entries, names->count + 1, sizeof *grown);
    if (grown == NULL)
        return fb_fail(cause, FB_MEMORY, "%s: out of memory", names->folder);
    names->entries = grown;
    grown[names->count++] = *entry;
    return FB_OK;
}

static enum fb_error look_through(struct names *names, DIR *folder, struct fb_cause *cause) {
    const struct dirent *item;
    while ((item = readdir(folder)) != NULL) {
        struct entry entry;
        if (!parse_file_name(item->d_name, &entry))
            continue;
        if (names->count == NAMES_FILES_MAX)
            return fb_fail(cause, FB_LIMIT, "%s: more than %d catalogues; begin a new --state folder", names->folder,
                           NAMES_FILES_MAX);
        const enum fb_error error = append(names, &entry, cause);
        if (error != FB_OK)
            return error;
    }
    return FB_OK;
}

enum fb_error names_open(const char *folder, struct names **ret_names, struct fb_cause *cause) {
    enum fb_error error = file_make_folder(folder, cause);
    if (error != FB_OK)
        return error;
    struct names *names = calloc(1, sizeof *names);
    if (names == NULL)
        return fb_fail(cause, FB_MEMORY, "%s: out of memory", folder);
    snprintf(names->folder, sizeof names->folder, "%s", folder);
    DIR *opened = opendir(folder);
    if (opened == NULL)
        error = fb_fail_errno(cause, FB_IO, errno, "%s", folder);
    else {
        error = look_through(names, opened, cause);
        closedir(opened);
    }
    if (error == FB_OK)
        *ret_names = names;
    else
        names_close(names);
    return error;
}

void names_close(struct names *names) {
    if (names == NULL)
        return;
    for (size_t i = 0; i < names->count; i++)
        catalogue_done(&names->entries[i].catalogue);
    free(names->entries);
    free(names);
}

static struct entry *find_hash(struct names *names, const uint8_t *store_id, const uint8_t *hash) {
    for (size_t i = 0; i < names->count; i++)
        if (memcmp(names->entries[i].hash, hash, BATCH_HASH_BYTES) == 0 &&
            memcmp(names->entries[i].store_id, store_id, BATCH_STORE_ID_BYTES) == 0)
            return &names->entries[i];
    return NULL;
}

/* The newest (or the oldest) of a store, and how many there are. */
static struct entry *find_extreme(struct names *names, const uint8_t *store_id, bool newest, size_t *ret_count) {
    struct entry *found = NULL;
    size_t count = 0;
    for (size_t i = 0; i < names->count; i++) {
        struct entry *entry = &names->entries[i];
        if (memcmp(entry->store_id, store_id, BATCH_STORE_ID_BYTES) != 0)
            continue;
        count++;
        if (found == NULL || (entry->revision > found->revision) == newest)
            found = entry;
    }
    *ret_count = count;
    return found;
}

static void shut(struct names *names, struct entry *entry) {
    if (!entry->open)
        return;
    names->open_tags -= entry->catalogue.tag_count;
    catalogue_done(&entry->catalogue);
    entry->open = false;
}

static enum fb_error remove_entry(struct names *names, struct entry *entry, struct fb_cause *cause) {
    char name[FILE_NAME_MAX], path[PATH_MAX];
    file_name(entry, name);
    const enum fb_error error = file_join(names->folder, name, path, sizeof path, cause);
    if (error != FB_OK)
        return error;
    if (unlink(path) < 0 && errno != ENOENT)
        return fb_fail_errno(cause, FB_IO, errno, "%s", path);
    shut(names, entry);
    *entry = names->entries[--names->count];
    return FB_OK;
}

static enum fb_error make_room(struct names *names, const uint8_t *store_id, struct fb_cause *cause) {
    size_t count;
    struct entry *oldest = find_extreme(names, store_id, false, &count);
    if (count >= NAMES_PER_STORE_MAX)
        return remove_entry(names, oldest, cause);
    if (names->count == NAMES_FILES_MAX)
        return fb_fail(cause, FB_FULL, "%d catalogues are kept; begin a new --state folder", NAMES_FILES_MAX);
    return FB_OK;
}

/* Make place for one more catalogue in memory by shutting those that were not asked for longest. */
static void shut_unused(struct names *names, size_t tags) {
    while (names->open_tags > 0 && names->open_tags + tags > NAMES_OPEN_TAGS_MAX) {
        struct entry *unused = NULL;
        for (size_t i = 0; i < names->count; i++)
            if (names->entries[i].open && (unused == NULL || names->entries[i].used < unused->used))
                unused = &names->entries[i];
        if (unused == NULL)
            return;
        shut(names, unused);
    }
}

static void put_open(struct names *names, struct entry *entry, const struct catalogue *catalogue) {
    shut_unused(names, catalogue->tag_count);
    entry->catalogue = *catalogue;
    entry->open = true;
    entry->used = ++names->turn;
    names->open_tags += catalogue->tag_count;
}

static enum fb_error keep(struct names *names, struct entry *entry, const uint8_t *bytes, size_t length,
                          struct fb_cause *cause) {
    char name[FILE_NAME_MAX], path[PATH_MAX];
    file_name(entry, name);
    enum fb_error error = make_room(names, entry->store_id, cause);
    if (error == FB_OK)
        error = file_join(names->folder, name, path, sizeof path, cause);
    if (error != FB_OK)
        return error;
    error = file_write(path, bytes, length, 0640, cause);
    if (error != FB_OK)
        return FB_IO; /* FB_FULL here would be the disk; for our caller it is the table */
    return append(names, entry, cause);
}

enum fb_error names_add(struct names *names, const uint8_t *bytes, size_t length, bool *ret_fresh,
                        struct fb_cause *cause) {
    struct catalogue catalogue;
    enum fb_error error = catalogue_decode(bytes, length, &catalogue, cause);
    if (error != FB_OK)
        return error;
    struct entry entry = {.revision = catalogue.revision};
    memcpy(entry.store_id, catalogue.store_id, sizeof entry.store_id);
    batch_hash(bytes, length, entry.hash);
    const bool fresh = find_hash(names, entry.store_id, entry.hash) == NULL;
    if (fresh)
        error = keep(names, &entry, bytes, length, cause);
    if (fresh && error == FB_OK)
        put_open(names, &names->entries[names->count - 1], &catalogue);
    else
        catalogue_done(&catalogue);
    if (error == FB_OK)
        *ret_fresh = fresh;
    return error;
}

static enum fb_error read_entry(struct names *names, struct entry *entry) {
    char name[FILE_NAME_MAX], path[PATH_MAX];
    FB_CLEANUP(file_free) char *bytes = NULL;
    size_t length = 0;
    struct catalogue catalogue;
    file_name(entry, name);
    enum fb_error error = file_join(names->folder, name, path, sizeof path, NULL);
    if (error == FB_OK)
        error = file_read(path, CATALOGUE_BYTES_MAX, &bytes, &length, NULL);
    if (error == FB_OK)
        error = catalogue_decode((const uint8_t *)bytes, length, &catalogue, NULL);
    if (error == FB_OK)
        put_open(names, entry, &catalogue);
    return error;
}

/* Taken apart, and newly used. One that cannot be read is forgotten, so that its coming again writes it anew. */
static const struct catalogue *take(struct names *names, struct entry *entry) {
    if (!entry->open && read_entry(names, entry) != FB_OK) {
        *entry = names->entries[--names->count];
        return NULL;
    }
    entry->used = ++names->turn;
    return &entry->catalogue;
}

const struct catalogue *names_find(struct names *names, const struct batch_info *info) {
    struct entry *entry = find_hash(names, info->store_id, info->catalogue);
    const struct catalogue *found = entry != NULL ? take(names, entry) : NULL;
    size_t count;
    while (found == NULL && (entry = find_extreme(names, info->store_id, true, &count)) != NULL)
        found = take(names, entry);
    return found;
}

static int compare_tag(const void *key, const void *element) {
    const uint32_t number = *(const uint32_t *)key;
    const struct catalogue_tag *tag = element;
    return number < tag->number ? -1 : number > tag->number;
}

const struct catalogue_tag *names_tag(const struct catalogue *catalogue, uint32_t number) {
    if (catalogue == NULL || catalogue->tag_count == 0)
        return NULL;
    return bsearch(&number, catalogue->tags, catalogue->tag_count, sizeof *catalogue->tags, compare_tag);
}
