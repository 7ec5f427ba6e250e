// links: gateway/config/*.c gateway/common/error.c gateway/common/command_settings.c gateway/common/file.c gateway/common/json.c gateway/common/plant.c gateway/common/link_settings.c drivers/plan*.c gateway/common/plant_lines.c gateway/common/pin.c gateway/common/pkcs11_uri.c gateway/common/plant_write.c gateway/common/cloud_profile.c
/* Any bytes as a profile: either errors with a text, or an instrument whose requests can be planned. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "drivers/plan.h"
#include "gateway/config/profile_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_plant(const struct plant *plant) {
    struct plan plan;
    assert(plant->instrument_count == 1);
    const enum fb_error error = plan_bus(plant, 0, &plan);
    assert(error == FB_OK && plan.request_count <= plant->instruments[0].tag_count + 2);
    plan_done(&plan);
}

static void check_errors(const struct config_report *report) {
    assert(report->count > 0 && report->count <= CONFIG_ERRORS_MAX);
    for (size_t i = 0; i < report->count; i++) {
        json_t *text = json_string(report->errors[i].text); /* NULL when it is not UTF-8 */
        assert(text != NULL && json_string_length(text) > 0);
        json_decref(text);
    }
}

/* Into an instrument that says something itself and names tags that the profile may have or not. */
static void merge(const struct profile *profile) {
    static const char own[] = "{name: i, interval: 5s, tags: [{name: a}, {name: b, unit: mg/l, address: 7}]}";
    struct config_report report = {.file = "own.yaml"};
    struct tree_node *instrument;
    const enum fb_error error = tree_read(own, strlen(own), &instrument, &report);
    assert(error == FB_OK);
    tree_free(profile_merge(profile, instrument, instrument));
    tree_free(profile_merge(profile, instrument, NULL));
    tree_free(instrument);
}

static void check_profile(const struct profile *profile) {
    struct profile_about about;
    struct plant plant;
    struct config_report report = {.file = "fuzz.yaml"};
    if (profile_check(profile, &about, &plant, &report) == FB_OK)
        check_plant(&plant);
    else
        check_errors(&report);
    plant_done(&plant);
    merge(profile);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct config_report report = {.file = "fuzz.yaml"};
    struct profile profile = {.name = "fuzz"};
    if (size > PROFILE_BYTES_MAX || tree_read((const char *)data, size, &profile.root, &report) != FB_OK)
        return 0;
    if (report.count == 0 && profile.root->kind == TREE_MAP)
        check_profile(&profile);
    profile_done(&profile);
    return 0;
}
