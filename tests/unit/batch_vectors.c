#include "batch_vectors.h"

#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/common/quality.h"

#define T INT64_C(1795293190000)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct vector {
    const char *name;
    uint64_t number;
    const struct reading *readings;
    size_t units;
    const struct batch_loss *losses;
    size_t loss_count;
    const struct batch_correction *corrections;
    size_t correction_count;
    struct reading *made; /* readings, when they were made */
};

static const struct reading example[] = {
    {.tag = 1, .kind = READING_REAL64, .time_ms = T, .value.real64 = 7.21},
    {.tag = 2, .kind = READING_INTEGER, .time_ms = T, .value.integer = 1200},
    {.tag = 1, .kind = READING_REAL64, .time_ms = T + 1000, .value.real64 = 7.24},
    {.tag = 2, .kind = READING_INTEGER, .time_ms = T + 1000, .quality = QUALITY_EXCEPTION, .detail = 4},
    {.tag = 1, .kind = READING_REAL64, .time_ms = T + 2001, .value.real64 = 7.2},
    {.tag = 2, .kind = READING_INTEGER, .time_ms = T + 2001, .value.integer = 1198},
    {.tag = 9, .kind = READING_REAL32, .time_ms = T + 5, .quality = QUALITY_STALE, .value.real32 = 0.3333333F},
};

static const struct reading kinds[] = {
    {.tag = 1, .kind = READING_REAL64, .time_ms = T, .value.real64 = 1.0 / 3.0},
    {.tag = 1, .kind = READING_REAL64, .time_ms = T + 250, .value.real64 = -0.0},
    {.tag = 1, .kind = READING_REAL64, .time_ms = T + 500, .value.real64 = -1.7976931348623157e308},
    {.tag = 2, .kind = READING_REAL64, .time_ms = T, .value.real64 = 0.000000000001},
    {.tag = 2, .kind = READING_REAL64, .time_ms = T + 250, .value.real64 = -123.456},
    {.tag = 2, .kind = READING_REAL64, .time_ms = T + 500, .value.real64 = 9007.0},
    {.tag = 3, .kind = READING_REAL32, .time_ms = T, .value.real32 = 3.1415927F},
    {.tag = 3, .kind = READING_REAL32, .time_ms = T + 250, .value.real32 = -3.1415927F},
    {.tag = 3, .kind = READING_REAL32, .time_ms = T + 500, .value.real32 = 1.17549435e-38F},
    {.tag = 4, .kind = READING_REAL32, .time_ms = T, .value.real32 = 21.5F},
    {.tag = 4, .kind = READING_REAL32, .time_ms = T + 250, .value.real32 = 21.6F},
    {.tag = 4, .kind = READING_REAL32, .time_ms = T + 500, .value.real32 = -0.01F},
    {.tag = 5, .kind = READING_INTEGER, .time_ms = T, .value.integer = INT64_MIN},
    {.tag = 5, .kind = READING_INTEGER, .time_ms = T + 250, .value.integer = INT64_MAX},
    {.tag = 5, .kind = READING_INTEGER, .time_ms = T + 500, .value.integer = -1},
    {.tag = UINT32_MAX, .kind = READING_BOOLEAN, .time_ms = T, .value.boolean = true},
    {.tag = UINT32_MAX, .kind = READING_BOOLEAN, .time_ms = T + 250, .value.boolean = false},
    {.tag = UINT32_MAX, .kind = READING_BOOLEAN, .time_ms = T + 500, .value.boolean = true},
};

/* Times that go back, a tag whose kind changes, tags without any value, unknown quality codes of a later version. */
static const struct reading odd[] = {
    {.tag = 7, .kind = READING_INTEGER, .time_ms = READING_TIME_MAX_MS, .value.integer = 5},
    {.tag = 7, .kind = READING_INTEGER, .time_ms = READING_TIME_MIN_MS, .value.integer = 6},
    {.tag = 7, .kind = READING_REAL64, .time_ms = T, .value.real64 = 6.5},
    {.tag = 7, .kind = READING_INTEGER, .time_ms = T, .value.integer = 7},
    {.tag = 3, .kind = READING_REAL32, .time_ms = T, .quality = QUALITY_TIMEOUT},
    {.tag = 3, .kind = READING_REAL32, .time_ms = T, .quality = QUALITY_NOT_CONNECTED},
    {.tag = 4, .kind = READING_BOOLEAN, .time_ms = T, .quality = QUALITY_EXCEPTION, .detail = 11},
    {.tag = 5, .kind = READING_REAL64, .time_ms = T, .quality = 127, .value.real64 = 2.5},
    {.tag = 5, .kind = READING_REAL64, .time_ms = T + 1, .quality = 200, .detail = 65535},
};

