// links: gateway/core/values.c gateway/common/quality.c gateway/common/reading.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/quality.h"
#include "gateway/core/values.h"

#define NOW_MS INT64_C(1795293200000)
#define INTERVAL_MS 500

/* One instrument with count tags of these numbers. */
struct fixture {
    struct plant plant;
    struct plant_instrument instrument;
    struct plant_tag tags[4];
};

static void make_plant(struct fixture *fixture, const uint32_t *numbers, size_t count) {
    *fixture = (struct fixture){.instrument = {.name = "turbidity-1", .tags = fixture->tags, .tag_count = count},
                                .plant = {.instruments = &fixture->instrument, .instrument_count = 1}};
    for (size_t i = 0; i < count; i++)
        fixture->tags[i] =
            (struct plant_tag){.number = numbers[i], .name = "turbidity", .unit = "NTU", .interval_ms = INTERVAL_MS};
}

static void check_json(const struct value *value, const char *class, const char *reason, const char *number) {
    json_t *json = value_to_json(value);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "quality")), class);
    assert_string_equal(json_string_value(json_object_get(json, "reason")), reason);
    char *text = json_dumps(json_object_get(json, "value"), JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    assert_string_equal(text, number);
    free(text);
    json_decref(json);
}

static void a_tag_without_a_reading_is_bad_and_not_running(void **state) {
    (void)state;
    struct fixture fixture;
    make_plant(&fixture, (uint32_t[]){7}, 1);
    struct values values = {0};
    assert_int_equal(values_follow(&values, &fixture.plant), FB_OK);
    assert_int_equal(values.count, 1);
    check_json(&values.all[0], "bad", "not running", "null");
    json_t *json = value_to_json(&values.all[0]);
    assert_true(json_is_null(json_object_get(json, "time_ms")));
    json_decref(json);
    values_done(&values);
}

static void a_reading_becomes_its_tags_value(void **state) {
    (void)state;
    struct fixture fixture;
    make_plant(&fixture, (uint32_t[]){7, 3}, 2);
    struct values values = {0};
    assert_int_equal(values_follow(&values, &fixture.plant), FB_OK);
    assert_true(values_has(&values, 7) && values_has(&values, 3));
    assert_false(values_has(&values, 0) || values_has(&values, 4) || values_has(&values, 8) ||
                 values_has(&values, ~0u));
    const uint64_t before = values.version;
    const struct reading reading = reading_real64(3, NOW_MS, QUALITY_GOOD, 0.42);
    values_take(&values, &reading, 1000);
    assert_true(values.version > before);
    assert_true(values.all[1].version == values.version);
    check_json(&values.all[1], "good", "", "0.42");
    check_json(&values.all[0], "bad", "not running", "null");
    values_done(&values);
}

static void every_kind_is_shown_as_what_it_is(void **state) {
    (void)state;
    struct fixture fixture;
    make_plant(&fixture, (uint32_t[]){1}, 1);
    struct values values = {0};
    assert_int_equal(values_follow(&values, &fixture.plant), FB_OK);
    const struct {
        struct reading reading;
        const char *class, *reason, *number;
    } rows[] = {
        {reading_real32(1, NOW_MS, QUALITY_GOOD, 0.42f), "good", "", "0.42"},
        {reading_real32(1, NOW_MS, QUALITY_GOOD, 16777217.0f), "good", "", "16777216.0"},
        {reading_integer(1, NOW_MS, QUALITY_ABOVE_RANGE, INT64_MIN), "uncertain", "above range",
         "-9223372036854775808"},
        {reading_boolean(1, NOW_MS, QUALITY_GOOD, true), "good", "", "true"},
        {reading_real64(1, NOW_MS, QUALITY_MAINTENANCE, -1e300), "uncertain", "maintenance", "-1e300"},
        {reading_bad(1, READING_REAL64, NOW_MS, QUALITY_EXCEPTION, 2), "bad", "exception", "null"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        values_take(&values, &rows[i].reading, 1000);
        check_json(&values.all[0], rows[i].class, rows[i].reason, rows[i].number);
    }
    values_done(&values);
}

static void a_text_is_shown_as_it_is(void **state) {
    (void)state;
    struct fixture fixture;
    make_plant(&fixture, (uint32_t[]){1}, 1);
    struct values values = {0};
    assert_int_equal(values_follow(&values, &fixture.plant), FB_OK);
    static const char text[] = "backwash, \"filter 3\": waiting for its turn since the night";
    struct reading units[READING_UNITS_MAX];
    assert_int_equal(reading_make_text(1, NOW_MS, QUALITY_GOOD, text, strlen(text), units), 4);
    values_take(&values, units, 1000);
    memset(units, 0, sizeof units); /* the value is its own */
    check_json(&values.all[0], "good", "", "\"backwash, \\\"filter 3\\\": waiting for its turn since the night\"");
    units[0] = reading_bad(1, READING_TEXT, NOW_MS, QUALITY_TIMEOUT, 0);
    values_take(&values, units, 1000);
    check_json(&values.all[0], "bad", "timeout", "null");
    values_done(&values);
}

static void unknown_tags_change_nothing(void **state) {
    (void)state;
    struct values values = {0};
    const struct reading strangers[] = {reading_integer(1, NOW_MS, QUALITY_GOOD, 1),
                                        reading_integer(8, NOW_MS, QUALITY_GOOD, 1),
                                        reading_integer(UINT32_MAX, NOW_MS, QUALITY_GOOD, 1)};
    values_take(&values, &strangers[0], 1); /* before any plant is known */
    struct fixture fixture;
    make_plant(&fixture, (uint32_t[]){7}, 1);
    assert_int_equal(values_follow(&values, &fixture.plant), FB_OK);
    const uint64_t before = values.version;
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++)
        values_take(&values, &strangers[i], 1);
    assert_true(values.version == before);
    values_done(&values);
}

