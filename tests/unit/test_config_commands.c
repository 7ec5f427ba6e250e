// links: gateway/config/*.c gateway/common/error.c gateway/common/command_settings.c gateway/common/file.c gateway/common/json.c gateway/common/plant.c gateway/common/plant_lines.c gateway/common/link_settings.c drivers/plan*.c gateway/common/pin.c gateway/common/pkcs11_uri.c gateway/common/plant_write.c gateway/common/cloud_profile.c
/* test_config_commands.c - the section cloud.commands: what it gives, and what is wrong with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/config/config.h"

#define DOCUMENT                                                                                                       \
    "gateway: {name: g}\n"                                                                                             \
    "buses: []\n"                                                                                                      \
    "instruments: []\n"                                                                                                \
    "cloud: {host: h, address: /queues/q, ca: a, certificate: b, key: c,\n"                                            \
    "commands: %s}\n"
#define KEYS "keys: [{name: k, file: k.pem}]"

static enum fb_error parse(const char *commands, struct config *ret_config, struct config_report *report) {
    char text[2048];
    snprintf(text, sizeof text, DOCUMENT, commands);
    *report = (struct config_report){.file = "test.yaml"};
    return config_parse(text, strlen(text), "/etc/forebay", ret_config, report);
}

static void assert_wrong(const char *commands, const char *first) {
    struct config config;
    struct config_report report;
    assert_int_equal(parse(commands, &config, &report), FB_INVALID);
    char text[FB_CAUSE_MAX + 32];
    snprintf(text, sizeof text, "%u:%u: %s", report.errors[0].line, report.errors[0].column, report.errors[0].text);
    if (strncmp(text, first, strlen(first)) != 0)
        fail_msg("%s", text);
}

static void keys_and_allowed_commands_are_read(void **state) {
    (void)state;
    struct config config;
    struct config_report report;
    assert_int_equal(parse("{address: /queues/c, replies: /queues/r, allow: [status, log-level],\n"
                           " keys: [{name: new, file: new.pem}, {name: old, file: /keys/old.pem}]}",
                           &config, &report),
                     FB_OK);
    assert_true(config.has_commands);
    assert_string_equal(config.commands.address, "/queues/c");
    assert_string_equal(config.commands.replies, "/queues/r");
    assert_int_equal(config.commands.key_count, 2);
    assert_string_equal(config.commands.keys[0].file, "/etc/forebay/new.pem");
    assert_string_equal(config.commands.keys[1].name, "old");
    assert_string_equal(config.commands.keys[1].file, "/keys/old.pem");
    assert_int_equal(config.commands.allowed, 1u << COMMAND_STATUS | 1u << COMMAND_LOG_LEVEL);
    assert_true(command_settings_equal(&config.commands, &config.commands));
    struct command_settings other = config.commands;
    other.keys[1].file[0] = '?';
    assert_false(command_settings_equal(&config.commands, &other));
    config_done(&config);
}

static void without_the_section_there_are_none(void **state) {
    (void)state;
    static const char text[] = "gateway: {name: g}\nbuses: []\ninstruments: []\n";
    struct config config;
    struct config_report report = {.file = "test.yaml"};
    assert_int_equal(config_parse(text, strlen(text), "/", &config, &report), FB_OK);
    assert_false(config.has_commands);
    config_done(&config);
}

static void what_is_wrong_is_named_with_its_place(void **state) {
    (void)state;
    static const struct {
        const char *commands, *first;
    } rows[] = {
        {"{replies: r, " KEYS ", allow: []}", "5:1: cloud.commands.address: is missing; give where commands come from"},
        {"{address: a, " KEYS ", allow: []}", "5:1: cloud.commands.replies: is missing"},
        {"{address: a, replies: r, allow: []}", "5:1: cloud.commands.keys: is missing"},
        {"{address: a, replies: r, " KEYS "}", "5:1: cloud.commands.allow: is missing"},
        {"{address: a, replies: r, keys: [], allow: []}",
         "5:42: cloud.commands.keys: has 0 entries; allowed are 1 to 8"},
        {"{address: a, replies: r, keys: [{name: k}], allow: []}",
         "5:43: cloud.commands.keys[0].file: is missing; give the PEM file of the public key"},
        {"{address: a, replies: r, keys: [{name: k, file: a}, {name: k, file: b}], allow: []}",
         "5:70: cloud.commands.keys[1].name: k was given before"},
        {"{address: a, replies: r, " KEYS ", allow: [status, restart]}",
         "5:84: cloud.commands.allow[1]: restart is unknown; "},
        {"{address: a, replies: r, " KEYS ", allow: [statsu]}",
         "5:76: cloud.commands.allow[0]: statsu is unknown; did you mean status?"},
        {"{address: a, replies: r, " KEYS ", allow: [{a: b}]}", "5:76: cloud.commands.allow[0]: is no word"},
        {"[]", "5:11: cloud.commands: is a list; allowed is a section"},
        {"{address: a, replies: r, " KEYS ", allow: [], shell: yes}", "5:79: cloud.commands.shell: is not a key"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_wrong(rows[i].commands, rows[i].first);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_allowed_commands_are_read),
        cmocka_unit_test(without_the_section_there_are_none),
        cmocka_unit_test(what_is_wrong_is_named_with_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
