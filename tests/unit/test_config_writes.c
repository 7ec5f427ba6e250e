// links: gateway/config/*.c gateway/common/error.c gateway/common/command_settings.c gateway/common/file.c gateway/common/json.c gateway/common/plant.c gateway/common/plant_lines.c gateway/common/plant_write.c gateway/common/link_settings.c drivers/plan*.c gateway/common/pin.c gateway/common/pkcs11_uri.c gateway/common/cloud_profile.c
/* Registers that are opened for writing, texts, and RS-485 lines in the configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/config/config.h"

static struct config config;
static struct config_report report;

static enum fb_error parse(const char *folder, const char *bus, const char *instrument) {
    char text[4096];
    snprintf(text, sizeof text,
             "gateway: {name: g}\nbuses:\n  - {name: m, kind: modbus-tcp, host: h}\n  - {name: s, %s}\n"
             "instruments:\n  - {%s}\n",
             bus, instrument);
    report = (struct config_report){.file = "test.yaml"};
    return config_parse(text, strlen(text), folder, &config, &report);
}

#define TCP "kind: modbus-tcp, host: h"
#define RTU "kind: modbus-rtu, device: /dev/null, baud: 9600, parity: none"
#define HEAD "name: i, bus: m, addresses: base-0, interval: 1s, "
#define TAG ", tags: [{name: a, address: 1, type: int16}]"

static void good(const char *bus, const char *instrument) {
    if (parse("/", bus, instrument) != FB_OK)
        fail_msg("%s", report.errors[0].text);
}

static void wrong(const char *bus, const char *instrument, const char *words) {
    assert_int_equal(parse("/", bus, instrument), FB_INVALID);
    if (strstr(report.errors[0].text, words) == NULL)
        fail_msg("%s", report.errors[0].text);
}

#define WRITES(list) HEAD "unit: 1, writes: [" list "]" TAG

static void registers_are_opened_one_by_one(void **state) {
    (void)state;
    good(TCP, HEAD "unit: 1" TAG);
    assert_int_equal(config.plant.instruments[0].write_count, 0);
    config_done(&config);
    good(TCP, WRITES("{name: a, address: 7, type: float32, word_order: dcba, min: -1.5, max: 14}, {name: b, table: "
                     "coil, address: 3, type: bit}"));
    const struct plant_write *writes = config.plant.instruments[0].writes;
    assert_int_equal(config.plant.instruments[0].write_count, 2);
    assert_string_equal(writes[0].name, "a");
    assert_int_equal(writes[0].table, PLANT_HOLDING);
    assert_int_equal(writes[0].address, 7);
    assert_int_equal(writes[0].word_order, PLANT_DCBA);
    assert_true(writes[0].min == -1.5 && writes[0].max == 14);
    assert_int_equal(writes[1].table, PLANT_COIL);
    assert_true(writes[1].min == 0 && writes[1].max == 1);
    config_done(&config);
}

static void nothing_is_opened_by_half(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {WRITES(""), "writes: has 0 entries"},
        {WRITES("{name: a, address: 7, type: int16, max: 5}"), "writes[0].min: is missing; give the range"},
        {WRITES("{name: a, address: 7, type: int16, min: 5}"), "writes[0].max: is missing; give the range"},
        {WRITES("{name: a, address: 7, type: int16, min: 5, max: 4}"), "max: must not be below min"},
        {WRITES("{name: a, address: 7, type: uint16, min: -1, max: 4}"), "beyond what uint16 holds"},
        {WRITES("{name: a, address: 7, type: int64, min: 1, max: 4}"), "word_order: is missing"},
        {WRITES("{name: a, address: 7, type: int64, word_order: abcd, min: 1, max: 4}"), "can be written"},
        {WRITES("{name: a, address: 7, type: float32, min: 1, max: 4}"), "word_order: is missing"},
        {WRITES("{name: a, address: 7, table: input, type: int16, min: 1, max: 4}"), "only coil and holding"},
        {WRITES("{name: a, address: 7, table: coil, type: bit, max: 1}"), "max: is for registers"},
        {WRITES("{name: a, address: 7, table: coil, type: int16}"), "a coil is a bit"},
        {WRITES("{name: a, address: 7, type: int16, min: 1, max: 4, scale: 2}"), "scale: is not a key"},
        {WRITES("{name: a, address: 7, type: int16, min: 1, max: 4}, {name: a, address: 8, type: int16, min: 1, max: "
                "4}"),
         "was given before"},
        {HEAD "unit: 0, writes: [{name: a, address: 7, type: int16, min: 1, max: 4}]" TAG, "a unit of their own"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        wrong(TCP, rows[i][0], rows[i][1]);
}

static void instruments_with_lines_have_none(void **state) {
    (void)state;
    wrong("kind: serial-tcp, host: h, port: 1",
          "name: i, bus: s, interval: 1s, protocol: {kind: lines}, writes: [{name: a}], tags: [{name: a}]",
          "writes: is for instruments with registers");
}

static void no_profile_opens_a_register(void **state) {
    (void)state;
    char folder[] = "/tmp/forebay-writes-XXXXXX", path[128];
    static const char profile[] =
        "about: {model: m, maker: m, manual: m}\naddresses: base-0\nwrites: [{name: a, address: "
        "7, type: int16, min: 1, max: 4}]\ntags: [{name: a, address: 1, type: int16, source: "
        "here}]\n";
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/profiles", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/profiles/sly.yaml", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(profile, file);
    fclose(file);
    assert_int_equal(parse(folder, TCP, "name: i, bus: m, unit: 1, interval: 1s, profile: sly"), FB_INVALID);
    assert_non_null(strstr(report.errors[0].text, "only the configuration may"));
    unlink(path);
    snprintf(path, sizeof path, "%s/profiles", folder);
    rmdir(path);
    rmdir(folder);
}

static void texts_have_a_length_and_no_arithmetic(void **state) {
    (void)state;
    good(TCP, HEAD "unit: 1, tags: [{name: a, address: 1, type: text, length: 8, word_order: badc}]");
    assert_int_equal(config.plant.instruments[0].tags[0].length, 8);
    config_done(&config);
#define TEXT(more) HEAD "unit: 1, word_order: abcd, tags: [{name: a, address: 1, type: text, " more "}]"
    wrong(TCP, HEAD "unit: 1, tags: [{name: a, address: 1, type: text}]", "length: is missing");
    wrong(TCP, HEAD "unit: 1, tags: [{name: a, address: 1, type: text, length: 8}]", "word_order: is missing");
    wrong(TCP, HEAD "unit: 1, tags: [{name: a, address: 1, type: int16, length: 8}]", "length: is for type text");
    wrong(TCP, TEXT("length: 65"), "allowed are 1 to 64");
    wrong(TCP, TEXT("length: 8, scale: 2"), "scale: is for numbers, and this tag is a text");
    wrong(TCP, TEXT("length: 8, no_value: [1]"), "no_value: is for numbers");
    wrong(TCP, TEXT("length: 8, bits: 1..2"), "bits: is for numbers");
    wrong(TCP, TEXT("length: 8, table: coil"), "text does not fit into table coil");
    wrong(TCP,
          HEAD "unit: 1, word_order: abcd, registers_most: 4, tags: [{name: a, address: 1, type: text, length: 8}]",
          "takes 8 registers, more than");
}

static void rs485_is_told_whole_or_not_at_all(void **state) {
    (void)state;
    good(RTU ", rs485: true, rs485_rts: after-send, rs485_delay_before: 2ms, rs485_delay_after: 3ms",
         HEAD "unit: 1" TAG);
    const struct plant_bus *bus = &config.plant.buses[1];
    assert_int_equal(bus->rs485, 1);
    assert_int_equal(bus->rs485_rts, 1);
    assert_int_equal(bus->rs485_delay_before_ms, 2);
    assert_int_equal(bus->rs485_delay_after_ms, 3);
    config_done(&config);
    good(RTU ", rs485: false", HEAD "unit: 1" TAG);
    assert_int_equal(config.plant.buses[1].rs485, 0);
    config_done(&config);
    wrong(RTU ", rs485_rts: on-send", HEAD "unit: 1" TAG, "means nothing without rs485: true");
    wrong(RTU ", rs485: yes", HEAD "unit: 1" TAG, "allowed are false, true");
    wrong(RTU ", rs485: true, rs485_delay_after: 1s", HEAD "unit: 1" TAG, "allowed are 0ms to 100ms");
    wrong("kind: serial, device: /dev/null, baud: 9600, flow: rtscts, rs485: true", HEAD "unit: 1" TAG,
          "both need the RTS line");
    wrong("kind: modbus-rtu-tcp, host: h, port: 1, baud: 9600, rs485: true", HEAD "unit: 1" TAG,
          "rs485: is for kind modbus-rtu");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers_are_opened_one_by_one),       cmocka_unit_test(nothing_is_opened_by_half),
        cmocka_unit_test(instruments_with_lines_have_none),      cmocka_unit_test(no_profile_opens_a_register),
        cmocka_unit_test(texts_have_a_length_and_no_arithmetic), cmocka_unit_test(rs485_is_told_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
