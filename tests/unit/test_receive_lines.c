// links: gateway/receive/lines.c gateway/common/hex.c gateway/common/quality.c gateway/common/reading.c gateway/common/number_text.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <float.h>
#include <jansson.h>
#include <math.h>

#include "gateway/common/number_text.h"
#include "gateway/common/quality.h"
#include "gateway/receive/lines.h"

static const struct batch_info info = {.gateway = "works-1", .store_id = {0xab, 0x01}, .number = 12};
static const struct catalogue_tag names = {
    .number = 5, .instrument = "turbidity-1", .name = "turbidity", .unit = "°C", .kind = READING_REAL64};

static const char *line_of_units(enum lines_format format, const struct catalogue_tag *tag_names,
                                 const struct reading *reading) {
    static char line[LINES_BYTES_MAX + 1];
    struct lines_tag tag;
    lines_begin_tag(format, &info, reading->tag, tag_names, &tag);
    line[lines_reading(&tag, reading, line)] = '\0';
    return line;
}

static const char *line_of(enum lines_format format, const struct catalogue_tag *tag_names, struct reading reading) {
    return line_of_units(format, tag_names, &reading);
}

#define STORE "ab010000000000000000000000000000"

static void ndjson_names_everything(void **state) {
    (void)state;
    assert_string_equal(
        line_of(LINES_NDJSON, &names, reading_real64(5, 1795293200123, QUALITY_GOOD, 7.25)),
        "{\"gateway\":\"works-1\",\"store\":\"" STORE "\",\"batch\":12,\"tag\":5,"
        "\"instrument\":\"turbidity-1\",\"name\":\"turbidity\",\"unit\":\"°C\","
        "\"time_ms\":1795293200123,\"value\":7.25,\"quality\":\"good\",\"reason\":\"\",\"detail\":0}\n");
}

static void a_bad_reading_has_no_value_and_says_why(void **state) {
    (void)state;
    assert_string_equal(line_of(LINES_NDJSON, NULL, reading_bad(5, READING_INTEGER, 1, QUALITY_EXCEPTION, 2)),
                        "{\"gateway\":\"works-1\",\"store\":\"" STORE "\",\"batch\":12,\"tag\":5,"
                        "\"instrument\":null,\"name\":null,\"unit\":null,\"time_ms\":1,\"value\":null,"
                        "\"quality\":\"bad\",\"reason\":\"exception\",\"detail\":2}\n");
}

static void csv_has_the_header_s_fields(void **state) {
    (void)state;
    assert_string_equal(lines_header(LINES_CSV),
                        "gateway,store,batch,tag,instrument,name,unit,time_ms,value,quality,reason,detail\n");
    assert_string_equal(lines_header(LINES_NDJSON), "");
    assert_string_equal(line_of(LINES_CSV, &names, reading_integer(5, 9, QUALITY_ABOVE_RANGE, -42)),
                        "works-1," STORE ",12,5,turbidity-1,turbidity,°C,9,-42,uncertain,above range,0\n");
    assert_string_equal(line_of(LINES_CSV, NULL, reading_bad(5, READING_REAL32, 9, QUALITY_TIMEOUT, 0)),
                        "works-1," STORE ",12,5,,,,9,,bad,timeout,0\n");
}

static void csv_quotes_what_needs_it(void **state) {
    (void)state;
    const struct catalogue_tag odd = {.instrument = "a,b", .name = "say \"x\"", .unit = "%"};
    assert_string_equal(line_of(LINES_CSV, &odd, reading_boolean(5, 9, QUALITY_GOOD, true)),
                        "works-1," STORE ",12,5,\"a,b\",\"say \"\"x\"\"\",%,9,true,good,,0\n");
}

static void any_text_makes_valid_json_within_the_limit(void **state) {
    (void)state;
    struct catalogue_tag odd = {.unit = "\\"};
    memset(odd.instrument, '"', sizeof odd.instrument - 1);
    memset(odd.name, '\\', sizeof odd.name - 1);
    const char *line = line_of(LINES_NDJSON, &odd, reading_integer(UINT32_MAX, READING_TIME_MAX_MS, 68, INT64_MIN));
    assert_in_range(strlen(line), 1, LINES_BYTES_MAX);
    json_t *json = json_loads(line, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "name")), odd.name);
    assert_true(json_integer_value(json_object_get(json, "value")) == INT64_MIN);
    json_decref(json);
}

