// links: drivers/line_frame.c drivers/checksum.c drivers/decode.c drivers/text_value.c gateway/common/plant.c gateway/common/plant_lines.c gateway/common/plant_write.c gateway/common/json.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c
/* Lines of text: which are whole, which are meant, and the numbers in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/line_frame.h"
#include "gateway/common/quality.h"

static char body[PLANT_LINES_BYTES_MAX + 1];

static const char *take(enum plant_checksum checksum, const char *line) {
    return line_body(checksum, (const uint8_t *)line, strlen(line), body);
}

static void a_right_checksum_is_taken_off(void **state) {
    (void)state;
    assert_null(take(PLANT_CHECKSUM_NONE, "T=12.5"));
    assert_string_equal(body, "T=12.5");
    assert_null(take(PLANT_CHECKSUM_NMEA, "$GPGLL,4916.45,N,12311.12,W,225444,A,*1D"));
    assert_string_equal(body, "GPGLL,4916.45,N,12311.12,W,225444,A,");
    assert_null(take(PLANT_CHECKSUM_XOR, "1203"));
    assert_string_equal(body, "12");
    assert_null(take(PLANT_CHECKSUM_SUM, "1263"));
    assert_string_equal(body, "12");
    /* The check value of CRC-16/MODBUS for "123456789" */
    assert_null(take(PLANT_CHECKSUM_CRC16, "1234567894B37"));
    assert_string_equal(body, "123456789");
    /* SDI-12 1.4, section 4.4.12.4, example of a D0 response */
    assert_null(take(PLANT_CHECKSUM_SDI12, "0+3.14OqZ"));
    assert_string_equal(body, "0+3.14");
}

static void a_line_with_one_bit_wrong_is_refused(void **state) {
    (void)state;
    static const struct {
        enum plant_checksum checksum;
        const char *line;
    } good[] = {{PLANT_CHECKSUM_NMEA, "$GPGLL,4916.45,N,12311.12,W,225444,A,*1D"},
                {PLANT_CHECKSUM_XOR, "1203"},
                {PLANT_CHECKSUM_SUM, "1263"},
                {PLANT_CHECKSUM_CRC16, "1234567894B37"},
                {PLANT_CHECKSUM_SDI12, "0+3.14OqZ"}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        for (size_t bit = 0; bit < 7 * strlen(good[i].line); bit++) {
            char line[64];
            snprintf(line, sizeof line, "%s", good[i].line);
            line[bit / 7] = (char)(line[bit / 7] ^ 1 << bit % 7);
            const bool case_alone = (good[i].line[bit / 7] | 0x20) == (line[bit / 7] | 0x20);
            if (take(good[i].checksum, line) == NULL && !case_alone)
                fail_msg("%s was taken", line);
        }
}

static void what_has_no_checksum_or_control_characters_is_refused(void **state) {
    (void)state;
    assert_non_null(take(PLANT_CHECKSUM_NMEA, "$*00"));
    assert_non_null(take(PLANT_CHECKSUM_NMEA, "GPGLL*00"));
    assert_non_null(take(PLANT_CHECKSUM_XOR, "03"));
    assert_non_null(take(PLANT_CHECKSUM_CRC16, "12"));
    assert_non_null(take(PLANT_CHECKSUM_SDI12, "abc"));
    assert_non_null(take(PLANT_CHECKSUM_NONE, "12\r3"));
    assert_non_null(line_body(PLANT_CHECKSUM_NONE,
                              (const uint8_t *)"1\0"
                                               "2",
                              3, body));
}

static void a_beginning_may_have_any_characters(void **state) {
    (void)state;
    assert_true(line_begins("YXMTW,17.7,C", "??MTW,"));
    assert_true(line_begins("T=1", ""));
    assert_false(line_begins("YX", "??M"));
    assert_false(line_begins("T:1", "T="));
}

static double number(const char *text, const char *beginning, unsigned field, const char *separator) {
    double value = -1e99;
    assert_int_equal(line_number(text, beginning, field, separator, &value), LINE_FOUND);
    return value;
}

static void numbers_are_found_by_field(void **state) {
    (void)state;
    assert_true(number("YXMTW,17.75,C", "??MTW,", 1, ",") == 17.75);
    assert_true(number("WIMWV,214.8,R,0.1,K,A", "??MWV,", 3, ",") == 0.1);
    assert_true(number("V  7.42   12.5", "V", 2, "") == 12.5);
    assert_true(number("T=-3.5 °C", "T=", 1, ",") == -3.5);
    assert_true(number("T=.5NTU", "T=", 1, ",") == 0.5);
    assert_true(number("1.5e-3", "", 1, "") == 0.0015);
    assert_true(number("5 %", "", 1, ";") == 5);
    assert_true(number("5 m3/h", "", 1, ";") == 5);
}

static void what_is_no_decimal_number_is_strange(void **state) {
    (void)state;
    static const char *const strange[] = {"abc",  "nan",   "inf",  "0x10",
                                          "7A3F", "1.2.3", "1,2",  "--1",
                                          "+",    ".",     "12 7", "1e99999999999999999999999999999999999999999999999"};
    double value;
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++)
        if (line_number(strange[i], "", 1, ";", &value) != LINE_STRANGE)
            fail_msg("%s was taken", strange[i]);
    assert_int_equal(line_number("1,2", "", 3, ",", &value), LINE_STRANGE);
    assert_int_equal(line_number("1 2", "", 3, "", &value), LINE_STRANGE);
    assert_int_equal(line_number("1,,3", "", 2, ",", &value), LINE_EMPTY);
    assert_int_equal(line_number("1, ,3", "", 2, ",", &value), LINE_EMPTY);
}

