// links: gateway/config/*.c gateway/common/error.c gateway/common/command_settings.c gateway/common/file.c gateway/common/json.c gateway/common/plant.c gateway/common/link_settings.c drivers/plan*.c gateway/common/plant_lines.c gateway/common/pin.c gateway/common/pkcs11_uri.c gateway/common/plant_write.c gateway/common/cloud_profile.c
/* Profiles: those that come with Forebay, and how one is merged into an instrument. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/config/profile_check.h"

static char folder[64];
static struct config_report report;
static struct config config;

static int set_up(void **state) {
    (void)state;
    char profiles[80];
    strcpy(folder, "/tmp/test-profile-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(profiles, sizeof profiles, "%s/profiles", folder);
    return mkdir(profiles, 0700);
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void write_profile(const char *text) {
    char path[96];
    snprintf(path, sizeof path, "%s/profiles/model.yaml", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static enum fb_error parse(const char *instrument) {
    char text[2048];
    snprintf(text, sizeof text,
             "gateway: {name: g}\nbuses: [{name: b, kind: modbus-tcp, host: h}]\ninstruments:\n  - %s\n", instrument);
    report = (struct config_report){.file = "test.yaml"};
    return config_parse(text, strlen(text), folder, &config, &report);
}

static const char model[] = "about: {model: M, maker: m, manual: page 1}\n"
                            "addresses: 4xxxx\n"
                            "word_order: cdab\n"
                            "interval: 10s\n"
                            "tags:\n"
                            "  - {name: one, address: 40001, type: float32, unit: NTU, source: page 2}\n"
                            "  - {name: two, address: 40003, type: uint16, unproven: true, interval: 1min}\n"
                            "  - {name: three, address: 40004, type: uint16, source: page 3, optional: true}\n";

static const struct plant_instrument *good(const char *instrument) {
    const enum fb_error error = parse(instrument);
    if (error != FB_OK)
        print_error("%s\n", report.errors[0].text);
    assert_int_equal(error, FB_OK);
    return &config.plant.instruments[0];
}

static void an_instrument_gets_all_that_is_not_optional(void **state) {
    (void)state;
    write_profile(model);
    const struct plant_instrument *instrument = good("{name: i, bus: b, unit: 7, profile: model}");
    assert_int_equal(instrument->tag_count, 2);
    assert_string_equal(instrument->tags[0].name, "one");
    assert_string_equal(instrument->tags[0].unit, "NTU");
    assert_int_equal(instrument->tags[0].address, 0);
    assert_int_equal(instrument->tags[0].word_order, PLANT_CDAB);
    assert_int_equal(instrument->tags[0].interval_ms, 10000);
    assert_int_equal(instrument->tags[1].interval_ms, 60000);
    config_done(&config);
}

static void what_the_instrument_says_counts_more(void **state) {
    (void)state;
    write_profile(model);
    const struct plant_instrument *instrument =
        good("{name: i, bus: b, unit: 7, profile: model, word_order: abcd, interval: 2s}");
    assert_int_equal(instrument->tags[0].word_order, PLANT_ABCD);
    assert_int_equal(instrument->tags[0].interval_ms, 2000);
    assert_int_equal(instrument->tags[1].interval_ms, 60000);
    config_done(&config);
}

static void a_list_of_tags_chooses_completes_and_adds(void **state) {
    (void)state;
    write_profile(model);
    const struct plant_instrument *instrument =
        good("{name: i, bus: b, unit: 7, profile: model, tags: [{name: three, interval: 1s}, {name: one, max: 5},"
             " {name: own, address: 40099, type: int16}]}");
    assert_int_equal(instrument->tag_count, 3);
    assert_int_equal(instrument->tags[0].address, 3);
    assert_int_equal(instrument->tags[0].interval_ms, 1000);
    assert_true(instrument->tags[1].has_max);
    assert_int_equal(instrument->tags[1].type, PLANT_FLOAT32);
    assert_int_equal(instrument->tags[2].address, 98);
    config_done(&config);
}

static void wrong(const char *instrument, unsigned line, const char *words) {
    assert_int_equal(parse(instrument), FB_INVALID);
    assert_int_equal(report.errors[0].line, line);
    if (strstr(report.errors[0].text, words) == NULL)
        fail_msg("%s", report.errors[0].text);
}

static void errors_stand_where_the_profile_is_named(void **state) {
    (void)state;
    const char *const instrument = "{name: i, bus: b, unit: 7, profile: model}";
    wrong(instrument, 4, "there is no profile model");
    write_profile("about: {model: M, maker: m, manual: page 1}\naddresses: [\n");
    wrong(instrument, 4, "model.yaml:");
    write_profile("- 1\n");
    wrong(instrument, 4, "must be a section");
    write_profile("addresses: base-0\ntags: [{name: one, adress: 1}]\n");
    wrong(instrument, 4, "adress: is not a key");
    wrong("{name: i, bus: b, unit: 7, addresses: base-0, profile: ../model, tags: []}", 4, "profile");
}

static void check(const char *text, const char *words) {
    struct profile_folders folders;
    struct profile profile;
    struct profile_about about;
    struct plant plant = {0};
    write_profile(text);
    profile_folders(folder, &folders);
    enum fb_error error = profile_load(&folders, "model", &profile, &report);
    if (error == FB_OK)
        error = profile_check(&profile, &about, &plant, &report);
    assert_int_equal(error, FB_INVALID);
    if (strstr(report.errors[0].text, words) == NULL || report.errors[0].line == 0)
        fail_msg("%u: %s", report.errors[0].line, report.errors[0].text);
    plant_done(&plant);
    profile_done(&profile);
}

static void a_profile_must_say_where_its_facts_come_from(void **state) {
    (void)state;
    check("addresses: base-0\ntags: [{name: one, address: 1, type: int16, source: p}]\n", "about: is missing");
    check("about: {model: M, maker: m, manual: p}\naddresses: base-0\ntags: [{name: one, address: 1, type: int16}]\n",
          "give either source");
    check("about: {model: M, maker: m, manual: p}\naddresses: base-0\n"
          "tags: [{name: one, address: 1, type: int16, source: p, unproven: true}]\n",
          "give either source");
    check("about: {model: M, maker: m, manual: p}\naddresses: base-0\n"
          "tags: [{name: one, address: 1, type: int16, source: p, optional: no}]\n",
          "allowed is true");
    check("about: {model: M, maker: m, manual: p}\nunit: 3\naddresses: base-0\n"
          "tags: [{name: one, address: 1, type: int16, source: p}]\n",
          "is for instruments");
    check("about: {model: M, maker: m, manual: p}\naddresses: base-0\n", "tags");
}

static void all_that_come_with_forebay_are_right(void **state) {
    (void)state;
    struct profile_folders folders = {.count = 1, .paths = {"drivers/profiles"}};
    glob_t files;
    assert_int_equal(glob("drivers/profiles/*.yaml", 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        char name[PLANT_NAME_MAX];
        struct profile profile;
        struct profile_about about;
        struct plant plant;
        assert_int_equal(sscanf(files.gl_pathv[i], "drivers/profiles/%63[^.].yaml", name), 1);
        assert_int_equal(profile_load(&folders, name, &profile, &report), FB_OK);
        const enum fb_error error = profile_check(&profile, &about, &plant, &report);
        if (error != FB_OK)
            fail_msg("%s:%u: %s", files.gl_pathv[i], report.errors[0].line, report.errors[0].text);
        plant_done(&plant);
        profile_done(&profile);
    }
    globfree(&files);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_instrument_gets_all_that_is_not_optional, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_instrument_says_counts_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_list_of_tags_chooses_completes_and_adds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(errors_stand_where_the_profile_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_profile_must_say_where_its_facts_come_from, set_up, tear_down),
        cmocka_unit_test(all_that_come_with_forebay_are_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
