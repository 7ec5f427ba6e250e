// links: gateway/cloud/senml.c store/batch*.c store/catalogue.c gateway/common/error.c gateway/common/hex.c gateway/common/number_text.c gateway/common/quality.c gateway/common/reading.c gateway/common/file.c
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/cloud/senml.h"
#include "gateway/common/quality.h"

#define T INT64_C(1795293190000)

static struct catalogue_tag tags[] = {
    {.number = 1, .instrument = "sc4500-1", .name = "ph", .unit = "pH", .kind = READING_REAL64},
    {.number = 2, .instrument = "sc4500-1", .name = "flow", .unit = "l/s", .kind = READING_INTEGER},
    {.number = 9, .instrument = "tank", .name = "temperature", .unit = "°C", .kind = READING_REAL32},
    {.number = 10, .instrument = "tank", .name = "pump", .unit = "", .kind = READING_BOOLEAN},
    {.number = 11, .instrument = "ta\"nk", .name = "a b", .unit = "\"", .kind = READING_BOOLEAN},
};
static const struct catalogue catalogue = {.tags = tags, .tag_count = sizeof tags / sizeof tags[0]};

static const struct batch_info info = {
    .gateway = "works-1", .store_id = {0xa0, 0xa1, 0x02}, .number = 42, .sealed_ms = T + 2500};

#define HEAD                                                                                                           \
    "[{\"bn\":\"works-1/\",\"bt\":1795293192,\"store\":\"a0a10200000000000000000000000000\",\"batch\":42,\"pack\":"

static void assert_pack(const struct batch_info *batch, const struct reading *readings, size_t units,
                        const char *wanted) {
    struct senml senml;
    char text[8192];
    senml_begin(&senml, batch, readings, units, &catalogue);
    assert_false(senml_done(&senml));
    const size_t length = senml_next(&senml, text, sizeof text - 1);
    text[length] = '\0';
    assert_string_equal(text, wanted);
    assert_true(senml_done(&senml));
}

static void each_kind_of_reading_is_a_record_with_its_value(void **state) {
    (void)state;
    struct reading readings[4 + READING_UNITS_MAX] = {
        reading_real64(1, T, QUALITY_GOOD, 7.21),
        reading_integer(2, T + 2001, QUALITY_GOOD, -1198),
        reading_real32(9, T + 2000, QUALITY_GOOD, 0.3333333f),
        reading_boolean(10, T + 2500, QUALITY_GOOD, true),
    };
    const size_t units = 4 + reading_make_text(12, T + 2510, QUALITY_GOOD, "a \"b\" \\", 7, &readings[4]);
    assert_pack(&info, readings, units,
                HEAD "1,\"last\":true},"
                     "{\"n\":\"sc4500-1/ph\",\"u\":\"pH\",\"t\":-2,\"v\":7.21},"
                     "{\"n\":\"sc4500-1/flow\",\"u\":\"l/s\",\"t\":0.001,\"v\":-1198},"
                     "{\"n\":\"tank/temperature\",\"u\":\"Cel\",\"t\":0,\"v\":0.3333333},"
                     "{\"n\":\"tank/pump\",\"t\":0.5,\"vb\":true},"
                     "{\"n\":\"tag:12\",\"t\":0.51,\"vs\":\"a \\\"b\\\" \\\\\"}]");
}

static void what_is_not_good_says_so_in_a_field_that_must_be_understood(void **state) {
    (void)state;
    const struct reading readings[] = {
        reading_real64(1, T + 2000, QUALITY_MAINTENANCE, 7.21),
        reading_bad(2, READING_INTEGER, T + 2000, QUALITY_EXCEPTION, 4),
    };
    assert_pack(&info, readings, 2,
                HEAD "1,\"last\":true},"
                     "{\"n\":\"sc4500-1/ph\",\"u\":\"pH\",\"t\":0,\"v\":7.21,\"quality_\":\"uncertain\","
                     "\"reason\":\"maintenance\"},"
                     "{\"n\":\"sc4500-1/flow\",\"u\":\"l/s\",\"t\":0,\"vs\":\"\",\"quality_\":\"bad\","
                     "\"reason\":\"exception\",\"detail\":4}]");
}

