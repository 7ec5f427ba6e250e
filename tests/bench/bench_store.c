// links: store/*.c gateway/common/*.c gateway/receive/lines.c gateway/common/hex.c tests/bench/data.c tests/bench/made_store.c tests/bench/moment.c tests/bench/rows.c tests/bench/device.c tests/bench/stall.c tests/unit/fault_vfs.c
/* What a reading costs in the store, with the data of data.h, against the entropy of that data and against one row for
 * each reading (rows.h) on the same disk in the same run.
 *
 * store.file_bytes.*       of the file, each reading more; batches of 60 sweeps. Against: entropy; .sqlcipher_rows,
 *                          .sqlite_rows: rows of the same data, one commit a sweep
 * store.device_bytes.*     written to the disk, log and checkpoints included; one commit a second of so many readings,
 *                          sealed each 60 seconds. Against: rows in SQLCipher; .sqlite_rows: plain rows, as below
 * store.append_per_s       committed and sealed
 * store.read_back_per_s    decrypted and decoded
 * store.export_per_s       the same as lines of CSV
 * store.days_8gb.noisy     of 1000 readings a second
 * store.commit_ms.worst    the longest that a second's commit, with a seal when one is due, holds its program up at
 * 1000 readings a second; .quota: in a store that is full of unsent batches, where each seal takes room that thinning
 * has to give; .catch_up: of each part of a tail that a full disk made as long as it can be; .cpu: of that the
 * processor's part, the rest waits for the disk. Against: the limit of 20 ms */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data.h"
#include "device.h"
#include "gateway/receive/lines.h"
#include "made_store.h"
#include "rows.h"
#include "stall.h"
#include "store/store.h"
#include "tests/unit/fault_vfs.h"

#define SEED 20261121
#define SEAL_SWEEPS 60
#define FIRST_BATCHES 10 /* fill the tables; what comes then counts */
#define BATCHES 50
#define DEVICE_BATCHES 30
/* Until each log has reached the size that it keeps: a log that still grows makes each fsync slow. */
#define WARM_SWEEPS 1500
#define WARM_ROW_SWEEPS 200
#define ROUNDS 5
#define ROUND_SWEEPS 120
#define READ_TIMES 5
#define QUOTA_BYTES (UINT64_C(8) << 30)
#define STALL_LIMIT_MS 20
#define STALL_SECONDS 1000
#define STALL_QUOTA_BYTES (UINT64_C(16) << 20)
#define STALL_FILL_SECONDS 6000 /* more than that quota holds */
#define DAY_READINGS (1000 * 86400.0)
#define PATH_BYTES 512

static const uint8_t key[STORE_KEY_BYTES] = {1, 2, 3};
static const char *folder;

