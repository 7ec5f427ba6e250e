// links: store/*.c gateway/common/*.c tests/bench/data.c tests/bench/made_store.c tests/bench/moment.c
/* How long each step of an online rekey holds the loop up, with a store of so many megabytes that takes 1000 readings a
 * second meanwhile: bench_rekey [MEGABYTES] [FOLDER], 250 and /var/tmp without. Not part of `make bench`: it writes
 * twice the size. Prints JSON:
 *
 * store.rekey_ms  .begin, .step, .switch, .clear, and .commit, a second's readings between steps: the worst of each by
 *                 the clock, against 20 ms. Of each, too, the worst of what the processor worked (.cpu), of what fsync
 *                 took (.sync), and of the rest (.own), which on a busy machine includes the time that others had the
 *                 processor
 * store.rekey_s   all of it; against: one read and one write of the size at 100 MB/s */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "data.h"
#include "made_store.h"
#include "moment.h"
#include "store/store_rekey.h"

#define LIMIT_MS 20
#define SLICE_US 10000 /* as upkeep.c */
#define SWEEPS 33      /* in a batch */
#define STEP_MS 60000  /* from one batch to the next */
#define DISK_BYTES_PER_S 1e8
#define QUOTA_BYTES (UINT64_C(8) << 30)
#define BATCH_BYTES 74500 /* of one such batch */
#define PATH_BYTES 512

static const uint8_t key[STORE_KEY_BYTES] = {1, 2, 3}, next_key[STORE_KEY_BYTES] = {4, 5, 6};
static char path[PATH_BYTES];
static struct data data;

static void second(struct store *store) {
    made_store_sweep(store, &data);
    if (data.sweeps % SWEEPS == 0)
        made_store_seal(store);
}

static struct store *open_store(void) {
    return made_store_open(path, "bench", key, DATA_TAGS_MAX, QUOTA_BYTES);
}

static void print(const char *name, double value, const char *unit, double against) {
    static bool started = false;
    printf("%s\"store.%s\": {\"value\": %.4g, \"unit\": \"%s\", \"against\": %.4g, \"ratio\": %.3f}",
           started ? ",\n" : "{", name, value, unit, against, value / against);
    started = true;
}

static void print_moment(const char *name, struct moment took) {
    char figure[64];
    snprintf(figure, sizeof figure, "rekey_ms.%s", name);
    print(figure, took.wall_ms, "ms", LIMIT_MS);
    snprintf(figure, sizeof figure, "rekey_ms.%s.cpu", name);
    print(figure, took.cpu_ms, "ms", LIMIT_MS);
    snprintf(figure, sizeof figure, "rekey_ms.%s.sync", name);
    print(figure, took.sync_ms, "ms", LIMIT_MS);
    snprintf(figure, sizeof figure, "rekey_ms.%s.own", name);
    print(figure, took.own_ms, "ms", LIMIT_MS);
}

static void measure(struct store *store) {
    struct moment begin = {0}, step = {0}, change = {0}, clear = {0}, commit = {0}, at = moment_now();
    struct store_rekey *rekey;
    struct fb_cause cause;
    struct stat status;
    bool ready = false;
    const double begun_ms = at.wall_ms;
    made_store_must(store_rekey_begin(store, next_key, &rekey, &cause), &cause);
    moment_keep_worst(&begin, moment_since(at));
    while (!ready) {
        at = moment_now();
        second(store);
        moment_keep_worst(&commit, moment_since(at));
        at = moment_now();
        made_store_must(store_rekey_step(rekey, SLICE_US, &ready, &cause), &cause);
        moment_keep_worst(&step, moment_since(at));
    }
    at = moment_now();
    made_store_must(store_rekey_switch(rekey, next_key, &cause), &cause);
    moment_keep_worst(&change, moment_since(at));
    second(store);
    bool cleared = false;
    while (!cleared) {
        at = moment_now();
        cleared = store_rekey_clear(rekey, SLICE_US);
        moment_keep_worst(&clear, moment_since(at));
    }
    store_rekey_end(rekey);
    print_moment("begin", begin);
    print_moment("step", step);
    print_moment("commit", commit);
    print_moment("switch", change);
    print_moment("clear", clear);
    const double bytes = stat(path, &status) == 0 ? (double)status.st_size : 0;
    print("rekey_s", (moment_now().wall_ms - begun_ms) / 1e3, "s", 2 * bytes / DISK_BYTES_PER_S);
    print("rekey_mb", bytes / 1e6, "MB", bytes / 1e6);
    printf("}\n");
}

int main(int argc, char **argv) {
    const uint64_t megabytes = argc > 1 ? strtoull(argv[1], NULL, 10) : 250;
    if (megabytes == 0 || megabytes > 100000)
        return EXIT_FAILURE;
    snprintf(path, sizeof path, "%s/store.db", made_store_folder(argc > 2 ? argv[2] : "/var/tmp"));
    data_init(&data, DATA_FLOAT32, DATA_TAGS_MAX, 1);
    struct store *store = open_store();
    for (size_t i = 0; i < SWEEPS; i++)
        second(store);
    store_close(store);
    made_store_multiply(path, key, megabytes * 1000000 / BATCH_BYTES, STEP_MS);
    store = open_store();
    measure(store);
    store_close(store);
    return EXIT_SUCCESS;
}