static const struct batch_loss told[] = {
    {BATCH_LOSS_QUOTA, 123456, T - 7200000, T - 3600000, 3, 17},
    {BATCH_LOSS_CORE_AWAY, 0, T - 2000, T - 1000, 0, 0},
    {BATCH_LOSS_DAMAGED, 600, T - 60000, T - 50000, 20, 20},
    {BATCH_LOSS_STORE_FULL, 9, T - 10, T - 5, 0, 0},
};

/* The ends of every kind; a detail beside a good reading. */
static const struct reading extremes[] = {
    {.tag = 1, .kind = READING_REAL64, .time_ms = T, .value.real64 = -0.0, .detail = 1},
    {.tag = 1, .kind = READING_REAL64, .time_ms = T, .value.real64 = DBL_TRUE_MIN},
    {.tag = 1, .kind = READING_REAL64, .time_ms = T, .value.real64 = -DBL_TRUE_MIN},
    {.tag = 1, .kind = READING_REAL64, .time_ms = T, .value.real64 = DBL_MIN - DBL_TRUE_MIN},
    {.tag = 1, .kind = READING_REAL64, .time_ms = T, .value.real64 = DBL_MAX},
    {.tag = 1, .kind = READING_REAL64, .time_ms = T, .value.real64 = -DBL_MAX},
    {.tag = 2, .kind = READING_REAL32, .time_ms = T, .value.real32 = -0.0F},
    {.tag = 2, .kind = READING_REAL32, .time_ms = T, .value.real32 = FLT_TRUE_MIN},
    {.tag = 2, .kind = READING_REAL32, .time_ms = T, .value.real32 = -FLT_TRUE_MIN},
    {.tag = 2, .kind = READING_REAL32, .time_ms = T, .value.real32 = FLT_MIN - FLT_TRUE_MIN},
    {.tag = 2, .kind = READING_REAL32, .time_ms = T, .value.real32 = FLT_MAX},
    {.tag = 2, .kind = READING_REAL32, .time_ms = T, .value.real32 = -FLT_MAX},
    {.tag = 3, .kind = READING_REAL64, .time_ms = T, .value.real64 = 0x1p53 - 2},
    {.tag = 3, .kind = READING_REAL64, .time_ms = T, .value.real64 = -0x1p53 + 2},
    {.tag = 4, .kind = READING_REAL64, .time_ms = T, .value.real64 = 8999.999999999999},
    {.tag = 4, .kind = READING_REAL64, .time_ms = T, .value.real64 = -1e-12},
    {.tag = 5, .kind = READING_INTEGER, .time_ms = T, .value.integer = INT64_MAX},
    {.tag = 5, .kind = READING_INTEGER, .time_ms = T, .value.integer = INT64_MIN},
    {.tag = 5, .kind = READING_INTEGER, .time_ms = T, .value.integer = 0},
};

static struct reading *begin(struct vector *vector, size_t units_most) {
    struct reading *readings = calloc(units_most, sizeof *readings);
    assert_non_null(readings);
    vector->readings = vector->made = readings;
    return readings;
}

static void add_text(struct vector *vector, struct reading *readings, uint32_t tag, uint8_t quality, const char *text) {
    const size_t length = strlen(text);
    vector->units += reading_make_text(tag, T + 1000 * (int64_t)vector->units, quality, text,
                                       length < READING_TEXT_MAX ? length : READING_TEXT_MAX, readings + vector->units);
}