static void a_reply_becomes_readings_with_quality(void **state) {
    (void)state;
    const struct plant_instrument instrument = {.lines = {.protocol = PLANT_LINES, .separator = ","}};
    struct plant_tag tags[5];
    const struct plant_tag *list[5];
    static const char *const lines[] = {"A", "A", "B", "C", "A"};
    static const uint8_t fields[] = {1, 2, 1, 1, 9};
    for (unsigned i = 0; i < 5; i++) {
        tags[i] = (struct plant_tag){
            .number = i + 1, .table = PLANT_HOLDING, .type = PLANT_FLOAT64, .scale = {1, 0}, .field = fields[i]};
        snprintf(tags[i].line, sizeof tags[i].line, "%s", lines[i]);
        list[i] = &tags[i];
    }
    tags[2].has_max = true;
    tags[2].max = 5;
    tags[0].scale = (struct plant_decimal){1, -2};
    const struct plan_request request = {.instrument = &instrument, .tags = list, .tag_count = 5};
    struct reading readings[5];
    line_decode_reply(&request, (const uint8_t *)"A7,,3\nB9\n", 1000, CLOCK_SYNCHRONISED, readings);
    assert_int_equal(readings[0].quality, QUALITY_GOOD);
    assert_true(readings[0].value.real64 == 0.07);
    assert_int_equal(readings[1].quality, QUALITY_SENTINEL);
    assert_int_equal(readings[2].quality, QUALITY_ABOVE_RANGE);
    assert_int_equal(readings[3].quality, QUALITY_TIMEOUT);
    assert_int_equal(readings[4].quality, QUALITY_BAD_REPLY);
    for (unsigned i = 0; i < 5; i++)
        assert_true(reading_valid(&readings[i]));
    line_decode_reply(&request, (const uint8_t *)"A7\n", 1000, CLOCK_NOT_SET, readings);
    assert_int_equal(readings[0].quality, QUALITY_CLOCK_NOT_SET);
}

