/* store_fixture.h - a folder, a key, a plant and readings for the tests of the store. */
#ifndef FB_TESTS_STORE_FIXTURE_H
#define FB_TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "gateway/common/quality.h"
#include "store/store.h"

#define FIXTURE_TIME_MS INT64_C(1795293190000)
#ifndef FIXTURE_TAGS
#define FIXTURE_TAGS 10
#endif

struct fixture {
    char folder[64];
    char path[128];
    uint8_t key[STORE_KEY_BYTES];
    uint64_t quota_bytes;
    struct store *store;
    struct store_opening opening;
    struct fb_cause cause;
    struct plant_tag tags[FIXTURE_TAGS];
    struct plant_instrument instrument;
    struct plant plant;
    uint64_t sequence; /* how many readings were made so far */
    bool thins;        /* batches may have been replaced: their hashes then do not fit */
};

static inline void fixture_make_plant(struct fixture *fixture) {
    for (size_t i = 0; i < FIXTURE_TAGS; i++) {
        struct plant_tag *tag = &fixture->tags[i];
        *tag = (struct plant_tag){.type = PLANT_INT32, .scale = {1, 0}, .interval_ms = 1000};
        snprintf(tag->name, sizeof tag->name, "tag-%zu", i);
    }
    fixture->instrument = (struct plant_instrument){.name = "probe", .tags = fixture->tags, .tag_count = FIXTURE_TAGS};
    fixture->plant = (struct plant){.instruments = &fixture->instrument, .instrument_count = 1};
}

static inline enum fb_error fixture_try_open(struct fixture *fixture) {
    const struct store_settings settings = {
        .path = fixture->path, .gateway = "plant-1", .quota_bytes = fixture->quota_bytes, .now_ms = FIXTURE_TIME_MS};
    return store_open(&settings, fixture->key, &fixture->store, &fixture->opening, &fixture->cause);
}