static void a_value_not_refreshed_is_stale_after_three_intervals_and_bad_after_ten(void **state) {
    (void)state;
    struct fixture fixture;
    make_plant(&fixture, (uint32_t[]){7}, 1);
    struct values values = {0};
    assert_int_equal(values_follow(&values, &fixture.plant), FB_OK);
    const struct reading reading = reading_integer(7, NOW_MS, QUALITY_GOOD, 5);
    values_take(&values, &reading, 10000);
    uint64_t version = values.version;
    values_age(&values, 10000 + 3 * INTERVAL_MS);
    assert_true(values.version == version);
    values_age(&values, 10000 + 3 * INTERVAL_MS + 1001);
    assert_true(values.version == version + 1);
    check_json(&values.all[0], "uncertain", "stale", "5");
    version = values.version;
    values_age(&values, 10000 + 10 * INTERVAL_MS + 1000);
    assert_true(values.version == version);
    values_age(&values, 10000 + 10 * INTERVAL_MS + 1001);
    assert_true(values.version == version + 1);
    check_json(&values.all[0], "bad", "not running", "null");
    values_take(&values, &reading, 100000);
    check_json(&values.all[0], "good", "", "5");
    values_done(&values);
}

static void what_is_bad_stays_bad_when_it_is_stale(void **state) {
    (void)state;
    struct fixture fixture;
    make_plant(&fixture, (uint32_t[]){7}, 1);
    struct values values = {0};
    assert_int_equal(values_follow(&values, &fixture.plant), FB_OK);
    const struct reading reading = reading_bad(7, READING_INTEGER, NOW_MS, QUALITY_TIMEOUT, 0);
    values_take(&values, &reading, 0);
    values_age(&values, 100000);
    check_json(&values.all[0], "bad", "timeout", "null");
    values_done(&values);
}

static void a_changed_plant_keeps_the_values_of_tags_it_still_has(void **state) {
    (void)state;
    struct fixture old, fresh;
    make_plant(&old, (uint32_t[]){1, 2, 3}, 3);
    make_plant(&fresh, (uint32_t[]){9, 2}, 2);
    struct values values = {0};
    assert_int_equal(values_follow(&values, &old.plant), FB_OK);
    for (uint32_t tag = 1; tag <= 3; tag++) {
        const struct reading reading = reading_integer(tag, NOW_MS, QUALITY_GOOD, 10 * (int64_t)tag);
        values_take(&values, &reading, 1000);
    }
    const uint64_t version = values.version;
    assert_int_equal(values_follow(&values, &fresh.plant), FB_OK);
    assert_int_equal(values.count, 2);
    assert_ptr_equal(values.all[0].tag, &fresh.tags[0]);
    check_json(&values.all[0], "bad", "not running", "null");
    check_json(&values.all[1], "good", "", "20");
    assert_true(values.all[0].version > version && values.all[1].version > version);
    const struct reading gone = reading_integer(3, NOW_MS, QUALITY_GOOD, 1);
    values_take(&values, &gone, 2000);
    check_json(&values.all[1], "good", "", "20");
    values_done(&values);
}

static void a_plant_without_tags_is_fine(void **state) {
    (void)state;
    const struct plant plant = {0};
    struct values values = {0};
    assert_int_equal(values_follow(&values, &plant), FB_OK);
    values_age(&values, 1000);
    assert_int_equal(values.count, 0);
    values_done(&values);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tag_without_a_reading_is_bad_and_not_running),
        cmocka_unit_test(a_reading_becomes_its_tags_value),
        cmocka_unit_test(every_kind_is_shown_as_what_it_is),
        cmocka_unit_test(a_text_is_shown_as_it_is),
        cmocka_unit_test(unknown_tags_change_nothing),
        cmocka_unit_test(a_value_not_refreshed_is_stale_after_three_intervals_and_bad_after_ten),
        cmocka_unit_test(what_is_bad_stays_bad_when_it_is_stale),
        cmocka_unit_test(a_changed_plant_keeps_the_values_of_tags_it_still_has),
        cmocka_unit_test(a_plant_without_tags_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