static void texts_are_fields_as_they_stand(void **state) {
    (void)state;
    const struct plant_instrument instrument = {.lines = {.protocol = PLANT_LINES, .separator = ";"}};
    struct plant_tag tags[] = {
        {.number = 1, .table = PLANT_HOLDING, .type = PLANT_TEXT, .length = 1, .line = "V;", .field = 2},
        {.number = 2, .table = PLANT_HOLDING, .type = PLANT_FLOAT64, .scale = {1, 0}, .line = "V;", .field = 1},
        {.number = 3, .table = PLANT_HOLDING, .type = PLANT_TEXT, .length = 1, .line = "V;", .field = 3},
        {.number = 4, .table = PLANT_HOLDING, .type = PLANT_TEXT, .length = 1, .line = "W", .field = 1},
        {.number = 5, .table = PLANT_HOLDING, .type = PLANT_TEXT, .length = 1, .line = "V;", .field = 4},
    };
    const struct plant_tag *list[] = {&tags[0], &tags[1], &tags[2], &tags[3], &tags[4]};
    const struct plan_request request = {.instrument = &instrument, .tags = list, .tag_count = 5};
    struct reading units[5 * READING_UNITS_MAX];
    const size_t used = line_decode_reply(&request, (const uint8_t *)"V;7.5; LAMP FAILURE 40 \xb0\x43 ;\n", 1000,
                                          CLOCK_SYNCHRONISED, units);
    assert_true(readings_valid(units, used));
    assert_int_equal(readings_count(units, used), 5);
    assert_int_equal(units[0].value.text_length, strlen("LAMP FAILURE 40 °C"));
    assert_memory_equal(reading_text(units), "LAMP FAILURE 40 °C", strlen("LAMP FAILURE 40 °C"));
    const struct reading *rest = units + reading_units(units);
    assert_true(rest[0].value.real64 == 7.5);
    assert_int_equal(rest[1].quality, QUALITY_SENTINEL);
    assert_int_equal(rest[2].quality, QUALITY_TIMEOUT);
    assert_int_equal(rest[3].quality, QUALITY_BAD_REPLY);
}

static void the_units_number_goes_into_the_question(void **state) {
    (void)state;
    struct plant_instrument instrument = {.unit = 17, .lines = {.ask = "#{unit}?\\r\\x02"}};
    uint8_t bytes[PLANT_LINES_ASK_MAX];
    assert_int_equal(line_request(&instrument, bytes), 6);
    assert_memory_equal(bytes, "#17?\r\2", 6);
    strcpy(instrument.lines.ask, "");
    assert_int_equal(line_request(&instrument, bytes), 0);
}

static void sdi12_answers_are_read_strictly(void **state) {
    (void)state;
    unsigned seconds, values;
    char text[64] = "";
    assert_true(line_sdi12_announced("00013", '0', &seconds, &values));
    assert_int_equal(seconds, 1);
    assert_int_equal(values, 3);
    assert_true(line_sdi12_announced("312310", '3', &seconds, &values));
    assert_int_equal(seconds, 123);
    assert_int_equal(values, 10);
    assert_false(line_sdi12_announced("10013", '0', &seconds, &values));
    assert_false(line_sdi12_announced("0001", '0', &seconds, &values));
    assert_false(line_sdi12_announced("", '0', &seconds, &values));
    assert_int_equal(line_sdi12_values("0+3.14-2", '0', text, sizeof text), 2);
    assert_int_equal(line_sdi12_values("0+7", '0', text, sizeof text), 1);
    assert_string_equal(text, "+3.14 -2 +7");
    assert_int_equal(line_sdi12_values("0", '0', text, sizeof text), 0);
    assert_int_equal(line_sdi12_values("0+1x", '0', text, sizeof text), 0);
    assert_int_equal(line_sdi12_values("1+1", '0', text, sizeof text), 0);
    assert_int_equal(line_sdi12_values("0+123456789", '0', text, 16), 0);
}

static void only_measurements_are_asked_of_sdi12(void **state) {
    (void)state;
    static const char *const good[] = {"M", "M1", "MC", "MC9", "C", "CC", "R0", "RC3"};
    static const char *const bad[] = {"", "A1", "XR", "R", "D0", "M10", "V", "I", "M!", "?"};
    struct plant_lines lines = {.protocol = PLANT_SDI12, .end = "\\r\\n"};
    struct fb_cause cause;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        strcpy(lines.ask, good[i]);
        assert_int_equal(plant_lines_check(&lines, &cause), FB_OK);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        strcpy(lines.ask, bad[i]);
        assert_int_equal(plant_lines_check(&lines, &cause), FB_INVALID);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_right_checksum_is_taken_off),
        cmocka_unit_test(a_line_with_one_bit_wrong_is_refused),
        cmocka_unit_test(what_has_no_checksum_or_control_characters_is_refused),
        cmocka_unit_test(a_beginning_may_have_any_characters),
        cmocka_unit_test(numbers_are_found_by_field),
        cmocka_unit_test(what_is_no_decimal_number_is_strange),
        cmocka_unit_test(a_reply_becomes_readings_with_quality),
        cmocka_unit_test(texts_are_fields_as_they_stand),
        cmocka_unit_test(the_units_number_goes_into_the_question),
        cmocka_unit_test(sdi12_answers_are_read_strictly),
        cmocka_unit_test(only_measurements_are_asked_of_sdi12),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
