// links: store/catalogue.c store/batch.c store/batch_cbor.c store/batch_columns.c store/batch_columns_decode.c store/batch_frame.c store/batch_series.c store/batch_value.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c gateway/common/file.c
/* test_batch_vectors.c - batches made once and kept: what they hold never changes, whatever the code becomes; and the
 * worked example of docs/batch.md is one of them.
 *
 * "test_batch_vectors write" makes the files of tests/data/batch anew, for a new version of the format only. */
#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/common/file.h"
#include "gateway/common/quality.h"
#include "store/batch.h"
#include "store/batch_frame.h"
#include "store/catalogue.h"

#define FOLDER "tests/data/batch/"
#define T INT64_C(1795293190000)

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

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct vector {
    const char *name;
    uint64_t number;
    const struct reading *readings;
    size_t count;
    const struct batch_loss *losses;
    size_t loss_count;
} vectors[] = {
    {"example", 42, example, COUNT(example), NULL, 0},
    {"kinds", 2, kinds, COUNT(kinds), NULL, 0},
    {"odd", 3, odd, COUNT(odd), NULL, 0},
    {"losses", 21, example, 2, told, COUNT(told)},
    {"empty", 1, NULL, 0, NULL, 0},
};

static struct batch_info info_of(const struct vector *vector) {
    struct batch_info info = {.gateway = "works-1", .number = vector->number, .sealed_ms = T + 2500};
    info.clock = CLOCK_SYNCHRONISED;
    for (size_t i = 0; i < sizeof info.store_id; i++)
        info.store_id[i] = (uint8_t)(0xa0 + i);
    if (vector->number > 1)
        memset(info.previous, 0x11, sizeof info.previous);
    memset(info.catalogue, 0x22, sizeof info.catalogue);
    for (size_t i = 0; i < vector->loss_count; i++)
        info.losses[i] = vector->losses[i];
    info.loss_count = vector->loss_count;
    return info;
}

static json_t *hex(const uint8_t *bytes, size_t length) {
    char text[65];
    for (size_t i = 0; i < length; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    return json_string(text);
}

static json_t *bits(const struct reading *reading) {
    char text[17];
    if (!reading_has_value(reading))
        return json_null();
    snprintf(text, sizeof text, "%016" PRIx64, reading->value.bits);
    return json_string(text);
}

static json_t *batch_json(const uint8_t *bytes, size_t length) {
    struct batch_info info;
    struct reading *readings = NULL;
    size_t count;
    uint8_t hash[BATCH_HASH_BYTES];
    struct fb_cause cause;
    if (batch_decode(bytes, length, &info, &readings, &count, &cause) != FB_OK)
        fail_msg("%s", cause.text);
    batch_hash(bytes, length, hash);
    json_t *losses = json_array(), *rows = json_array();
    for (size_t i = 0; i < info.loss_count; i++) {
        const struct batch_loss *loss = &info.losses[i];
        json_array_append_new(losses, json_pack("[I,I,I,I,I,I]", (json_int_t)loss->reason, (json_int_t)loss->readings,
                                                (json_int_t)loss->from_ms, (json_int_t)loss->to_ms,
                                                (json_int_t)loss->first_batch, (json_int_t)loss->last_batch));
    }
    for (size_t i = 0; i < count; i++)
        json_array_append_new(rows, json_pack("[I,i,I,i,i,o]", (json_int_t)readings[i].tag, readings[i].kind,
                                              (json_int_t)readings[i].time_ms, readings[i].quality, readings[i].detail,
                                              bits(&readings[i])));
    free(readings);
    return json_pack("{s:s,s:o,s:s,s:o,s:I,s:o,s:o,s:I,s:i,s:o,s:o}", "message", "batch", "hash",
                     hex(hash, sizeof hash), "gateway", info.gateway, "store", hex(info.store_id, sizeof info.store_id),
                     "number", (json_int_t)info.number, "previous", hex(info.previous, sizeof info.previous),
                     "catalogue", hex(info.catalogue, sizeof info.catalogue), "sealed", (json_int_t)info.sealed_ms,
                     "clock", (int)info.clock, "losses", losses, "readings", rows);
}

static struct catalogue the_catalogue(void) {
    static struct catalogue_tag tags[] = {
        {1, "filter-1", "turbidity", "NTU", READING_REAL64},
        {2, "filter-1", "flow", "m³/h", READING_INTEGER},
        {9, "basin-2", "temperature", "°C", READING_REAL32},
        {UINT32_MAX, "basin-2", "valve-open", "", READING_BOOLEAN},
    };
    struct catalogue catalogue = {
        .gateway = "works-1", .revision = 5, .made_ms = T - 86400000, .tags = tags, .tag_count = COUNT(tags)};
    for (size_t i = 0; i < sizeof catalogue.store_id; i++)
        catalogue.store_id[i] = (uint8_t)(0xa0 + i);
    return catalogue;
}

static json_t *catalogue_json(const uint8_t *bytes, size_t length) {
    struct catalogue catalogue;
    uint8_t hash[BATCH_HASH_BYTES];
    assert_int_equal(catalogue_decode(bytes, length, &catalogue, NULL), FB_OK);
    batch_hash(bytes, length, hash);
    json_t *tags = json_array();
    for (size_t i = 0; i < catalogue.tag_count; i++) {
        const struct catalogue_tag *tag = &catalogue.tags[i];
        json_array_append_new(tags, json_pack("[I,s,s,s,i]", (json_int_t)tag->number, tag->instrument, tag->name,
                                              tag->unit, (int)tag->kind));
    }
    json_t *json =
        json_pack("{s:s,s:o,s:s,s:o,s:I,s:I,s:o}", "message", "catalogue", "hash", hex(hash, sizeof hash), "gateway",
                  catalogue.gateway, "store", hex(catalogue.store_id, sizeof catalogue.store_id), "revision",
                  (json_int_t)catalogue.revision, "made", (json_int_t)catalogue.made_ms, "tags", tags);
    catalogue_done(&catalogue);
    return json;
}

static size_t read_all(const char *name, const char *ending, uint8_t *ret_bytes, size_t size) {
    char path[128];
    snprintf(path, sizeof path, "%s%s", name, ending);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fail_msg("%s: cannot be read; run this from the top folder", path);
        return 0;
    }
    const size_t length = fread(ret_bytes, 1, size, file);
    fclose(file);
    return length;
}