static void texts_are_written_as_texts(void **state) {
    (void)state;
    struct reading units[READING_UNITS_MAX];
    reading_make_text(5, 9, QUALITY_GOOD, "25 bytes, one is \"quoted\"", 25, units);
    assert_non_null(
        strstr(line_of_units(LINES_NDJSON, &names, units), "\"value\":\"25 bytes, one is \\\"quoted\\\"\","));
    assert_string_equal(line_of_units(LINES_CSV, &names, units),
                        "works-1," STORE
                        ",12,5,turbidity-1,turbidity,°C,9,\"25 bytes, one is \"\"quoted\"\"\",good,,0\n");
    reading_make_text(5, 9, QUALITY_GOOD, "", 0, units);
    assert_non_null(strstr(line_of_units(LINES_NDJSON, &names, units), "\"value\":\"\","));
    char longest[READING_TEXT_MAX];
    memset(longest, '"', sizeof longest);
    struct catalogue_tag odd = {.unit = "\\"};
    memset(odd.instrument, '"', sizeof odd.instrument - 1);
    memset(odd.name, '"', sizeof odd.name - 1);
    reading_make_text(UINT32_MAX, READING_TIME_MAX_MS, QUALITY_MAINTENANCE, longest, sizeof longest, units);
    assert_in_range(strlen(line_of_units(LINES_NDJSON, &odd, units)), 1, LINES_BYTES_MAX);
}

static void numbers_take_the_fewest_digits(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0.0"},
        {1, "1"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {7.005, "7.005"},
        {0.30000000000000004, "0.30000000000000004"},
        {1e15, "1e+15"},
        {1e22, "1e+22"},
        {5e-324, "4.94065645841247e-324"},
        {-0.25, "-0.25"},
        {1e-9, "0.000000001"},
        {1.0 / 3, "0.3333333333333333"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {999999999999999, "999999999999999"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[32];
        text[number_text_real64(cases[i].value, text)] = '\0';
        assert_string_equal(text, cases[i].text);
    }
    static const struct {
        float value;
        const char *text;
    } float_cases[] = {
        {7.1f, "7.1"},
        {0.1f, "0.1"},
        {-0.0f, "-0.0"},
        {16777216.0f, "16777216"},
        {1.0f / 3, "0.33333334"},
        {FLT_MAX, "3.4028235e+38"},
        {FLT_MIN, "1.1754944e-38"},
        {1e10f, "1e+10"},
    };
    for (size_t i = 0; i < sizeof float_cases / sizeof float_cases[0]; i++) {
        char text[32];
        text[number_text_real32(float_cases[i].value, text)] = '\0';
        assert_string_equal(text, float_cases[i].text);
    }
}

static uint64_t random_bits(void) {
    return (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();
}

static void every_number_comes_back(void **state) {
    (void)state;
    srand(1);
    for (unsigned i = 0; i < 200000; i++) {
        char text[32];
        const uint64_t bits = random_bits();
        double value;
        memcpy(&value, &bits, sizeof value);
        if (i % 2 == 0)
            value = (double)(int64_t)(bits % 20000000) / (double[]){1, 10, 100, 1000}[bits >> 62] - 9000;
        if (isfinite(value)) {
            text[number_text_real64(value, text)] = '\0';
            assert_true(strtod(text, NULL) == value);
        }
        const float narrow = (float)value;
        if (isfinite(narrow)) {
            text[number_text_real32(narrow, text)] = '\0';
            assert_true(strtof(text, NULL) == narrow);
        }
    }
}

static void formats_have_words(void **state) {
    (void)state;
    assert_int_equal(lines_format_from_word("csv"), LINES_CSV);
    assert_int_equal(lines_format_from_word("ndjson"), LINES_NDJSON);
    assert_int_equal(lines_format_from_word("xml"), -1);
    assert_string_equal(lines_format_word(LINES_CSV), "csv");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ndjson_names_everything),
        cmocka_unit_test(a_bad_reading_has_no_value_and_says_why),
        cmocka_unit_test(csv_has_the_header_s_fields),
        cmocka_unit_test(csv_quotes_what_needs_it),
        cmocka_unit_test(any_text_makes_valid_json_within_the_limit),
        cmocka_unit_test(texts_are_written_as_texts),
        cmocka_unit_test(numbers_take_the_fewest_digits),
        cmocka_unit_test(every_number_comes_back),
        cmocka_unit_test(formats_have_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
