// links: store/*.c gateway/common/*.c gateway/core/plot.c gateway/core/text.c tests/bench/data.c tests/bench/made_store.c tests/bench/moment.c
/* How long reading the history holds the loop up, in a store of so many batches with a reading or two, and some of the
 * largest there can be: bench_history [BATCHES] [FOLDER], 400000 and /var/tmp without. Not part of `make bench`: it
 * takes a minute. Prints JSON, the worst of each in ms by the clock, and the processor's part (.cpu), against 20 ms:
 *
 * store.history_ms.export  one call for the next batch of an export of everything
 * store.history_ms.end     one call behind the last batch of an export of the first hour
 * store.history_ms.plot    one slice of a plot of everything; .early: of the first hour; of each, .all: all slices,
 *                         against the time that a plot may take */
#include <stdio.h>
#include <stdlib.h>

#include "data.h"
#include "gateway/core/plot.h"
#include "made_store.h"
#include "moment.h"
#include "store/history.h"

#define LIMIT_MS 20
#define LARGE_BATCHES 200
#define HOUR_MS 3600000
#define STEP_MS 10000 /* from one small batch to the next */
#define QUOTA_BYTES (UINT64_C(8) << 30)
#define PATH_BYTES 512

static const uint8_t key[STORE_KEY_BYTES] = {1, 2, 3};
static struct store_batch batch;

/* One batch of so many sweeps. */
static void add_batch(struct store *store, struct data *data, size_t sweeps) {
    for (size_t i = 0; i < sweeps; i++)
        made_store_sweep(store, data);
    made_store_seal(store);
}

/* ret_end: the calls that found nothing more. */
static struct moment walk(struct store *store, int64_t to_ms, struct moment *ret_end) {
    struct history_place place = history_begin(0);
    struct moment worst = {0};
    enum fb_error error;
    do {
        const struct moment begun = moment_now();
        error = history_next(store, &place, to_ms, &batch, NULL);
        moment_keep_worst(error == FB_OK ? &worst : ret_end, moment_since(begun));
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

/* ret_all: the time that all slices took. */
static struct moment draw(struct store *store, int64_t to_ms, struct moment *ret_all) {
    const struct plot_request request = {
        .tag = 1, .from_ms = DATA_START_MS, .to_ms = to_ms, .buckets = 4096, .aim_ms = PLOT_AIM_MS};
    struct moment worst = {0};
    struct fb_cause cause;
    struct plot *plot;
    sd_event *event;
    bool done = false;
    if (sd_event_new(&event) < 0)
        exit(EXIT_FAILURE);
    const struct moment first = moment_now();
    made_store_must(plot_start(event, store, &request, on_done, &done, &plot, &cause), &cause);
    while (!done) {
        const struct moment begun = moment_now();
        if (sd_event_run(event, 0) < 0)
            exit(EXIT_FAILURE);
        moment_keep_worst(&worst, moment_since(begun));
    }
    *ret_all = moment_since(first);
    plot_free(plot);
    sd_event_unref(event);
    return worst;
}

static void print(const char *name, struct moment took, int against_ms) {
    static const char format[] = "%s\"store.history_ms.%s%s\": {\"value\": %.4g, \"unit\": \"ms\", \"against\": %d, "
                                 "\"ratio\": %.3f}";
    static bool started = false;
    printf(format, started ? ",\n" : "{", name, "", took.wall_ms, against_ms, took.wall_ms / against_ms);
    printf(format, ",\n", name, ".cpu", took.cpu_ms, against_ms, took.cpu_ms / against_ms);
    started = true;
}

static void measure_plot(const char *name, struct store *store, int64_t to_ms) {
    struct moment all;
    char figure[32];
    print(name, draw(store, to_ms, &all), LIMIT_MS);
    snprintf(figure, sizeof figure, "%s.all", name);
    print(figure, all, PLOT_LIMIT_MS);
}

int main(int argc, char **argv) {
    const unsigned long long small = argc > 1 ? strtoull(argv[1], NULL, 10) : 400000;
    char path[PATH_BYTES];
    struct data data, few;
    struct moment end = {0}, any = {0};
    if (small == 0 || small > 100000000)
        return EXIT_FAILURE;
    snprintf(path, sizeof path, "%s/store.db", made_store_folder(argc > 2 ? argv[2] : "/var/tmp"));
    struct store *store = made_store_open(path, "bench", key, DATA_TAGS_MAX, QUOTA_BYTES);
    data_init(&data, DATA_QUIET, DATA_TAGS_MAX, 1);
    for (size_t i = 0; i < LARGE_BATCHES; i++)
        add_batch(store, &data, BATCH_READINGS_MAX / DATA_TAGS_MAX);
    data_init(&few, DATA_QUIET, 2, 1);
    add_batch(store, &few, 1);
    store_close(store);
    made_store_multiply(path, key, small, STEP_MS);
    store = made_store_open(path, "bench", key, DATA_TAGS_MAX, QUOTA_BYTES);
    print("export", walk(store, INT64_MAX, &any), LIMIT_MS);
    walk(store, DATA_START_MS + HOUR_MS, &end);
    print("end", end, LIMIT_MS);
    measure_plot("plot", store, DATA_START_MS + (int64_t)small * STEP_MS);
    measure_plot("plot.early", store, DATA_START_MS + HOUR_MS);
    printf("}\n");
    store_close(store);
    return EXIT_SUCCESS;
}