static void losses_and_corrections_are_told(void **state) {
    (void)state;
    struct batch_info batch = info;
    batch.losses[0] = (struct batch_loss){.reason = BATCH_LOSS_QUOTA,
                                          .readings = 900,
                                          .from_ms = T - 100000,
                                          .to_ms = T - 500,
                                          .first_batch = 7,
                                          .last_batch = 9};
    batch.losses[1] = (struct batch_loss){.reason = BATCH_LOSS_CORE_AWAY, .from_ms = T, .to_ms = T};
    batch.loss_count = 2;
    batch.corrections[0] = (struct batch_correction){
        .first_batch = 40, .last_batch = 42, .from_ms = 5000, .to_ms = 65500, .right_ms = T - 60000};
    batch.correction_count = 1;
    assert_pack(&batch, NULL, 0,
                HEAD "1,\"last\":true},"
                     "{\"n\":\"loss\",\"t\":-102,\"v\":900,\"reason\":\"quota\",\"until\":1795293189.5,"
                     "\"first_batch\":7,\"last_batch\":9},"
                     "{\"n\":\"loss\",\"t\":-2,\"v\":0,\"reason\":\"core away\",\"until\":1795293190},"
                     "{\"n\":\"correction\",\"u\":\"s\",\"t\":-1795293187,\"v\":1795293125,\"until\":65.5,"
                     "\"first_batch\":40,\"last_batch\":42}]");
}

static void a_batch_without_anything_has_an_empty_pack(void **state) {
    (void)state;
    assert_pack(&info, NULL, 0, HEAD "1,\"last\":true}]");
}

static void names_keep_to_what_senml_allows(void **state) {
    (void)state;
    const struct reading reading = reading_boolean(11, T + 2000, QUALITY_GOOD, false);
    assert_pack(&info, &reading, 1, HEAD "1,\"last\":true},{\"n\":\"ta_nk/a_b\",\"u\":\"\\\"\",\"t\":0,\"vb\":false}]");
}

/* Every pack within the limit is JSON of its own, and together they hold each record once, in order. */
static void a_long_batch_is_cut_into_packs_within_the_limit(void **state) {
    (void)state;
    enum { COUNT = 3000 };
    static struct reading readings[COUNT];
    static char text[65536];
    for (int i = 0; i < COUNT; i++)
        readings[i] = reading_integer(2, T + i, QUALITY_GOOD, i);
    static const size_t limits[] = {SENML_PACK_BYTES_MIN, 2049, 10000, sizeof text};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct senml senml;
        int seen = 0;
        bool last = false;
        senml_begin(&senml, &info, readings, COUNT, &catalogue);
        for (unsigned pack = 1; !senml_done(&senml); pack++) {
            assert_false(last);
            const size_t length = senml_next(&senml, text, limits[i]);
            assert_true(length <= limits[i]);
            json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL), *record;
            json_t *head = json_array_get(json, 0);
            assert_int_equal(json_integer_value(json_object_get(head, "pack")), pack);
            last = json_is_true(json_object_get(head, "last"));
            size_t place;
            json_array_foreach(json, place, record) if (place > 0)
                assert_int_equal(json_integer_value(json_object_get(record, "v")), seen++);
            assert_true(last || length > limits[i] - 700); /* room for the longest first record stays */
            json_decref(json);
        }
        assert_true(last);
        assert_int_equal(seen, COUNT);
    }
}

/* The longest record there can be still fits into the smallest pack. */
static void the_longest_record_fits(void **state) {
    (void)state;
    struct catalogue_tag tag = {.number = 1};
    memset(tag.instrument, 'i', sizeof tag.instrument - 1);
    memset(tag.name, 'n', sizeof tag.name - 1);
    memset(tag.unit, '"', sizeof tag.unit - 1);
    struct batch_info batch = {.number = INT64_MAX, .sealed_ms = READING_TIME_MAX_MS};
    memset(batch.gateway, 'g', sizeof batch.gateway - 1);
    const struct catalogue long_one = {.tags = &tag, .tag_count = 1};
    char quotes[READING_TEXT_MAX];
    memset(quotes, '"', sizeof quotes);
    struct reading readings[READING_UNITS_MAX];
    const size_t units = reading_make_text(1, 1, QUALITY_CLOCK_NOT_SET, quotes, sizeof quotes, readings);
    readings[0].detail = UINT16_MAX;
    struct senml senml;
    char *text = malloc(SENML_PACK_BYTES_MIN); /* exact, so that writing past it is seen */
    senml_begin(&senml, &batch, readings, units, &long_one);
    const size_t length = senml_next(&senml, text, SENML_PACK_BYTES_MIN);
    assert_true(senml_done(&senml));
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_array_size(json), 2);
    json_decref(json);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_reading_is_a_record_with_its_value),
        cmocka_unit_test(what_is_not_good_says_so_in_a_field_that_must_be_understood),
        cmocka_unit_test(losses_and_corrections_are_told),
        cmocka_unit_test(a_batch_without_anything_has_an_empty_pack),
        cmocka_unit_test(names_keep_to_what_senml_allows),
        cmocka_unit_test(a_long_batch_is_cut_into_packs_within_the_limit),
        cmocka_unit_test(the_longest_record_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
