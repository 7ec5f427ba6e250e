// links: store/*.c gateway/common/*.c tests/bench/data.c
/* How long each step of an online rekey holds the loop up, with a store of so many megabytes that takes 1000 readings a
 * second meanwhile: bench_rekey [MEGABYTES] [FOLDER], 250 and /var/tmp without. Not part of `make bench`: it writes
 * twice the size. Prints JSON:
 *
 * store.rekey_ms  .begin, .step, .switch, .clear: the worst of each by the clock, against 20 ms. Of each, too, the
 *                 worst of what the processor worked (.cpu), of what fsync took (.sync), and of the rest (.own), which
 *                 on a busy machine includes the time that others had the processor
 * store.rekey_s   all of it; against: one read and one write of the size at 100 MB/s */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "data.h"
#include "store/store_rekey.h"

#define LIMIT_MS 20
#define SLICE_US 10000 /* as upkeep.c */
#define SWEEPS 33      /* in a batch */
#define DISK_BYTES_PER_S 1e8
#define PATH_BYTES 512

static const uint8_t key[STORE_KEY_BYTES] = {1, 2, 3}, next_key[STORE_KEY_BYTES] = {4, 5, 6};
static char folder[PATH_BYTES], path[PATH_BYTES + 32];
static struct plant_tag tags[DATA_TAGS_MAX];
static struct plant_instrument instrument = {.name = "bench", .tags = tags, .tag_count = DATA_TAGS_MAX};
static struct plant plant = {.instruments = &instrument, .instrument_count = 1};
static struct data data;

struct times {
    double wall_ms, cpu_ms, sync_ms, own_ms;
};

static double synced_ms; /* in all, since the start */