static const char *path_of(const char *name) {
    static char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static double file_bytes(const char *name) {
    struct stat status;
    return stat(path_of(name), &status) == 0 ? (double)status.st_size : 0;
}

static int64_t now_us(void) {
    return clock_monotonic_us();
}

static struct store *open_store(const char *name, size_t tag_count) {
    return made_store_open(path_of(name), "bench", key, tag_count, QUOTA_BYTES);
}

static void add_sweep(struct store *store, struct data *data) {
    made_store_sweep(store, data);
    if (data->sweeps % SEAL_SWEEPS == 0)
        made_store_seal(store);
}

static void add_sweeps(struct store *store, struct data *data, size_t count) {
    for (size_t i = 0; i < count; i++)
        add_sweep(store, data);
}

static void add_row_sweeps(struct rows *rows, struct data *data, size_t count) {
    static struct reading readings[DATA_TAGS_MAX];
    for (size_t i = 0; i < count; i++) {
        data_sweep(data, readings);
        rows_add(rows, readings, data->tags);
    }
}

static void print(const char *name, double value, const char *unit, double against) {
    static bool started = false;
    printf("%s\"%s\": {\"value\": %.4g, \"unit\": \"%s\", \"against\": %.4g, \"ratio\": %.3f}", started ? ",\n" : "{",
           name, value, unit, against, value / against);
    started = true;
}

/* A figure of ours, and the same of rows. */
struct figures {
    double ours, cipher, plain;
};

/* The same figure once more, against something else. */
static void print_again(const char *name, const char *against, double value, const char *unit, double other) {
    char figure[128];
    snprintf(figure, sizeof figure, "%s.%s", name, against);
    print(figure, value, unit, other);
}

static void print_rows(const char *name, const char *unit, const struct figures *all) {
    print(name, all->ours, unit, all->cipher);
    print_again(name, "sqlite_rows", all->ours, unit, all->plain);
}

/* The file grows when it is closed; so it is, before and after what counts. */
static double our_file_bytes(enum data_set set) {
    struct data data;
    char name[64];
    snprintf(name, sizeof name, "%s.db", data_word(set));
    data_init(&data, set, DATA_TAGS_MAX, SEED);
    struct store *store = open_store(name, data.tags);
    add_sweeps(store, &data, FIRST_BATCHES * SEAL_SWEEPS);
    store_close(store);
    const double before = file_bytes(name);
    store = open_store(name, data.tags);
    add_sweeps(store, &data, BATCHES * SEAL_SWEEPS);
    store_close(store);
    return (file_bytes(name) - before) / (BATCHES * SEAL_SWEEPS * DATA_TAGS_MAX);
}

/* A row takes the same room, be the table small or large. row_key: NULL for plain SQLite. */
static double row_file_bytes(enum data_set set, const uint8_t *row_key) {
    struct data data;
    char name[64];
    snprintf(name, sizeof name, "%s-%s.db", data_word(set), row_key != NULL ? "cipher" : "plain");
    data_init(&data, set, DATA_TAGS_MAX, SEED);
    struct rows *rows = rows_open(path_of(name), row_key);
    add_row_sweeps(rows, &data, FIRST_BATCHES * SEAL_SWEEPS);
    rows_close(rows);
    return file_bytes(name) / (FIRST_BATCHES * SEAL_SWEEPS * DATA_TAGS_MAX);
}

static struct figures measure_file(enum data_set set) {
    struct data data;
    char figure[64];
    const struct figures all = {our_file_bytes(set), row_file_bytes(set, key), row_file_bytes(set, NULL)};
    data_init(&data, set, DATA_TAGS_MAX, SEED);
    snprintf(figure, sizeof figure, "store.file_bytes.%s", data_word(set));
    print(figure, all.ours, "bytes/reading", data_entropy_bytes(&data));
    print_again(figure, "sqlcipher_rows", all.ours, "bytes/reading", all.cipher);
    print_again(figure, "sqlite_rows", all.ours, "bytes/reading", all.plain);
    return all;
}

static double days_in_8gb(double bytes) {
    return 8e9 / DAY_READINGS / bytes;
}

static double our_device_bytes(size_t tag_count) {
    struct data data;
    char name[64];
    snprintf(name, sizeof name, "device-%zu.db", tag_count);
    data_init(&data, DATA_NOISY, tag_count, SEED);
    struct store *store = open_store(name, tag_count);
    const uint64_t before = device_bytes();
    add_sweeps(store, &data, DEVICE_BATCHES * SEAL_SWEEPS);
    const uint64_t after = device_bytes();
    store_close(store);
    return (double)(after - before) / (double)(DEVICE_BATCHES * SEAL_SWEEPS * tag_count);
}

static double row_device_bytes(size_t tag_count, const uint8_t *row_key) {
    struct data data;
    char name[64];
    snprintf(name, sizeof name, "device-%s-%zu.db", row_key != NULL ? "cipher" : "plain", tag_count);
    data_init(&data, DATA_NOISY, tag_count, SEED);
    struct rows *rows = rows_open(path_of(name), row_key);
    const uint64_t before = device_bytes();
    add_row_sweeps(rows, &data, DEVICE_BATCHES * SEAL_SWEEPS);
    const uint64_t after = device_bytes();
    rows_close(rows);
    return (double)(after - before) / (double)(DEVICE_BATCHES * SEAL_SWEEPS * tag_count);
}

static void measure_device(size_t tag_count) {
    char figure[64];
    device_watch();
    const struct figures all = {our_device_bytes(tag_count), row_device_bytes(tag_count, key),
                                row_device_bytes(tag_count, NULL)};
    fault_vfs_observe(NULL);
    snprintf(figure, sizeof figure, "store.device_bytes.%zu", tag_count);
    print_rows(figure, "bytes/reading", &all);
}

static int compare(const void *left_pointer, const void *right_pointer) {
    const double left = *(const double *)left_pointer, right = *(const double *)right_pointer;
    return (left > right) - (left < right);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof values[0], compare);
    return values[count / 2];
}

