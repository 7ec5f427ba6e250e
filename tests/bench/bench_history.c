// links: store/*.c gateway/common/*.c gateway/core/plot.c gateway/core/text.c tests/bench/data.c
/* How long reading the history holds the loop up, in a store of so many batches with a reading or two, and some of the
 * largest there can be: bench_history [BATCHES] [FOLDER], 400000 and /var/tmp without. Not part of `make bench`: it
 * takes a minute. Prints JSON, the worst of each in ms by the clock, and the processor's part (.cpu), against 20 ms:
 *
 * store.history_ms.export  one call for the next batch of an export of everything
 * store.history_ms.end     one call behind the last batch of an export of the first hour
 * store.history_ms.plot    one slice of a plot of everything; .early: of the first hour */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "data.h"
#include "gateway/core/plot.h"
#include "store/history.h"

#define LIMIT_MS 20
#define LARGE_BATCHES 200
#define HOUR_MS 3600000
#define STEP_MS 10000 /* from one small batch to the next */
#define PATH_BYTES 512

static const uint8_t key[STORE_KEY_BYTES] = {1, 2, 3};
static char folder[PATH_BYTES], path[PATH_BYTES + 32];
static struct plant_tag tags[DATA_TAGS_MAX];
static struct plant_instrument instrument = {.name = "bench", .tags = tags, .tag_count = DATA_TAGS_MAX};
static struct plant plant = {.instruments = &instrument, .instrument_count = 1};
static struct store_batch batch;

struct times {
    double wall_ms, cpu_ms;
};

static double read_clock_ms(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static struct times now(void) {
    return (struct times){read_clock_ms(CLOCK_MONOTONIC), read_clock_ms(CLOCK_PROCESS_CPUTIME_ID)};
}

static void note(struct times *worst, struct times begun) {
    const struct times end = now();
    const double wall_ms = end.wall_ms - begun.wall_ms, cpu_ms = end.cpu_ms - begun.cpu_ms;
    worst->wall_ms = wall_ms > worst->wall_ms ? wall_ms : worst->wall_ms;
    worst->cpu_ms = cpu_ms > worst->cpu_ms ? cpu_ms : worst->cpu_ms;
}

static void must(enum fb_error error, const struct fb_cause *cause) {
    if (error == FB_OK)
        return;
    fprintf(stderr, "bench_history: %s\n", cause->text);
    exit(EXIT_FAILURE);
}

static struct store *open_store(void) {
    const struct store_settings settings = {.path = path, .gateway = "bench", .quota_bytes = UINT64_C(8) << 30};
    struct store *store;
    struct store_opening opening;
    struct fb_cause cause;
    must(store_open(&settings, key, &store, &opening, &cause), &cause);
    for (size_t i = 0; i < DATA_TAGS_MAX; i++) {
        tags[i] = (struct plant_tag){.type = PLANT_INT16, .scale = {1, -2}, .interval_ms = 1000};
        snprintf(tags[i].name, sizeof tags[i].name, "tag-%zu", i + 1);
    }
    must(store_number_tags(store, &plant, &cause), &cause);
    must(store_set_catalogue(store, &plant, DATA_START_MS, &cause), &cause);
    return store;
}

/* One batch of so many sweeps. */
static void add_batch(struct store *store, struct data *data, size_t sweeps) {
    static struct reading readings[DATA_TAGS_MAX];
    struct fb_cause cause;
    size_t sealed;
    for (size_t i = 0; i < sweeps; i++) {
        data_sweep(data, readings);
        must(store_append(store, readings, data->tags), &cause);
    }
    must(store_commit(store, (struct store_cursor){1, data->sweeps}, &cause), &cause);
    must(store_seal(store, DATA_START_MS, CLOCK_SYNCHRONISED, &sealed, &cause), &cause);
}

/* The newest batch, a small one, again and again, as history. */
static void multiply(unsigned long long count) {
    sqlite3 *db;
    char spec[2 * STORE_KEY_BYTES + 4] = "x'", sql[1024];
    for (size_t i = 0; i < sizeof key; i++)
        snprintf(spec + 2 + 2 * i, 3, "%02x", key[i]);
    strcat(spec, "'");
    if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_key(db, spec, (int)sizeof spec - 1) != SQLITE_OK)
        exit(EXIT_FAILURE);
    snprintf(sql, sizeof sql,
             "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; BEGIN; DELETE FROM queue;"
             "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < %llu) INSERT INTO batches"
             " SELECT number + i, catalogue, readings, first_ms + i * %d, last_ms + i * %d, hash, bytes FROM n, batches"
             " WHERE number = (SELECT last_number FROM state);"
             "UPDATE state SET last_number = last_number + %llu, batches = batches + %llu, unsent_batches = 0,"
             " unsent_readings = 0; COMMIT; PRAGMA journal_mode = WAL",
             count, STEP_MS, STEP_MS, count, count);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fprintf(stderr, "bench_history: %s\n", sqlite3_errmsg(db));
        exit(EXIT_FAILURE);
    }
    sqlite3_close(db);
}

