#include "made_store.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 512

static char folder[PATH_BYTES];
static struct plant_tag tags[DATA_TAGS_MAX];

void made_store_must(enum fb_error error, const struct fb_cause *cause) {
    if (error == FB_OK)
        return;
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, cause->text);
    exit(EXIT_FAILURE);
}

static void remove_folder(void) {
    char command[PATH_BYTES + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "%s: %s is left\n", program_invocation_short_name, folder);
}

const char *made_store_folder(const char *below) {
    snprintf(folder, sizeof folder, "%s/forebay-bench-XXXXXX", below);
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        exit(EXIT_FAILURE);
    }
    atexit(remove_folder);
    return folder;
}

static void set_catalogue(struct store *store, size_t tag_count) {
    struct plant_instrument instrument = {.name = "bench", .tags = tags, .tag_count = tag_count};
    struct plant plant = {.instruments = &instrument, .instrument_count = 1};
    struct fb_cause cause;
    for (size_t i = 0; i < tag_count; i++) {
        tags[i] = (struct plant_tag){.type = PLANT_INT16, .scale = {1, -2}, .interval_ms = 1000};
        snprintf(tags[i].name, sizeof tags[i].name, "tag-%zu", i + 1);
    }
    made_store_must(store_number_tags(store, &plant, &cause), &cause);
    made_store_must(store_set_catalogue(store, &plant, DATA_START_MS, &cause), &cause);
}

const char *made_store_tag(uint32_t number) {
    return tags[number - 1].name;
}

struct store *made_store_open(const char *path, const char *gateway, const uint8_t key[static STORE_KEY_BYTES],
                              size_t tag_count, uint64_t quota_bytes) {
    const struct store_settings settings = {.path = path, .gateway = gateway, .quota_bytes = quota_bytes};
    struct store *store;
    struct store_opening opening;
    struct fb_cause cause;
    made_store_must(store_open(&settings, key, &store, &opening, &cause), &cause);
    set_catalogue(store, tag_count);
    return store;
}

void made_store_sweep(struct store *store, struct data *data) {
    static struct reading readings[DATA_TAGS_MAX];
    struct fb_cause cause = {"the tail is full"};
    data_sweep(data, readings);
    made_store_must(store_append(store, readings, data->tags), &cause);
    made_store_must(store_commit(store, (struct store_cursor){1, data->sweeps}, &cause), &cause);
}

void made_store_seal(struct store *store) {
    struct fb_cause cause;
    size_t sealed;
    made_store_must(store_seal(store, DATA_START_MS, CLOCK_SYNCHRONISED, &sealed, &cause), &cause);
}

static void run(sqlite3 *db, const char *statements) {
    char *reason = NULL;
    if (sqlite3_exec(db, statements, NULL, NULL, &reason) == SQLITE_OK)
        return;
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, reason);
    exit(EXIT_FAILURE);
}

/* Else the first commit that is measured would have to write all of it. */
static void sync_file(const char *path) {
    const int descriptor = open(path, O_RDONLY);
    if (descriptor < 0 || fsync(descriptor) != 0)
        perror(path);
    close(descriptor);
}

void made_store_multiply(const char *path, const uint8_t key[static STORE_KEY_BYTES], uint64_t count, int64_t step_ms) {
    sqlite3 *db;
    char spec[2 * STORE_KEY_BYTES + 4] = "x'", statements[1024];
    for (size_t i = 0; i < STORE_KEY_BYTES; i++)
        snprintf(spec + 2 + 2 * i, 3, "%02x", key[i]);
    strcat(spec, "'");
    if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_key(db, spec, (int)sizeof spec - 1) != SQLITE_OK)
        exit(EXIT_FAILURE);
    const unsigned long long more = count;
    const long long step = step_ms;
    snprintf(statements, sizeof statements,
             "PRAGMA cipher_hmac_algorithm = HMAC_SHA256; PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; BEGIN; "
             "DELETE FROM queue;"
             "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < %llu) INSERT INTO batches"
             " SELECT number + i, catalogue, readings, first_ms + i * %lld, last_ms + i * %lld, hash, bytes FROM n,"
             " batches WHERE number = (SELECT last_number FROM state);"
             "UPDATE state SET last_number = last_number + %llu, batches = batches + %llu, unsent_batches = 0,"
             " unsent_readings = 0; COMMIT; PRAGMA journal_mode = WAL",
             more, step, step, more, more);
    run(db, statements);
    sqlite3_close(db);
    sync_file(path);
}
