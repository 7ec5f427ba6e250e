// links: store/batch*.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c gateway/common/file.c
/* fuzz_batch.c - no bytes bring the decoder down, and what it takes survives another round; no readings bring the
 * encoder down, and all come back. The first byte of the input chooses which. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/batch.h"
#include "store/batch_frame.h"

static uint8_t frame[BATCH_BYTES_MAX];

static struct batch_info some_info(void) {
    return (struct batch_info){.gateway = "fuzz", .number = 2};
}

/* Encode, decode, compare: readings stand in the order in which the decoder gives them. */
static void assert_comes_back(const struct batch_info *info, const struct reading *readings, size_t units) {
    struct batch_info info_back;
    struct reading *back = NULL;
    size_t length, units_back;
    if (batch_encode(info, readings, units, frame, &length, NULL) != FB_OK)
        return;
    const enum fb_error error = batch_decode(frame, length, &info_back, &back, &units_back, NULL);
    assert(error == FB_OK && units_back == units);
    assert(units == 0 || memcmp(back, readings, units * sizeof *back) == 0);
    assert(memcmp(&info_back, info, sizeof info_back) == 0);
    free(back);
}

static void decode(const uint8_t *bytes, size_t length) {
    struct batch_info info;
    struct reading *readings = NULL;
    size_t units;
    struct fb_cause cause;
    if (batch_decode(bytes, length, &info, &readings, &units, &cause) != FB_OK)
        return;
    assert_comes_back(&info, readings, units);
    free(readings);
}

/* Mutations of a compressed frame hardly ever reach what is inside: here the input is the content. */
static void decode_content(const uint8_t *bytes, size_t length) {
    uint8_t *packed = malloc(BATCH_BYTES_MAX);
    size_t packed_length;
    if (batch_frame_pack(bytes, length, packed, BATCH_BYTES_MAX, &packed_length, NULL) == FB_OK)
        decode(packed, packed_length);
    free(packed);
}

/* The input is an array of readings; those that no honest peer sends are left out. */
static void encode(const uint8_t *bytes, size_t length) {
    const size_t all = length / sizeof(struct reading);
    struct reading *readings = calloc(all + 1, sizeof *readings), *sorted = NULL;
    memcpy(readings, bytes, all * sizeof *readings);
    size_t units = 0, sorted_units;
    for (size_t at = 0, step; at < all; at += step) {
        step = reading_valid(&readings[at]) ? reading_units(&readings[at]) : 1;
        if (step > all - at || !readings_valid(&readings[at], step)) {
            step = 1;
            continue;
        }
        memmove(&readings[units], &readings[at], step * sizeof *readings);
        units += step;
    }
    const struct batch_info info = some_info();
    struct batch_info back;
    size_t frame_length;
    if (batch_encode(&info, readings, units, frame, &frame_length, NULL) == FB_OK) {
        const enum fb_error error = batch_decode(frame, frame_length, &back, &sorted, &sorted_units, NULL);
        assert(error == FB_OK && sorted_units == units && readings_valid(sorted, sorted_units));
        assert_comes_back(&info, sorted, sorted_units);
    }
    free(readings);
    free(sorted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const ways[])(const uint8_t *bytes, size_t length) = {decode, decode_content, encode};
    if (size > 0)
        ways[data[0] % (sizeof ways / sizeof ways[0])](data + 1, size - 1);
    return 0;
}
