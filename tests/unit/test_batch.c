// links: store/batch*.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c
/* test_batch.c - every reading that goes into a batch comes out of it bit for bit, and nothing else is taken for one.
 */
#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/common/quality.h"
#include "store/batch.h"
#include "store/batch_frame.h"

#define TIME_MS INT64_C(1795293190000)

static uint64_t seed;

/* splitmix64: the same numbers in each run. */
static uint64_t draw(void) {
    uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint64_t below(uint64_t limit) {
    return draw() % limit;
}

static struct batch_info example_info(void) {
    struct batch_info info = {.gateway = "plant-1", .number = 7, .sealed_ms = TIME_MS, .clock = CLOCK_SYNCHRONISED};
    memset(info.store_id, 0xa5, sizeof info.store_id);
    memset(info.previous, 0x5a, sizeof info.previous);
    memset(info.catalogue, 0x33, sizeof info.catalogue);
    return info;
}

static double random_real(void) {
    static const double edges[] = {0.0, -0.0, DBL_MAX, -DBL_MAX, DBL_MIN, DBL_TRUE_MIN, 0x1p53, -0x1p53, 1e-12, 0.1};
    uint64_t bits = draw();
    double value;
    switch (below(6)) {
    case 0:
        return edges[below(sizeof edges / sizeof edges[0])];
    case 1:
        memcpy(&value, &bits, sizeof value);
        return value - value == 0.0 ? value : 1.0;
    case 2:
        return (double)(int64_t)below(100000) / 1000.0;
    default:
        return (double)(int64_t)(below(20000) - 10000) / 100.0;
    }
}

static float random_single(void) {
    const double value = random_real();
    return value < -(double)FLT_MAX || value > (double)FLT_MAX ? -FLT_MAX : (float)value;
}

static int64_t random_integer(void) {
    static const int64_t edges[] = {0, -1, INT64_MIN, INT64_MAX, INT64_C(1) << 53};
    return below(4) == 0 ? edges[below(sizeof edges / sizeof edges[0])] : (int64_t)below(70000) - 100;
}

static uint8_t random_quality(void) {
    static const uint8_t qualities[] = {QUALITY_GOOD,    QUALITY_STALE,     QUALITY_ABOVE_RANGE,
                                        QUALITY_TIMEOUT, QUALITY_EXCEPTION, QUALITY_SENTINEL};
    return below(3) > 0 ? (uint8_t)QUALITY_GOOD : qualities[below(sizeof qualities)];
}

static size_t random_text(char *ret_text) {
    static const char *const words[] = {"",
                                        "on",
                                        "off",
                                        "pump 3 \xe2\x80\x94 Störung",
                                        "123456789012345678901234",
                                        "an instrument's longest text has sixty-three bytes, no more: end"};
    const char *word = words[below(sizeof words / sizeof words[0])];
    size_t length = strlen(word) < READING_TEXT_MAX ? strlen(word) : READING_TEXT_MAX;
    memcpy(ret_text, word, length);
    if (length < 8 && below(4) == 0) /* one that hardly comes twice */
        length += (size_t)snprintf(ret_text + length, 24, "%llu", (unsigned long long)draw());
    return length;
}

static struct reading random_number(uint32_t tag, enum reading_kind kind, int64_t time_ms) {
    const uint8_t quality = random_quality();
    if (quality_class(quality) == QUALITY_CLASS_BAD)
        return reading_bad(tag, kind, time_ms, quality, (uint16_t)below(3));
    if (kind == READING_REAL64)
        return reading_real64(tag, time_ms, quality, random_real());
    if (kind == READING_REAL32)
        return reading_real32(tag, time_ms, quality, random_single());
    if (kind == READING_BOOLEAN)
        return reading_boolean(tag, time_ms, quality, below(2) == 1);
    struct reading reading = reading_integer(tag, time_ms, quality, random_integer());
    reading.detail = (uint16_t)(below(100) == 0 ? 65535 : 0);
    return reading;
}

/* Returns the units used, at most READING_UNITS_MAX. */
static size_t random_reading(uint32_t tag, enum reading_kind kind, int64_t time_ms, struct reading *ret_units) {
    const uint8_t quality = random_quality();
    char text[READING_TEXT_MAX];
    if (kind == READING_TEXT && quality_class(quality) != QUALITY_CLASS_BAD)
        return reading_make_text(tag, time_ms, quality, text, random_text(text), ret_units);
    *ret_units = random_number(tag, kind, time_ms);
    if (kind == READING_TEXT)
        *ret_units = reading_bad(tag, kind, time_ms, QUALITY_TIMEOUT, 0);
    return 1;
}

static int by_tag(const void *a, const void *b) {
    const struct reading *const *x = a, *const *y = b;
    if ((*x)->tag != (*y)->tag)
        return (*x)->tag < (*y)->tag ? -1 : 1;
    return *x < *y ? -1 : 1; /* stable */
}

static void assert_round_trip(const struct reading *readings, size_t units) {
    static uint8_t bytes[BATCH_BYTES_MAX];
    const struct batch_info info = example_info();
    struct batch_info info_back;
    struct reading *back = NULL;
    size_t length, units_back, count = 0;
    struct fb_cause cause = {""};
    assert_int_equal(batch_encode(&info, readings, units, bytes, &length, &cause), FB_OK);
    assert_int_equal(batch_decode(bytes, length, &info_back, &back, &units_back, &cause), FB_OK);
    assert_int_equal(units_back, units);
    const struct reading **order = malloc((units + 1) * sizeof *order);
    for (size_t i = 0; i < units; i += reading_units(&readings[i]))
        order[count++] = &readings[i];
    qsort(order, count, sizeof *order, by_tag);
    const struct reading *next = back;
    for (size_t i = 0; i < count; next += reading_units(order[i++]))
        assert_memory_equal(next, order[i], reading_units(order[i]) * sizeof *next);
    free(order);
    free(back);
}

static void readings_of_all_kinds_come_back_bit_for_bit(void **state) {
    (void)state;
    for (seed = 1; seed < 400; seed++) {
        const size_t count = below(300), tags = 1 + below(20);
        struct reading *readings = calloc(READING_UNITS_MAX * count + 1, sizeof *readings);
        size_t units = 0;
        const bool one_kind_a_tag = below(2) == 0;
        int64_t time_ms = TIME_MS;
        for (size_t i = 0; i < count; i++) {
            const uint32_t tag = (uint32_t)(1 + below(tags) * (below(50) == 0 ? 200000000 : 1));
            const enum reading_kind kind = (enum reading_kind)(one_kind_a_tag ? tag % 5 : below(5));
            time_ms = below(100) == 0 ? (int64_t)below((uint64_t)READING_TIME_MAX_MS + 1) : time_ms;
            units += random_reading(tag, kind, time_ms, readings + units);
            time_ms += time_ms < READING_TIME_MAX_MS - 2000 ? (int64_t)below(2) * 1000 : 0;
        }
        assert_true(readings_valid(readings, units));
        assert_int_equal(readings_count(readings, units), count);
        assert_round_trip(readings, units);
        free(readings);
    }
}

/* A tenth of a kilobyte a minute for a word that stays, whatever its length. */
static void texts_that_stay_cost_next_to_nothing(void **state) {
    (void)state;
    static uint8_t bytes[BATCH_BYTES_MAX];
    const struct batch_info info = example_info();
    struct reading *readings = calloc((size_t)READING_UNITS_MAX * 60000, sizeof *readings);
    size_t units = 0, length;
    for (size_t i = 0; i < 60000; i++) {
        const char *text = i / 1000 < 30 ? "in operation, nothing to report" : "waiting for its turn";
        units += reading_make_text(1 + (uint32_t)(i % 1000), TIME_MS + (int64_t)(i / 1000 * 1000), QUALITY_GOOD, text,
                                   strlen(text), readings + units);
    }
    assert_int_equal(batch_encode(&info, readings, units, bytes, &length, NULL), FB_OK);
    assert_in_range(length, 1, 2000);
    assert_round_trip(readings, units);
    free(readings);
}

static void as_many_readings_as_may_be_come_back(void **state) {
    (void)state;
    struct reading *readings = calloc((size_t)READING_UNITS_MAX * BATCH_READINGS_MAX, sizeof *readings);
    size_t units = 0;
    for (size_t i = 0; i < BATCH_READINGS_MAX; i++) {
        char text[READING_TEXT_MAX + 1];
        snprintf(text, sizeof text, "%063zu", i % 512);
        units += reading_make_text(1 + i % 64, TIME_MS, QUALITY_GOOD, text, READING_TEXT_MAX, readings + units);
    }
    assert_round_trip(readings, units);
    free(readings);
}

static void the_bounds_of_time_and_tag_come_back(void **state) {
    (void)state;
    const struct reading readings[] = {
        reading_integer(UINT32_MAX, READING_TIME_MAX_MS, QUALITY_GOOD, INT64_MIN),
        reading_integer(UINT32_MAX, READING_TIME_MIN_MS, QUALITY_GOOD, INT64_MAX),
        reading_integer(UINT32_MAX, READING_TIME_MAX_MS, QUALITY_GOOD, INT64_MIN),
        reading_integer(1, READING_TIME_MIN_MS, QUALITY_GOOD, -1),
    };
    assert_round_trip(readings, sizeof readings / sizeof readings[0]);
}

static void minus_zero_stays_minus_zero_among_decimals(void **state) {
    (void)state;
    const struct reading readings[] = {
        reading_real64(1, TIME_MS, QUALITY_GOOD, 0.01),
        reading_real64(1, TIME_MS + 1, QUALITY_GOOD, -0.0),
        reading_real32(2, TIME_MS, QUALITY_GOOD, 0.01f),
        reading_real32(2, TIME_MS + 1, QUALITY_GOOD, -0.0f),
    };
    assert_round_trip(readings, sizeof readings / sizeof readings[0]);
}

static void decimals_near_two_to_the_53_come_back(void **state) {
    (void)state;
    struct reading readings[64];
    for (size_t i = 0; i < 64; i++) {
        const double near = (0x1p53 - 32 + (double)i) / (i % 3 == 0 ? 10.0 : 1.0);
        readings[i] = reading_real64(1 + (uint32_t)i / 16, TIME_MS, QUALITY_GOOD, i % 2 ? near : 0.001 * (double)i);
    }
    assert_round_trip(readings, 64);
}

/* A thousand tags of ten requests, each request with its time; values move by steps of 0.01. */
static struct reading *sweeps(size_t count, double noise) {
    struct reading *readings = calloc(60000, sizeof *readings);
    int64_t level[1000];
    seed = 1;
    for (size_t tag = 0; tag < 1000; tag++)
        level[tag] = 100 + (int64_t)below(5000);
    for (size_t i = 0; i < count * 1000; i++) {
        const size_t tag = i % 1000;
        double step = 0;
        for (unsigned k = 0; k < 12; k++)
            step += (double)below(10000) / 10000.0 - 0.5;
        level[tag] += (int64_t)(step * noise);
        const int64_t time_ms = TIME_MS + (int64_t)(i / 1000 * 1000 + tag / 100 * 7);
        readings[i] = reading_real64((uint32_t)tag + 1, time_ms, QUALITY_GOOD, (double)level[tag] / 100.0);
    }
    return readings;
}

static double bytes_a_reading(double noise) {
    static uint8_t bytes[BATCH_BYTES_MAX];
    const struct batch_info info = example_info();
    struct reading *readings = sweeps(60, noise);
    size_t length;
    assert_int_equal(batch_encode(&info, readings, 60000, bytes, &length, NULL), FB_OK);
    assert_round_trip(readings, 60000);
    free(readings);
    return (double)length / 60000.0;
}

static void a_minute_of_a_thousand_decimal_tags_stays_small(void **state) {
    (void)state;
    assert_true(bytes_a_reading(1) < 0.4);
    assert_true(bytes_a_reading(20) < 0.9);
}

/* Steps as far as can be, there and back: they wrap, and so does what is expected. */
static void numbers_far_apart_come_back(void **state) {
    (void)state;
    struct reading readings[300];
    size_t count = 0;
    for (int64_t i = 0; i < 100; i++) {
        const bool even = i % 2 == 0;
        const int64_t time_ms = TIME_MS + i;
        readings[count++] = reading_integer(1, time_ms, QUALITY_GOOD, even ? INT64_MIN + i : INT64_MAX - i * i);
        readings[count++] = reading_real64(2, time_ms, QUALITY_GOOD, even ? DBL_MAX : -DBL_MAX / (double)(i + 1));
        readings[count++] = reading_real32(3, time_ms, QUALITY_GOOD, even ? FLT_MAX : -FLT_MAX / (float)(i + 1));
    }
    assert_round_trip(readings, count);
}

/* A minute of a thousand singles with white noise of about 14 bits in their last places: 1.9 bytes of it are noise. */
static void a_minute_of_a_thousand_noisy_singles_stays_small(void **state) {
    (void)state;
    static uint8_t bytes[BATCH_BYTES_MAX];
    const struct batch_info info = example_info();
    struct reading *readings = calloc(60000, sizeof *readings);
    size_t length;
    seed = 1;
    for (size_t i = 0; i < 60000; i++) {
        double noise = 0;
        for (unsigned k = 0; k < 12; k++)
            noise += (double)below(10000) / 10000.0 - 0.5;
        const float level = 40.0F + (float)(i % 1000);
        readings[i] = reading_real32((uint32_t)(i % 1000) + 1, TIME_MS + (int64_t)(i / 1000 * 1000), QUALITY_GOOD,
                                     level + (float)noise * level / 1500);
    }
    assert_int_equal(batch_encode(&info, readings, 60000, bytes, &length, NULL), FB_OK);
    assert_in_range(length, 60000, 2 * 60000);
    assert_round_trip(readings, 60000);
    free(readings);
}

static void losses_and_identity_come_back(void **state) {
    (void)state;
    struct batch_info info = example_info(), back;
    info.losses[0] = (struct batch_loss){BATCH_LOSS_QUOTA, 12, TIME_MS - 5, TIME_MS, 2, 4};
    info.losses[1] = (struct batch_loss){BATCH_LOSS_CORE_AWAY, 0, 0, READING_TIME_MAX_MS, 0, 0};
    info.loss_count = 2;
    static uint8_t room[BATCH_BYTES_MAX];
    struct reading untouched, *readings = &untouched;
    size_t length, count = 1;
    assert_int_equal(batch_encode(&info, NULL, 0, room, &length, NULL), FB_OK);
    assert_int_equal(batch_decode(room, length, &back, &readings, &count, NULL), FB_OK);
    assert_int_equal(count, 0);
    assert_null(readings);
    assert_memory_equal(&back, &info, sizeof back);
}

static void corrections_come_back(void **state) {
    (void)state;
    static uint8_t bytes[BATCH_BYTES_MAX];
    struct batch_info info = example_info(), back;
    for (size_t i = 0; i < BATCH_CORRECTIONS_MAX; i++)
        info.corrections[i] = (struct batch_correction){1, 7, (int64_t)i, 60000, TIME_MS};
    info.corrections[0] = (struct batch_correction){7, 7, 0, READING_TIME_MAX_MS, 0};
    for (size_t i = 0; i < BATCH_CORRECTIONS_MAX; i++)
        memcpy(info.corrections[i].store_id, info.store_id, sizeof info.store_id);
    info.corrections[1] = (struct batch_correction){1, INT64_MAX, 5, 6, TIME_MS, "elsewhere"};
    info.correction_count = BATCH_CORRECTIONS_MAX;
    const struct reading reading = reading_boolean(1, TIME_MS, QUALITY_CLOCK_NOT_SET, true);
    struct reading *readings = NULL;
    size_t length, units;
    assert_int_equal(batch_encode(&info, &reading, 1, bytes, &length, NULL), FB_OK);
    assert_int_equal(batch_decode(bytes, length, &back, &readings, &units, NULL), FB_OK);
    assert_memory_equal(&back, &info, sizeof back);
    free(readings);
    /* Moved by this much the last time would be later than any time may be. */
    info.corrections[0] = (struct batch_correction){7, 7, 0, READING_TIME_MAX_MS, 1};
    assert_int_equal(batch_encode(&info, &reading, 1, bytes, &length, NULL), FB_OK);
    assert_int_equal(batch_decode(bytes, length, &back, &readings, &units, NULL), FB_INVALID);
}

static void more_than_a_batch_holds_is_refused(void **state) {
    (void)state;
    static uint8_t bytes[BATCH_BYTES_MAX];
    const struct batch_info info = example_info();
    struct reading *readings = calloc(BATCH_READINGS_MAX + 1, sizeof *readings);
    size_t length;
    struct fb_cause cause;
    seed = 1;
    for (size_t i = 0; i <= BATCH_READINGS_MAX; i++)
        readings[i] = reading_integer(1, TIME_MS, QUALITY_GOOD, (int64_t)draw());
    assert_int_equal(batch_encode(&info, readings, BATCH_READINGS_MAX + 1, bytes, &length, &cause), FB_LIMIT);
    assert_int_equal(batch_encode(&info, readings, BATCH_READINGS_MAX, bytes, &length, &cause), FB_LIMIT);
    assert_string_equal(cause.text, "batch: larger than 131072 bytes when compressed");
    assert_int_equal(batch_encode(&info, readings, 10000, bytes, &length, &cause), FB_OK);
    free(readings);
}

/* The smallest honest batch, as plain CBOR, for tests that spoil it. */
static size_t small_plain(uint8_t *ret_plain) {
    static uint8_t bytes[BATCH_BYTES_MAX];
    const struct batch_info info = example_info();
    const struct reading reading = reading_boolean(1, TIME_MS, QUALITY_GOOD, true);
    size_t length, plain_length;
    uint8_t *plain;
    assert_int_equal(batch_encode(&info, &reading, 1, bytes, &length, NULL), FB_OK);
    assert_int_equal(batch_frame_unpack(bytes, length, BATCH_PLAIN_BYTES_MAX, &plain, &plain_length, NULL), FB_OK);
    memcpy(ret_plain, plain, plain_length);
    free(plain);
    return plain_length;
}

static enum fb_error decode_plain(const uint8_t *plain, size_t plain_length, struct fb_cause *cause) {
    static uint8_t frame[BATCH_BYTES_MAX];
    size_t length, count;
    struct batch_info info;
    struct reading *readings = NULL;
    assert_int_equal(batch_frame_pack(plain, plain_length, frame, sizeof frame, &length, NULL), FB_OK);
    const enum fb_error error = batch_decode(frame, length, &info, &readings, &count, cause);
    free(readings);
    return error;
}

static void a_batch_that_is_cut_anywhere_is_refused(void **state) {
    (void)state;
    uint8_t plain[512];
    const size_t length = small_plain(plain);
    assert_int_equal(decode_plain(plain, length, NULL), FB_OK);
    for (size_t cut = 0; cut < length; cut++)
        assert_int_equal(decode_plain(plain, cut, NULL), FB_INVALID);
    plain[length] = 0;
    assert_int_equal(decode_plain(plain, length + 1, NULL), FB_INVALID);
}

static void another_version_is_told_apart_from_a_broken_batch(void **state) {
    (void)state;
    uint8_t plain[512];
    struct fb_cause cause;
    const size_t length = small_plain(plain);
    plain[2] = 2; /* a map of 12, key 0, version */
    assert_int_equal(decode_plain(plain, length, &cause), FB_VERSION);
    assert_string_equal(cause.text, "batch: version 2, this Forebay reads version 1");
}

static void frames_that_are_not_exactly_one_are_refused(void **state) {
    (void)state;
    static uint8_t bytes[BATCH_BYTES_MAX + 1];
    const struct batch_info info = example_info();
    struct batch_info back;
    struct reading *readings;
    size_t length, count;
    assert_int_equal(batch_encode(&info, NULL, 0, bytes, &length, NULL), FB_OK);
    for (size_t cut = 0; cut < length; cut++)
        assert_int_equal(batch_decode(bytes, cut, &back, &readings, &count, NULL), FB_INVALID);
    assert_int_equal(batch_decode(bytes, length + 1, &back, &readings, &count, NULL), FB_INVALID);
    assert_int_equal(batch_decode(bytes, sizeof bytes, &back, &readings, &count, NULL), FB_LIMIT);
}

static void a_frame_that_claims_too_much_is_refused_before_it_is_unpacked(void **state) {
    (void)state;
    static const uint8_t claims[] = {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0}; /* 4 GiB */
    struct batch_info back;
    struct reading *readings;
    size_t count;
    assert_int_equal(batch_decode(claims, sizeof claims, &back, &readings, &count, NULL), FB_LIMIT);
}

static void the_hash_is_sha256_of_the_bytes_as_sealed(void **state) {
    (void)state;
    /* FIPS 180-2, appendix B.1 */
    static const uint8_t expected[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea};
    uint8_t hash[BATCH_HASH_BYTES];
    batch_hash((const uint8_t *)"abc", 3, hash);
    assert_memory_equal(hash, expected, sizeof expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readings_of_all_kinds_come_back_bit_for_bit),
        cmocka_unit_test(texts_that_stay_cost_next_to_nothing),
        cmocka_unit_test(as_many_readings_as_may_be_come_back),
        cmocka_unit_test(corrections_come_back),
        cmocka_unit_test(the_bounds_of_time_and_tag_come_back),
        cmocka_unit_test(minus_zero_stays_minus_zero_among_decimals),
        cmocka_unit_test(decimals_near_two_to_the_53_come_back),
        cmocka_unit_test(a_minute_of_a_thousand_decimal_tags_stays_small),
        cmocka_unit_test(a_minute_of_a_thousand_noisy_singles_stays_small),
        cmocka_unit_test(numbers_far_apart_come_back),
        cmocka_unit_test(losses_and_identity_come_back),
        cmocka_unit_test(more_than_a_batch_holds_is_refused),
        cmocka_unit_test(a_batch_that_is_cut_anywhere_is_refused),
        cmocka_unit_test(another_version_is_told_apart_from_a_broken_batch),
        cmocka_unit_test(frames_that_are_not_exactly_one_are_refused),
        cmocka_unit_test(a_frame_that_claims_too_much_is_refused_before_it_is_unpacked),
        cmocka_unit_test(the_hash_is_sha256_of_the_bytes_as_sealed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
