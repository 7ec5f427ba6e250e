// links: gateway/config/*.c gateway/common/error.c gateway/common/command_settings.c gateway/common/file.c gateway/common/json.c gateway/common/plant.c gateway/common/plant_lines.c gateway/common/link_settings.c drivers/plan*.c gateway/common/pin.c gateway/common/pkcs11_uri.c gateway/common/plant_write.c gateway/common/cloud_profile.c
/* Instruments with lines of text in the configuration, and their way through JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/config/config.h"

#define BUSES                                                                                                          \
    "gateway: {name: g}\nbuses:\n  - {name: s, kind: serial, device: /dev/null, baud: 9600, data_bits: 7, parity: "    \
    "even,"                                                                                                            \
    " flow: rtscts}\n  - {name: t, kind: serial-tcp, host: h, port: 4001}\n  - {name: m, kind: modbus-tcp, host: h}\n" \
    "instruments:\n  - "

static struct config config;
static struct config_report report;

static enum fb_error parse(const char *instrument) {
    char text[2048];
    snprintf(text, sizeof text, "%s%s\n", BUSES, instrument);
    report = (struct config_report){.file = "test.yaml"};
    return config_parse(text, strlen(text), "/", &config, &report);
}

static void good(const char *instrument) {
    if (parse(instrument) != FB_OK)
        fail_msg("%s", report.errors[0].text);
}

static void wrong(const char *instrument, const char *words) {
    assert_int_equal(parse(instrument), FB_INVALID);
    if (strstr(report.errors[0].text, words) == NULL)
        fail_msg("%s", report.errors[0].text);
}

static void a_question_is_kept_as_it_can_be_written(void **state) {
    (void)state;
    static const char *const asks[] = {"'READ\\r'", "READ\\r", "\"READ\\r\""};
    for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
        char text[256];
        uint8_t bytes[PLANT_LINES_ASK_MAX];
        snprintf(text, sizeof text,
                 "{name: i, bus: s, interval: 1s, protocol: {kind: lines, ask: %s}, tags: [{name: a}]}", asks[i]);
        good(text);
        assert_int_equal(plant_lines_bytes(config.plant.instruments[0].lines.ask, bytes, sizeof bytes), 5);
        assert_memory_equal(bytes, "READ\r", 5);
        config_done(&config);
    }
}

static void all_keys_arrive_and_survive_json(void **state) {
    (void)state;
    good("{name: i, bus: t, unit: 4, interval: 1s, protocol: {kind: lines, checksum: crc16, separator: \";\", end: "
         "'\\n'},"
         " tags: [{name: a, line: \"V?\", field: 7, scale: 0.1, unit: NTU, max: 9}]}");
    const struct plant_instrument *instrument = &config.plant.instruments[0];
    assert_int_equal(config.plant.buses[0].data_bits, 7);
    assert_int_equal(config.plant.buses[0].flow, PLANT_FLOW_RTSCTS);
    assert_int_equal(instrument->lines.checksum, PLANT_CHECKSUM_CRC16);
    assert_string_equal(instrument->lines.separator, ";");
    assert_string_equal(instrument->tags[0].line, "V?");
    assert_int_equal(instrument->tags[0].field, 7);
    struct plant copy = {0};
    struct fb_cause cause;
    for (size_t i = 0; i < config.plant.bus_count; i++) {
        json_t *bus = plant_bus_to_json(&config.plant.buses[i]);
        assert_int_equal(plant_add_bus_json(&copy, bus, &cause), FB_OK);
        json_decref(bus);
    }
    json_t *json = plant_instrument_to_json(&config.plant, instrument, 0, instrument->tag_count);
    if (plant_add_instrument_json(&copy, json, &cause) != FB_OK)
        fail_msg("%s", cause.text);
    json_decref(json);
    assert_memory_equal(&copy.instruments[0].lines, &instrument->lines, sizeof instrument->lines);
    assert_string_equal(copy.instruments[0].tags[0].line, "V?");
    assert_int_equal(copy.instruments[0].tags[0].field, 7);
    assert_int_equal(copy.instruments[0].tags[0].scale.exponent, -1);
    plant_done(&copy);
    config_done(&config);
}

static void letters_are_addresses_of_sensors(void **state) {
    (void)state;
    static const struct {
        const char *written;
        uint8_t unit;
        char address;
    } rows[] = {{"0", 0, '0'}, {"9", 9, '9'}, {"a", 'a', 'a'}, {"z", 'z', 'z'}, {"A", 'A', 'A'}, {"\"Z\"", 'Z', 'Z'}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        snprintf(text, sizeof text,
                 "{name: i, bus: s, unit: %s, interval: 1s, protocol: {kind: sdi12, ask: M}, tags: [{name: a}]}",
                 rows[i].written);
        good(text);
        assert_int_equal(config.plant.instruments[0].unit, rows[i].unit);
        assert_int_equal(plant_lines_address(rows[i].unit), rows[i].address);
        config_done(&config);
    }
    for (unsigned unit = 10; unit < 256; unit++)
        assert_int_equal(plant_lines_address((uint8_t)unit) != 0,
                         (unit >= 'a' && unit <= 'z') || (unit >= 'A' && unit <= 'Z'));
}

static void a_tag_of_a_line_may_be_a_text(void **state) {
    (void)state;
    good(
        "{name: i, bus: s, interval: 1s, protocol: {kind: lines}, tags: [{name: a, type: text, field: 2}, {name: b}]}");
    assert_int_equal(config.plant.instruments[0].tags[0].type, PLANT_TEXT);
    assert_int_equal(plant_tag_kind(&config.plant.instruments[0].tags[0]), READING_TEXT);
    assert_int_equal(config.plant.instruments[0].tags[1].type, PLANT_FLOAT64);
    config_done(&config);
}

static void what_does_not_fit_together_is_explained(void **state) {
    (void)state;
    wrong("{name: i, bus: m, interval: 1s, protocol: {kind: lines}, tags: [{name: a}]}",
          "needs a serial or serial-tcp");
    wrong("{name: i, bus: s, unit: 1, addresses: base-0, interval: 1s, tags: [{name: a, address: 1, type: int16}]}",
          "need a section protocol");
    wrong("{name: i, bus: s, interval: 1s, word_order: abcd, protocol: {kind: lines}, tags: [{name: a}]}",
          "is for instruments with registers");
    wrong("{name: i, bus: s, interval: 1s, protocol: {kind: lines}, tags: [{name: a, address: 1}]}",
          "address: is not a key");
    wrong("{name: i, bus: s, protocol: {kind: lines}, tags: [{name: a}]}", "interval: is missing");
    wrong("{name: i, bus: s, interval: 1s, protocol: {kind: registers}, tags: [{name: a}]}",
          "allowed are lines and sdi12");
    wrong("{name: i, bus: s, interval: 1s, protocol: {ask: x}, tags: [{name: a}]}", "kind: is missing");
    wrong("{name: i, bus: s, interval: 1s, protocol: {kind: lines, ask: 'a\\q'}, tags: [{name: a}]}", "after \\ only");
    wrong("{name: i, bus: s, interval: 1s, protocol: {kind: lines, end: ''}, tags: [{name: a}]}", "end: has no value");
    wrong("{name: i, bus: s, interval: 1s, protocol: {kind: sdi12, ask: XR}, tags: [{name: a}]}",
          "no SDI-12 measurement");
    wrong("{name: i, bus: s, unit: 10, interval: 1s, protocol: {kind: sdi12, ask: M}, tags: [{name: a}]}",
          "allowed are 0 to 9, a to z and A to Z");
    wrong("{name: i, bus: s, unit: ab, interval: 1s, protocol: {kind: sdi12, ask: M}, tags: [{name: a}]}",
          "allowed are 0 to 9, a to z and A to Z");
    wrong("{name: i, bus: s, unit: a, interval: 1s, protocol: {kind: lines}, tags: [{name: a}]}",
          "unit: a is not a number; allowed are 0 to 255");
    wrong("{name: i, bus: s, interval: 1s, protocol: {kind: lines, ask: '0A1!'}, tags: [{name: a}]}",
          "this only reads");
    wrong("{name: i, bus: s, interval: 1s, protocol: {kind: lines, ask: '{unit}XSET!'}, tags: [{name: a}]}",
          "this only reads");
    wrong("{name: i, bus: s, interval: 1s, protocol: {kind: lines, ask: 'READ\\rZERO\\r'}, tags: [{name: a}]}",
          "only one question");
    wrong("{name: i, bus: s, interval: 1s, protocol: {kind: lines, ask: '\\x01\\x06\\x00'}, tags: [{name: a}]}",
          "a question is ASCII text");
    wrong("{name: i, bus: s, interval: 1s, protocol: {kind: lines}, tags: [{name: a, type: text, scale: 2}]}",
          "scale: is for numbers");
    wrong("{name: i, bus: s, interval: 1s, protocol: {kind: lines}, tags: [{name: a, type: float32}]}",
          "allowed are number, text");
    wrong("{name: i, bus: s, interval: 1s, protocol: {kind: lines}, tags: [{name: a, field: 0}]}", "field: 0");
    wrong("{name: i, bus: s, interval: 1s, protocol: {kind: lines}, tags: [{name: a, min: 2, max: 1}]}", "above min");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_is_kept_as_it_can_be_written), cmocka_unit_test(all_keys_arrive_and_survive_json),
        cmocka_unit_test(letters_are_addresses_of_sensors),        cmocka_unit_test(a_tag_of_a_line_may_be_a_text),
        cmocka_unit_test(what_does_not_fit_together_is_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