static double per_second(size_t readings, int64_t begun_us) {
    return (double)readings * 1e6 / (double)(now_us() - begun_us);
}

/* The time to make the data is the same for all three and small beside an fsync. */
static void measure_append(struct store *store, struct rows *cipher, struct rows *plain) {
    static struct data data[3];
    double per_s[3][ROUNDS];
    for (size_t i = 0; i < 3; i++)
        data_init(&data[i], DATA_NOISY, DATA_TAGS_MAX, SEED);
    add_sweeps(store, &data[0], WARM_SWEEPS);
    add_row_sweeps(cipher, &data[1], WARM_ROW_SWEEPS);
    add_row_sweeps(plain, &data[2], WARM_ROW_SWEEPS);
    for (size_t round = 0; round < ROUNDS; round++) {
        int64_t begun_us = now_us();
        add_sweeps(store, &data[0], ROUND_SWEEPS);
        per_s[0][round] = per_second(ROUND_SWEEPS * DATA_TAGS_MAX, begun_us);
        begun_us = now_us();
        add_row_sweeps(cipher, &data[1], ROUND_SWEEPS);
        per_s[1][round] = per_second(ROUND_SWEEPS * DATA_TAGS_MAX, begun_us);
        begun_us = now_us();
        add_row_sweeps(plain, &data[2], ROUND_SWEEPS);
        per_s[2][round] = per_second(ROUND_SWEEPS * DATA_TAGS_MAX, begun_us);
    }
    const struct figures all = {median(per_s[0], ROUNDS), median(per_s[1], ROUNDS), median(per_s[2], ROUNDS)};
    print_rows("store.append_per_s", "readings/s", &all);
}

/* What is done with readings that come back. */
struct sink {
    double sum;
    FILE *lines; /* NULL: only summed up */
};

static void take_row(const struct reading *reading, void *user) {
    struct sink *sink = user;
    sink->sum += reading->value.real64;
    if (sink->lines != NULL)
        fprintf(sink->lines, "%u,%lld,%.15g,%u\n", reading->tag, (long long)reading->time_ms, reading->value.real64,
                reading->quality);
}

static void take_batch(const struct batch_info *info, const struct reading *readings, size_t count, struct sink *sink) {
    static struct lines_tag tag;
    char line[LINES_BYTES_MAX];
    for (size_t i = 0; i < count; i++) {
        sink->sum += readings[i].value.real64;
        if (sink->lines == NULL)
            continue;
        if (i == 0 || readings[i].tag != readings[i - 1].tag) {
            struct catalogue_tag names = {.number = readings[i].tag, .instrument = "bench"};
            memcpy(names.name, made_store_tag(readings[i].tag), sizeof names.name);
            lines_begin_tag(LINES_CSV, info, readings[i].tag, &names, &tag);
        }
        fwrite(line, 1, lines_reading(&tag, &readings[i], line), sink->lines);
    }
}

static size_t read_batches(struct store *store, struct sink *sink) {
    static struct store_batch batch;
    static struct batch_info info;
    struct fb_cause cause;
    size_t total = 0;
    for (uint64_t number = 1; store_next(store, number, UINT64_MAX, &batch, &cause) == FB_OK; number++) {
        struct reading *readings = NULL;
        size_t count = 0;
        made_store_must(batch_decode(batch.bytes, batch.length, &info, &readings, &count, &cause), &cause);
        take_batch(&info, readings, count, sink);
        free(readings);
        total += count;
    }
    return total;
}