static double read_clock_ms(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* In place of the C library's, for SQLite as well as for us. */
static int timed_sync(long call, int fd) {
    const double begun_ms = read_clock_ms(CLOCK_MONOTONIC);
    const long result = syscall(call, fd);
    synced_ms += read_clock_ms(CLOCK_MONOTONIC) - begun_ms;
    return (int)result;
}

int fsync(int fd) {
    return timed_sync(SYS_fsync, fd);
}

int fdatasync(int fd) {
    return timed_sync(SYS_fdatasync, fd);
}

static struct times now(void) {
    return (struct times){.wall_ms = read_clock_ms(CLOCK_MONOTONIC),
                          .cpu_ms = read_clock_ms(CLOCK_PROCESS_CPUTIME_ID),
                          .sync_ms = synced_ms};
}

static void keep_worst(double *worst_ms, double ms) {
    *worst_ms = ms > *worst_ms ? ms : *worst_ms;
}

static void note(struct times *worst, struct times begun) {
    const struct times end = now();
    const double wall_ms = end.wall_ms - begun.wall_ms, sync_ms = end.sync_ms - begun.sync_ms;
    keep_worst(&worst->wall_ms, wall_ms);
    keep_worst(&worst->cpu_ms, end.cpu_ms - begun.cpu_ms);
    keep_worst(&worst->sync_ms, sync_ms);
    keep_worst(&worst->own_ms, wall_ms - sync_ms);
}

static void must(enum fb_error error, const struct fb_cause *cause) {
    if (error == FB_OK)
        return;
    fprintf(stderr, "bench_rekey: %s\n", cause->text);
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

static void second(struct store *store) {
    static struct reading readings[DATA_TAGS_MAX];
    struct fb_cause cause;
    size_t sealed;
    data_sweep(&data, readings);
    must(store_append(store, readings, data.tags), &cause);
    must(store_commit(store, (struct store_cursor){1, data.sweeps}, &cause), &cause);
    if (data.sweeps % SWEEPS == 0)
        must(store_seal(store, DATA_START_MS, CLOCK_SYNCHRONISED, &sealed, &cause), &cause);
}

/* The batch that is there, again and again, as history. */
static void multiply(uint64_t megabytes) {
    struct stat status;
    sqlite3 *db;
    char spec[2 * STORE_KEY_BYTES + 4] = "x'", sql[768];
    for (size_t i = 0; i < sizeof key; i++)
        snprintf(spec + 2 + 2 * i, 3, "%02x", key[i]);
    strcat(spec, "'");
    if (stat(path, &status) < 0 || sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_key(db, spec, (int)sizeof spec - 1) != SQLITE_OK)
        exit(EXIT_FAILURE);
    const unsigned long long count = megabytes * 1000000 / (uint64_t)(status.st_size > 90000 ? 90000 : status.st_size);
    snprintf(
        sql, sizeof sql,
        "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; BEGIN; DELETE FROM queue;"
        "WITH RECURSIVE n(i) AS (VALUES(2) UNION ALL SELECT i + 1 FROM n WHERE i < %llu) INSERT INTO batches SELECT i,"
        " catalogue, readings, first_ms + i * 60000, last_ms + i * 60000, hash, bytes FROM n, batches WHERE number = 1;"
        "UPDATE state SET last_number = %llu, batches = %llu, unsent_batches = 0, unsent_readings = 0; COMMIT;"
        "PRAGMA journal_mode = WAL",
        count, count, count);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fprintf(stderr, "bench_rekey: %s\n", sqlite3_errmsg(db));
        exit(EXIT_FAILURE);
    }
    sqlite3_close(db);
}

static void print(const char *name, double value, const char *unit, double against) {
    static bool started = false;
    printf("%s\"store.%s\": {\"value\": %.4g, \"unit\": \"%s\", \"against\": %.4g, \"ratio\": %.3f}",
           started ? ",\n" : "{", name, value, unit, against, value / against);
    started = true;
}

static void print_times(const char *name, struct times times) {
    char figure[64];
    snprintf(figure, sizeof figure, "rekey_ms.%s", name);
    print(figure, times.wall_ms, "ms", LIMIT_MS);
    snprintf(figure, sizeof figure, "rekey_ms.%s.cpu", name);
    print(figure, times.cpu_ms, "ms", LIMIT_MS);
    snprintf(figure, sizeof figure, "rekey_ms.%s.sync", name);
    print(figure, times.sync_ms, "ms", LIMIT_MS);
    snprintf(figure, sizeof figure, "rekey_ms.%s.own", name);
    print(figure, times.own_ms, "ms", LIMIT_MS);
}

static void measure(struct store *store) {
    struct times begin = {0}, step = {0}, change = {0}, clear = {0}, at = now();
    struct store_rekey *rekey;
    struct fb_cause cause;
    struct stat status;
    bool ready = false;
    const double begun_ms = at.wall_ms;
    must(store_rekey_begin(store, next_key, &rekey, &cause), &cause);
    note(&begin, at);
    while (!ready) {
        second(store);
        at = now();
        must(store_rekey_step(rekey, SLICE_US, &ready, &cause), &cause);
        note(&step, at);
    }
    at = now();
    must(store_rekey_switch(rekey, next_key, &cause), &cause);
    note(&change, at);
    second(store);
    bool cleared = false;
    while (!cleared) {
        at = now();
        cleared = store_rekey_clear(rekey, SLICE_US);
        note(&clear, at);
    }
    store_rekey_end(rekey);
    print_times("begin", begin);
    print_times("step", step);
    print_times("switch", change);
    print_times("clear", clear);
    const double bytes = stat(path, &status) == 0 ? (double)status.st_size : 0;
    print("rekey_s", (now().wall_ms - begun_ms) / 1e3, "s", 2 * bytes / DISK_BYTES_PER_S);
    print("rekey_mb", bytes / 1e6, "MB", bytes / 1e6);
    printf("}\n");
}

static void remove_folder(void) {
    char command[PATH_BYTES + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "bench_rekey: %s is left\n", folder);
}

int main(int argc, char **argv) {
    const uint64_t megabytes = argc > 1 ? strtoull(argv[1], NULL, 10) : 250;
    snprintf(folder, sizeof folder, "%s/forebay-bench-XXXXXX", argc > 2 ? argv[2] : "/var/tmp");
    if (megabytes == 0 || megabytes > 100000 || mkdtemp(folder) == NULL)
        return EXIT_FAILURE;
    atexit(remove_folder);
    snprintf(path, sizeof path, "%s/store.db", folder);
    data_init(&data, DATA_FLOAT32, DATA_TAGS_MAX, 1);
    struct store *store = open_store();
    for (size_t i = 0; i < SWEEPS; i++)
        second(store);
    store_close(store);
    multiply(megabytes);
    store = open_store();
    measure(store);
    store_close(store);
    return EXIT_SUCCESS;
}
