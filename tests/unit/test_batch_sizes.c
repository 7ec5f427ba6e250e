// links: store/batch*.c gateway/common/*.c tests/bench/data.c
/* test_batch_sizes.c - what a reading of the bench's data sets takes in a batch, which the figures of `make bench` and
 * the days that a disk lasts follow from. Bytes, not time: the same everywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store/batch.h"
#include "tests/bench/data.h"

#define SEED 1
#define BATCHES 3

static double bytes_a_reading(enum data_set set, size_t sweeps) {
    static struct data data;
    static struct batch_info info;
    static uint8_t bytes[BATCH_BYTES_MAX];
    struct reading *readings = calloc(sweeps * DATA_TAGS_MAX, sizeof *readings);
    size_t length, all = 0;
    struct fb_cause cause;
    assert_non_null(readings);
    data_init(&data, set, DATA_TAGS_MAX, SEED);
    snprintf(info.gateway, sizeof info.gateway, "plant-1");
    info.store_id[0] = 1;
    info.sealed_ms = DATA_START_MS;
    for (info.number = 1; info.number <= BATCHES; info.number++) {
        for (size_t i = 0; i < sweeps; i++)
            data_sweep(&data, readings + i * DATA_TAGS_MAX);
        if (batch_encode(&info, readings, sweeps * DATA_TAGS_MAX, bytes, &length, &cause) != FB_OK)
            fail_msg("%s: %s", data_word(set), cause.text);
        all += length;
    }
    free(readings);
    return (double)all / (double)(BATCHES * sweeps * DATA_TAGS_MAX);
}

static void a_reading_takes_little_more_than_its_noise(void **state) {
    static const struct {
        enum data_set set;
        size_t sweeps;
        double most; /* bytes; the file adds two in a hundred */
    } cases[] = {
        {DATA_QUIET, 60, 0.39}, {DATA_NOISY, 60, 0.88}, {DATA_FLOAT32, 55, 2.15}, /* 60 would pass 128 KB */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const double bytes = bytes_a_reading(cases[i].set, cases[i].sweeps);
        print_message("           %s: %.3f bytes\n", data_word(cases[i].set), bytes);
        if (bytes > cases[i].most)
            fail_msg("%s: %.3f bytes a reading, at most %.2f", data_word(cases[i].set), bytes, cases[i].most);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reading_takes_little_more_than_its_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