static void measure_read(const char *name, struct store *store, struct rows *cipher, struct rows *plain, FILE *lines) {
    double per_s[3][READ_TIMES];
    struct sink sink = {.lines = lines};
    for (size_t round = 0; round < READ_TIMES; round++) {
        int64_t begun_us = now_us();
        per_s[0][round] = per_second(read_batches(store, &sink), begun_us);
        begun_us = now_us();
        per_s[1][round] = per_second(rows_read(cipher, take_row, &sink), begun_us);
        begun_us = now_us();
        per_s[2][round] = per_second(rows_read(plain, take_row, &sink), begun_us);
    }
    const struct figures all = {median(per_s[0], READ_TIMES), median(per_s[1], READ_TIMES),
                                median(per_s[2], READ_TIMES)};
    print_rows(name, "readings/s", &all);
}

static void measure_speed(void) {
    struct store *store = open_store("speed.db", DATA_TAGS_MAX);
    struct rows *cipher = rows_open(path_of("speed-cipher.db"), key);
    struct rows *plain = rows_open(path_of("speed-plain.db"), NULL);
    measure_append(store, cipher, plain);
    measure_read("store.read_back_per_s", store, cipher, plain, NULL);
    FILE *lines = fopen("/dev/null", "w");
    if (lines == NULL)
        exit(EXIT_FAILURE);
    measure_read("store.export_per_s", store, cipher, plain, lines);
    fclose(lines);
    store_close(store);
    rows_close(cipher);
    rows_close(plain);
}

static void measure_stall(const char *name, uint64_t quota_bytes, size_t fill_seconds) {
    const struct stall_settings settings = {.fill_seconds = fill_seconds, .seconds = STALL_SECONDS};
    struct data data;
    struct stall stall;
    struct fb_cause cause;
    char figure[64];
    data_init(&data, DATA_FLOAT32, DATA_TAGS_MAX, SEED);
    struct store *store = made_store_open(path_of(name), "bench", key, data.tags, quota_bytes);
    if (!stall_measure(store, &data, &settings, &stall, &cause))
        made_store_must(FB_IO, &cause);
    store_close(store);
    print(name, stall.worst.wall_ms, "ms", STALL_LIMIT_MS);
    snprintf(figure, sizeof figure, "%s.cpu", name);
    print(figure, stall.worst.cpu_ms, "ms", STALL_LIMIT_MS);
}

static void measure_catching_up(void) {
    static const char name[] = "store.commit_ms.worst.catch_up";
    struct data data;
    struct stall stall;
    struct fb_cause cause = {0};
    data_init(&data, DATA_FLOAT32, DATA_TAGS_MAX, SEED);
    struct store *store = open_store("catch_up.db", data.tags);
    if (!stall_catch_up(store, &data, &stall, &cause))
        made_store_must(FB_IO, &cause);
    store_close(store);
    print(name, stall.worst.wall_ms, "ms", STALL_LIMIT_MS);
    print("store.commit_ms.worst.catch_up.cpu", stall.worst.cpu_ms, "ms", STALL_LIMIT_MS);
}

int main(void) {
    folder = made_store_folder("/var/tmp");
    measure_speed();
    struct figures bytes[DATA_SETS];
    for (enum data_set set = DATA_QUIET; set < DATA_SETS; set++)
        bytes[set] = measure_file(set);
    const struct figures *noisy = &bytes[DATA_NOISY];
    const struct figures days = {days_in_8gb(noisy->ours), days_in_8gb(noisy->cipher), days_in_8gb(noisy->plain)};
    print_rows("store.days_8gb.noisy", "days", &days);
    measure_device(1000);
    measure_device(100);
    measure_stall("store.commit_ms.worst", QUOTA_BYTES, STALL_SECONDS);
    measure_stall("store.commit_ms.worst.quota", STALL_QUOTA_BYTES, STALL_FILL_SECONDS);
    measure_catching_up();
    printf("}\n");
    return EXIT_SUCCESS;
}
