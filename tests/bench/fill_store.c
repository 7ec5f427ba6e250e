// links: store/*.c gateway/common/*.c tests/bench/data.c tests/bench/made_store.c
/* Makes the store of a gateway that was cut off: FOLDER/store.db and its key, with so many seconds of 1000 readings a
 * second (data.h), sealed as in an outage, nothing of it sent.
 * Usage: fill_store FOLDER GATEWAY SECONDS SECONDS_A_BATCH quiet|noisy|float32. Prints the figures as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data.h"
#include "gateway/common/clock.h"
#include "gateway/common/file.h"
#include "made_store.h"
#include "store/key.h"
#include "store/store.h"

#define SEED 20261121
#define QUOTA_BYTES (UINT64_C(8) << 30)
#define PATH_BYTES 512
/* A commit each second would only make this slow, as would noise drawn anew for each reading: sweeps come again after
 * so many, which no batch is long enough to notice. */
#define SWEEPS_A_COMMIT 60
#define SWEEPS_DRAWN 300

static struct store *open_store(const char *folder, const char *gateway) {
    char path[PATH_BYTES], key_path[PATH_BYTES];
    struct key_ring *ring;
    struct fb_cause cause;
    made_store_must(file_make_folder(folder, &cause), &cause);
    made_store_must(file_join(folder, "store.db", path, sizeof path, &cause), &cause);
    made_store_must(file_join(folder, "store.key", key_path, sizeof key_path, &cause), &cause);
    made_store_must(key_open(key_path, &ring, &cause), &cause);
    struct store *store = made_store_open(path, gateway, ring->key, DATA_TAGS_MAX, QUOTA_BYTES);
    key_close(ring);
    return store;
}

static void commit(struct store *store, uint64_t sweep) {
    struct fb_cause cause;
    made_store_must(store_commit(store, (struct store_cursor){1, sweep}, &cause), &cause);
}

static void fill(struct store *store, enum data_set set, uint64_t sweeps, uint64_t sweeps_a_batch) {
    static struct reading drawn[SWEEPS_DRAWN][DATA_TAGS_MAX];
    static struct data data;
    struct fb_cause cause = {"out of memory"};
    data_init(&data, set, DATA_TAGS_MAX, SEED);
    for (uint64_t sweep = 1; sweep <= sweeps; sweep++) {
        struct reading *readings = drawn[sweep % SWEEPS_DRAWN];
        if (sweep <= SWEEPS_DRAWN)
            data_sweep(&data, readings);
        else
            for (size_t i = 0; i < data.tags; i++)
                readings[i].time_ms += SWEEPS_DRAWN * 1000;
        made_store_must(store_append(store, readings, data.tags), &cause);
        const bool full = sweep % sweeps_a_batch == 0 || store_tail_full(store) || sweep == sweeps;
        if (full || sweep % SWEEPS_A_COMMIT == 0)
            commit(store, sweep);
        if (full)
            made_store_seal(store);
    }
}

/* The batches themselves, each behind its length (32 bits), for bare_sender. */
static void write_batches(struct store *store, const char *folder) {
    static struct store_batch batch;
    char path[PATH_BYTES];
    struct fb_cause cause;
    made_store_must(file_join(folder, "batches.bin", path, sizeof path, &cause), &cause);
    FILE *file = fopen(path, "wb");
    for (uint64_t number = 1; file != NULL && number <= store_last_number(store); number++) {
        made_store_must(store_next(store, number, number, &batch, &cause), &cause);
        const uint32_t length = (uint32_t)batch.length;
        fwrite(&length, sizeof length, 1, file);
        fwrite(batch.bytes, 1, batch.length, file);
    }
    if (file == NULL || fclose(file) != 0)
        exit(EXIT_FAILURE);
}

int main(int argc, char **argv) {
    enum data_set set = 0;
    while (argc == 6 && set < DATA_SETS && strcmp(argv[5], data_word(set)) != 0)
        set++;
    if (argc != 6 || set == DATA_SETS) {
        fputs("Usage: fill_store FOLDER GATEWAY SECONDS SECONDS_A_BATCH quiet|noisy|float32\n", stderr);
        return 2;
    }
    struct store *store = open_store(argv[1], argv[2]);
    struct store_figures figures;
    fill(store, set, strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
    write_batches(store, argv[1]);
    store_figures(store, &figures);
    printf("{\"readings\": %llu, \"batches\": %llu, \"bytes\": %llu}\n", (unsigned long long)figures.readings,
           (unsigned long long)figures.batches, (unsigned long long)figures.bytes);
    store_close(store);
    return 0;
}