/* The second worked example of docs/batch.md. */
static void words(struct vector *vector) {
    static const char *const said[] = {"idle", "idle", "running", NULL, "running", "idle"};
    struct reading *readings = begin(vector, READING_UNITS_MAX * COUNT(said));
    for (size_t i = 0; i < COUNT(said); i++) {
        const int64_t time_ms = T + 1000 * (int64_t)i;
        if (said[i] == NULL)
            readings[vector->units++] = reading_bad(12, READING_TEXT, time_ms, QUALITY_TIMEOUT, 0);
        else
            vector->units +=
                reading_make_text(12, time_ms, QUALITY_GOOD, said[i], strlen(said[i]), readings + vector->units);
    }
}

/* Lengths on both sides of what an element of 24 bytes holds, characters of one to four bytes, those that other formats
 * must escape; a series of texts without a value. */
static void texts(struct vector *vector) {
    static const char *const said[] = {"",
                                       "an \"odd\", one\\",
                                       "m³/h 水 🌊",
                                       "12345678901234567890123",
                                       "123456789012345678901234",
                                       "1234567890123456789012345",
                                       "123456789012345678901234567890123456789012345678",
                                       "123456789012345678901234567890123456789012345678901234567890123",
                                       "",
                                       "m³/h 水 🌊"};
    struct reading *readings = begin(vector, READING_UNITS_MAX * (2 * COUNT(said) + 3));
    for (size_t i = 0; i < COUNT(said); i++) {
        add_text(vector, readings, 1, i % 3 == 2 ? QUALITY_MAINTENANCE : QUALITY_GOOD, said[i]);
        add_text(vector, readings, 5, QUALITY_GOOD, i < 5 ? "closed" : "open");
    }
    readings[vector->units++] = reading_bad(1, READING_TEXT, T, QUALITY_BAD_REPLY, 0);
    readings[vector->units++] = reading_bad(2, READING_TEXT, T, QUALITY_TIMEOUT, 0);
    readings[vector->units++] = reading_integer(5, T, QUALITY_GOOD, 5);
}

/* The third worked example of docs/batch.md. */
static const struct reading noise[] = {
    {.tag = 20, .kind = READING_REAL32, .time_ms = T, .value.real32 = 0x1.566812p+4F},
    {.tag = 20, .kind = READING_REAL32, .time_ms = T + 1000, .value.real32 = 0x1.56797p+4F},
    {.tag = 20, .kind = READING_REAL32, .time_ms = T + 2000, .value.real32 = 0x1.565386p+4F},
    {.tag = 20, .kind = READING_REAL32, .time_ms = T + 3000, .value.real32 = 0x1.5674d8p+4F},
    {.tag = 20, .kind = READING_REAL32, .time_ms = T + 4000, .value.real32 = 0x1.568c56p+4F},
    {.tag = 20, .kind = READING_REAL32, .time_ms = T + 5000, .value.real32 = 0x1.56774p+4F},
    {.tag = 20, .kind = READING_REAL32, .time_ms = T + 6000, .value.real32 = 0x1.56a662p+4F},
    {.tag = 20, .kind = READING_REAL32, .time_ms = T + 7000, .value.real32 = 0x1.564226p+4F},
};