/* ret_end: the calls that found nothing more. */
static struct times walk(struct store *store, int64_t to_ms, struct times *ret_end) {
    struct history_place place = history_begin(0);
    struct times worst = {0};
    enum fb_error error;
    do {
        const struct times begun = now();
        error = history_next(store, &place, to_ms, &batch, NULL);
        note(error == FB_OK ? &worst : ret_end, begun);
    } while (error == FB_OK || error == FB_AGAIN);
    return worst;
}

static void on_done(enum fb_error error, const struct text *answer, const struct fb_cause *cause, void *user) {
    bool *done = user;
    (void)answer;
    *done = true;
    if (error != FB_OK)
        fprintf(stderr, "bench_history: the plot ended: %s\n", cause->text);
}

static struct times draw(struct store *store, int64_t to_ms) {
    const struct plot_request request = {.tag = 1, .from_ms = DATA_START_MS, .to_ms = to_ms, .buckets = 4096};
    struct times worst = {0};
    struct fb_cause cause;
    struct plot *plot;
    sd_event *event;
    bool done = false;
    if (sd_event_new(&event) < 0)
        exit(EXIT_FAILURE);
    must(plot_start(event, store, &request, on_done, &done, &plot, &cause), &cause);
    while (!done) {
        const struct times begun = now();
        if (sd_event_run(event, 0) < 0)
            exit(EXIT_FAILURE);
        note(&worst, begun);
    }
    plot_free(plot);
    sd_event_unref(event);
    return worst;
}

static void print(const char *name, struct times worst) {
    static const char format[] = "%s\"store.history_ms.%s%s\": {\"value\": %.4g, \"unit\": \"ms\", \"against\": %d, "
                                 "\"ratio\": %.3f}";
    static bool started = false;
    printf(format, started ? ",\n" : "{", name, "", worst.wall_ms, LIMIT_MS, worst.wall_ms / LIMIT_MS);
    printf(format, ",\n", name, ".cpu", worst.cpu_ms, LIMIT_MS, worst.cpu_ms / LIMIT_MS);
    started = true;
}

static void remove_folder(void) {
    char command[PATH_BYTES + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "bench_history: %s is left\n", folder);
}

int main(int argc, char **argv) {
    const unsigned long long small = argc > 1 ? strtoull(argv[1], NULL, 10) : 400000;
    struct data data, few;
    struct times end = {0}, any = {0};
    snprintf(folder, sizeof folder, "%s/forebay-bench-XXXXXX", argc > 2 ? argv[2] : "/var/tmp");
    if (small == 0 || small > 100000000 || mkdtemp(folder) == NULL)
        return EXIT_FAILURE;
    atexit(remove_folder);
    snprintf(path, sizeof path, "%s/store.db", folder);
    struct store *store = open_store();
    data_init(&data, DATA_QUIET, DATA_TAGS_MAX, 1);
    for (size_t i = 0; i < LARGE_BATCHES; i++)
        add_batch(store, &data, BATCH_READINGS_MAX / DATA_TAGS_MAX);
    data_init(&few, DATA_QUIET, 2, 1);
    add_batch(store, &few, 1);
    store_close(store);
    multiply(small);
    store = open_store();
    print("export", walk(store, INT64_MAX, &any));
    walk(store, DATA_START_MS + HOUR_MS, &end);
    print("end", end);
    print("plot", draw(store, DATA_START_MS + (int64_t)small * STEP_MS));
    print("plot.early", draw(store, DATA_START_MS + HOUR_MS));
    printf("}\n");
    store_close(store);
    return EXIT_SUCCESS;
}