static size_t unpack(const uint8_t *bytes, size_t length, uint8_t *ret_plain) {
    uint8_t *plain;
    size_t plain_length;
    assert_int_equal(batch_frame_unpack(bytes, length, BATCH_PLAIN_BYTES_MAX, &plain, &plain_length, NULL), FB_OK);
    memcpy(ret_plain, plain, plain_length);
    free(plain);
    return plain_length;
}

static uint8_t kept[BATCH_BYTES_MAX], made[BATCH_BYTES_MAX], kept_plain[65536], made_plain[65536];

/* The kept file says what its JSON says; and what is made today is the same before compression, which may differ from
 * one zstd to the next. */
static void assert_kept(const char *name, size_t made_length, json_t *(*decode)(const uint8_t *, size_t)) {
    char path[64];
    snprintf(path, sizeof path, FOLDER "%s", name);
    const size_t kept_length = read_all(path, ".bin", kept, sizeof kept);
    snprintf(path, sizeof path, FOLDER "%s.json", name);
    const size_t plain_length = unpack(kept, kept_length, kept_plain);
    assert_int_equal(plain_length, unpack(made, made_length, made_plain));
    assert_memory_equal(kept_plain, made_plain, plain_length);
    json_t *expected = json_load_file(path, 0, NULL), *got = decode(kept, kept_length);
    assert_non_null(expected);
    if (!json_equal(expected, got))
        fail_msg("%s: not what the file holds: %s", path, json_dumps(got, JSON_COMPACT));
    json_decref(expected);
    json_decref(got);
}

static size_t make(const struct vector *vector) {
    const struct batch_info info = info_of(vector);
    size_t length;
    assert_int_equal(batch_encode(&info, vector->readings, vector->count, made, &length, NULL), FB_OK);
    return length;
}

static size_t make_catalogue(void) {
    const struct catalogue catalogue = the_catalogue();
    size_t length;
    assert_int_equal(catalogue_encode(&catalogue, made, &length, NULL), FB_OK);
    return length;
}

static void kept_batches_hold_what_they_held(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++)
        assert_kept(vectors[i].name, make(&vectors[i]), batch_json);
}

static void the_kept_catalogue_holds_what_it_held(void **state) {
    (void)state;
    assert_kept("catalogue", make_catalogue(), catalogue_json);
}

/* The hexadecimal bytes of the code block behind the marker; what follows a semicolon in a line is a remark. */
static size_t bytes_behind(char *page, const char *marker, uint8_t *ret_bytes, size_t size) {
    char *block = strstr(page, marker);
    assert_non_null(block);
    block = strchr(strstr(block, "```"), '\n') + 1;
    char *end = strstr(block, "```");
    size_t count = 0;
    for (char *at = block; at < end;) {
        if (*at == ';')
            at += strcspn(at, "\n");
        else if (isxdigit((unsigned char)*at) && count < size)
            ret_bytes[count++] = (uint8_t)strtoul(at, &at, 16);
        else
            at++;
    }
    return count;
}

static void the_worked_example_of_the_page_is_true(void **state) {
    (void)state;
    static uint8_t page[262144], shown[4096];
    const size_t page_length = read_all("docs/batch", ".md", page, sizeof page - 1);
    page[page_length] = '\0';
    const size_t kept_length = read_all(FOLDER "example", ".bin", kept, sizeof kept);
    const size_t plain_length = unpack(kept, kept_length, kept_plain);
    assert_int_equal(bytes_behind((char *)page, "### The frame in hex", shown, sizeof shown), kept_length);
    assert_memory_equal(shown, kept, kept_length);
    assert_int_equal(bytes_behind((char *)page, "### The content in hex", shown, sizeof shown), plain_length);
    assert_memory_equal(shown, kept_plain, plain_length);
}

static void write_vector(const char *name, size_t length, json_t *(*decode)(const uint8_t *, size_t)) {
    char path[128];
    snprintf(path, sizeof path, FOLDER "%s.bin", name);
    assert_int_equal(file_write(path, made, length, 0644, NULL), FB_OK);
    json_t *json = decode(made, length);
    snprintf(path, sizeof path, FOLDER "%s.json", name);
    assert_int_equal(json_dump_file(json, path, JSON_INDENT(1) | JSON_REAL_PRECISION(17)), 0);
    json_decref(json);
}

static void write_all(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++)
        write_vector(vectors[i].name, make(&vectors[i]), batch_json);
    write_vector("catalogue", make_catalogue(), catalogue_json);
}

int main(int count, char **arguments) {
    const struct CMUnitTest writer[] = {cmocka_unit_test(write_all)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_batches_hold_what_they_held),
        cmocka_unit_test(the_kept_catalogue_holds_what_it_held),
        cmocka_unit_test(the_worked_example_of_the_page_is_true),
    };
    if (count > 1 && strcmp(arguments[1], "write") == 0)
        return cmocka_run_group_tests(writer, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