/* The database alone, as SQLCipher's shell would open it: nothing of the store's own looks at it. */
static inline sqlite3 *fixture_open_database(const struct fixture *fixture) {
    char key[] = "x'4242424242424242424242424242424242424242424242424242424242424242'";
    sqlite3 *db;
    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_key(db, key, (int)sizeof key - 1), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA cipher_hmac_algorithm = HMAC_SHA256", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

/* Open, and name the tags as core does. */
static inline void fixture_open(struct fixture *fixture) {
    if (fixture_try_open(fixture) != FB_OK)
        fail_msg("%s", fixture->cause.text);
    assert_int_equal(store_number_tags(fixture->store, &fixture->plant, &fixture->cause), FB_OK);
    assert_int_equal(store_set_catalogue(fixture->store, &fixture->plant, FIXTURE_TIME_MS, &fixture->cause), FB_OK);
}

static inline void fixture_close(struct fixture *fixture) {
    store_close(fixture->store);
    fixture->store = NULL;
}

static inline int fixture_setup(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (fixture == NULL)
        return -1;
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/forebay-store-XXXXXX");
    if (mkdtemp(fixture->folder) == NULL) {
        free(fixture);
        return -1;
    }
    snprintf(fixture->path, sizeof fixture->path, "%s/store.db", fixture->folder);
    memset(fixture->key, 0x42, sizeof fixture->key);
    fixture->quota_bytes = UINT64_C(64) * 1024 * 1024;
    fixture_make_plant(fixture);
    *state = fixture;
    return 0;
}

static inline int fixture_teardown(void **state) {
    struct fixture *fixture = *state;
    store_close(fixture->store);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", fixture->folder);
    const int result = system(command);
    free(fixture);
    return result;
}

/* The n-th reading of a fixture: its time tells n, its value follows from n and does not compress. */
static inline struct reading fixture_reading(uint64_t n) {
    uint64_t noise = n * UINT64_C(0x9e3779b97f4a7c15);
    noise = (noise ^ noise >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return reading_integer(1 + (uint32_t)(n % FIXTURE_TAGS), FIXTURE_TIME_MS + (int64_t)n, QUALITY_GOOD,
                           (int64_t)(noise ^ noise >> 27));
}

static inline void fixture_append(struct fixture *fixture, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct reading reading = fixture_reading(++fixture->sequence);
        assert_int_equal(store_append(fixture->store, &reading, 1), FB_OK);
    }
}

static inline void fixture_commit(struct fixture *fixture) {
    const struct store_cursor cursor = {.epoch = 1, .sequence = fixture->sequence};
    const enum fb_error error = store_commit(fixture->store, cursor, &fixture->cause);
    if (error != FB_OK)
        fail_msg("%s", fixture->cause.text);
}

static inline size_t fixture_seal(struct fixture *fixture) {
    size_t sealed = 0;
    if (store_seal(fixture->store, FIXTURE_TIME_MS, CLOCK_SYNCHRONISED, &sealed, &fixture->cause) != FB_OK)
        fail_msg("%s", fixture->cause.text);
    return sealed;
}

static inline void fixture_batch_of(struct fixture *fixture, size_t count) {
    fixture_append(fixture, count);
    fixture_commit(fixture);
    assert_int_equal(fixture_seal(fixture), 1);
}

/* What the unsent batches held; the chain is checked where neighbours are both there. */
struct fixture_harvest {
    uint8_t *seen; /* how often the n-th reading came, by n; most of them */
    size_t most;
    uint64_t readings;
    uint64_t batches;
    uint64_t lost; /* as told by the loss records */
    uint64_t lost_because[BATCH_LOSS_THINNED + 1];
    uint64_t replaced; /* batches whose hash is not the one that the next one carries */
    uint64_t last_number;
    uint8_t last_hash[BATCH_HASH_BYTES];
    struct batch_info last; /* of the last batch */
};

static inline void fixture_take(struct fixture_harvest *harvest, const struct store_batch *batch) {
    struct reading *readings = NULL;
    size_t count;
    struct fb_cause cause;
    if (batch_decode(batch->bytes, batch->length, &harvest->last, &readings, &count, &cause) != FB_OK)
        fail_msg("%s", cause.text);
    assert_int_equal(harvest->last.number, batch->number);
    assert_memory_equal(harvest->last.catalogue, batch->catalogue, BATCH_HASH_BYTES);
    if (harvest->last_number + 1 == batch->number)
        harvest->replaced += memcmp(harvest->last.previous, harvest->last_hash, BATCH_HASH_BYTES) != 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t n = (uint64_t)(readings[i].time_ms - FIXTURE_TIME_MS);
        const struct reading expected = fixture_reading(n);
        assert_in_range(n, 1, harvest->most - 1);
        assert_memory_equal(&readings[i], &expected, sizeof expected);
        harvest->seen[n]++;
    }
    for (size_t i = 0; i < harvest->last.loss_count; i++) {
        harvest->lost += harvest->last.losses[i].readings;
        harvest->lost_because[harvest->last.losses[i].reason] += harvest->last.losses[i].readings;
    }
    harvest->readings += count;
    harvest->batches++;
    harvest->last_number = batch->number;
    batch_hash(batch->bytes, batch->length, harvest->last_hash);
    free(readings);
}

/* Take all unsent batches in order and mark them as sent. Free seen. */
static inline struct fixture_harvest fixture_harvest(struct fixture *fixture, size_t most) {
    struct fixture_harvest harvest = {.seen = calloc(most, 1), .most = most};
    struct store_batch *batch = malloc(sizeof *batch);
    enum fb_error error;
    while ((error = store_next(fixture->store, 1, UINT64_MAX, batch, &fixture->cause)) == FB_OK) {
        fixture_take(&harvest, batch);
        assert_int_equal(store_mark_sent(fixture->store, &batch->number, 1, FIXTURE_TIME_MS, &fixture->cause), FB_OK);
    }
    assert_int_equal(error, FB_NOT_FOUND);
    assert_true(fixture->thins || harvest.replaced == 0);
    free(batch);
    return harvest;
}

#endif