/* SplitMix64, as noise. */
static uint64_t random_at(uint64_t place) {
    uint64_t mixed = (place + 1) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

/* One series each of what the shapes tell apart: noise of each kind and width, a counter, a walk, coarse steps. */
static struct reading shaped(uint32_t tag, int64_t time_ms, size_t i) {
    const uint64_t any = random_at(8 * i + tag);
    const double around = (double)(any >> 11) * 0x1p-53 - 0.5;
    static int64_t walk;
    switch (tag) {
    case 1:
        return reading_real32(tag, time_ms, QUALITY_GOOD, (float)(20 + around));
    case 2:
        return reading_real64(tag, time_ms, QUALITY_GOOD, -1 / 3.0 - around / 1000);
    case 3:
        return reading_integer(tag, time_ms, QUALITY_GOOD, (int64_t)any);
    case 4:
        return reading_real64(tag, time_ms, QUALITY_ABOVE_RANGE, (double)(int64_t)(around * 2000) / 100);
    case 5:
        return reading_integer(tag, time_ms, QUALITY_GOOD, (int64_t)(1000000 * i + any % 4));
    case 6:
        walk = (i == 0 ? 0 : walk) + (int64_t)(any % 100001) - 50000;
        return reading_integer(tag, time_ms, QUALITY_GOOD, walk);
    default:
        return reading_real32(tag, time_ms, QUALITY_GOOD, 0x1.5p+4F + 0x1.9p-13F * (float)(any % 4));
    }
}

static void shapes(struct vector *vector) {
    struct reading *readings = begin(vector, 7 * 40);
    for (size_t i = 0; i < 40; i++)
        for (uint32_t tag = 1; tag <= 7; tag++) {
            struct reading reading = shaped(tag, T + 1000 * (int64_t)i, i);
            if ((i + tag) % 20 == 0)
                reading = reading_bad(tag, (enum reading_kind)reading.kind, reading.time_ms, QUALITY_TIMEOUT, 0);
            readings[vector->units++] = reading;
        }
}

/* As many readings as a batch may hold, of all kinds. */
static void many(struct vector *vector) {
    struct reading *readings = begin(vector, (size_t)READING_UNITS_MAX * BATCH_READINGS_MAX);
    for (size_t i = 0; i < BATCH_READINGS_MAX; i++) {
        struct reading *reading = &readings[vector->units];
        const uint32_t tag = 1 + (uint32_t)(i % 512), wave = (uint32_t)(i / 512 * 37 % 64);
        const int64_t time_ms = T + (int64_t)(i / 512 * 1000 + i % 512 / 64 * 3);
        char text[READING_TEXT_MAX + 1];
        snprintf(text, sizeof text, "mode %u of %0*u", wave % 8, (int)(tag % 50), tag);
        if (i % 200 == 0)
            *reading = reading_bad(tag, (enum reading_kind)(tag % 5), time_ms, QUALITY_EXCEPTION, 4);
        else if (tag % 5 == READING_REAL64)
            *reading = reading_real64(tag, time_ms, QUALITY_GOOD, (tag * 100 + wave) / 100.0);
        else if (tag % 5 == READING_REAL32)
            *reading = reading_real32(tag, time_ms, QUALITY_GOOD, 1.0F / (float)(1 + wave));
        else if (tag % 5 == READING_INTEGER)
            *reading = reading_integer(tag, time_ms, QUALITY_ABOVE_RANGE, (int64_t)tag << wave % 32);
        else if (tag % 5 == READING_BOOLEAN)
            *reading = reading_boolean(tag, time_ms, QUALITY_GOOD, wave > 32);
        else
            reading_make_text(tag, time_ms, QUALITY_GOOD, text, strlen(text), reading);
        vector->units += reading_units(reading);
    }
}

static void losses_256(struct vector *vector) {
    static struct batch_loss losses[BATCH_LOSSES_MAX];
    for (size_t i = 0; i < COUNT(losses); i++)
        losses[i] = (struct batch_loss){(enum batch_loss_reason)(1 + i % 5),
                                        i * i << i % 40,
                                        T + (int64_t)i,
                                        T + 2 * (int64_t)i,
                                        i,
                                        i > 0 ? 2 * i : 0};
    vector->losses = losses;
    vector->loss_count = COUNT(losses);
}

static const struct batch_correction corrected[] = {
    {1, 21, 1000, 86400000, T - 86400000},
    {7, 9, T, T, 0},
};

static const struct batch_correction elsewhere[] = {
    {1, INT64_MAX, 0, 86400000, T - 86400000, "a store set asid"},
    {1, 44, T, T + 1, T + 1000, ""},
};

/* Some are made when they are needed. */
static const struct {
    struct vector vector;
    void (*make)(struct vector *vector);
} vectors[] = {
    {{"example", 42, example, COUNT(example), NULL, 0, NULL, 0, NULL}, NULL},
    {{"kinds", 2, kinds, COUNT(kinds), NULL, 0, NULL, 0, NULL}, NULL},
    {{"odd", 3, odd, COUNT(odd), NULL, 0, NULL, 0, NULL}, NULL},
    {{"losses", 21, example, 2, told, COUNT(told), NULL, 0, NULL}, NULL},
    {{"empty", 1, NULL, 0, NULL, 0, NULL, 0, NULL}, NULL},
    {{"extremes", 4, extremes, COUNT(extremes), NULL, 0, NULL, 0, NULL}, NULL},
    {{"words", 43, NULL, 0, NULL, 0, NULL, 0, NULL}, words},
    {{"texts", 5, NULL, 0, NULL, 0, NULL, 0, NULL}, texts},
    {{"many", INT64_MAX, NULL, 0, NULL, 0, NULL, 0, NULL}, many},
    {{"losses-256", 1000, example, 1, NULL, 0, NULL, 0, NULL}, losses_256},
    {{"corrections", 21, example, 3, told, 1, corrected, COUNT(corrected), NULL}, NULL},
    {{"corrections-elsewhere", 44, NULL, 0, NULL, 0, elsewhere, COUNT(elsewhere), NULL}, NULL},
    {{"noise", 44, noise, COUNT(noise), NULL, 0, NULL, 0, NULL}, NULL},
    {{"shapes", 45, NULL, 0, NULL, 0, NULL, 0, NULL}, shapes},
};

static void fill_store_id(uint8_t *ret_id) {
    for (size_t i = 0; i < BATCH_STORE_ID_BYTES; i++)
        ret_id[i] = (uint8_t)(0xa0 + i);
}

static struct batch_info info_of(const struct vector *vector) {
    struct batch_info info = {.gateway = "works-1", .number = vector->number, .sealed_ms = T + 2500};
    info.clock = CLOCK_SYNCHRONISED;
    fill_store_id(info.store_id);
    if (vector->number > 1)
        memset(info.previous, 0x11, sizeof info.previous);
    memset(info.catalogue, 0x22, sizeof info.catalogue);
    for (size_t i = 0; i < vector->loss_count; i++)
        info.losses[i] = vector->losses[i];
    info.loss_count = vector->loss_count;
    for (size_t i = 0; i < vector->correction_count; i++)
        info.corrections[i] = vector->corrections[i];
    info.correction_count = vector->correction_count;
    return info;
}

static struct catalogue_tag first_tags[] = {
    {1, "filter-1", "turbidity", "NTU", READING_REAL64},
    {2, "filter-1", "flow", "m³/h", READING_INTEGER},
    {9, "basin-2", "temperature", "°C", READING_REAL32},
    {UINT32_MAX, "basin-2", "valve-open", "", READING_BOOLEAN},
};

static struct catalogue_tag later_tags[] = {
    {1, "filter-1", "turbidity", "NTU", READING_REAL64},
    {12, "filter-1", "mode", "", READING_TEXT},
};

static const struct {
    const char *name;
    struct catalogue catalogue;
} catalogues[] = {
    {"catalogue", {"works-1", {0}, 5, T - 86400000, first_tags, COUNT(first_tags)}},
    {"catalogue-texts", {"works-1", {0}, 6, T - 80000000, later_tags, COUNT(later_tags)}},
    {"catalogue-empty", {"works-1", {0}, 1, 0, NULL, 0}},
};

static void make_batch(size_t index, const char **ret_name, uint8_t *ret_bytes, size_t *ret_length) {
    struct vector vector = vectors[index].vector;
    if (vectors[index].make != NULL)
        vectors[index].make(&vector);
    const struct batch_info info = info_of(&vector);
    assert_int_equal(batch_encode(&info, vector.readings, vector.units, ret_bytes, ret_length, NULL), FB_OK);
    *ret_name = vector.name;
    free(vector.made);
}

static void make_catalogue(size_t index, const char **ret_name, uint8_t *ret_bytes, size_t *ret_length) {
    struct catalogue catalogue = catalogues[index].catalogue;
    fill_store_id(catalogue.store_id);
    assert_int_equal(catalogue_encode(&catalogue, ret_bytes, ret_length, NULL), FB_OK);
    *ret_name = catalogues[index].name;
}

bool batch_vector(size_t index, const char **ret_name, uint8_t *ret_bytes, size_t *ret_length) {
    if (index < COUNT(vectors))
        make_batch(index, ret_name, ret_bytes, ret_length);
    else if (index - COUNT(vectors) < COUNT(catalogues))
        make_catalogue(index - COUNT(vectors), ret_name, ret_bytes, ret_length);
    else
        return false;
    return true;
}
