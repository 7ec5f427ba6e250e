// links: gateway/config/address.c gateway/config/check.c gateway/config/check_bus.c gateway/config/check_commands.c gateway/config/check_instrument.c gateway/config/check_lines.c gateway/config/profile.c gateway/config/check_list.c gateway/config/config.c gateway/config/report.c gateway/config/tree.c gateway/config/value.c gateway/common/error.c gateway/common/command_settings.c gateway/common/file.c gateway/common/json.c gateway/common/link_settings.c gateway/common/plant.c drivers/plan.c gateway/config/check_quality.c gateway/common/plant_lines.c gateway/common/pin.c gateway/config/check_trust.c gateway/common/pkcs11_uri.c gateway/config/check_writes.c gateway/common/plant_write.c gateway/config/check_endpoints.c gateway/common/cloud_profile.c gateway/config/check_cloud.c
/* Any bytes as a configuration: either errors with a text, or a plant and a link that the other programs take. */
#include <assert.h>
#include <stdint.h>

#include "gateway/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_bus(struct plant *plant, const struct plant_bus *bus) {
    json_t *json = plant_bus_to_json(bus);
    const enum fb_error error = plant_add_bus_json(plant, json, NULL);
    assert(error == FB_OK);
    json_decref(json);
}

static void check_instrument(struct plant *plant, const struct plant *sent, const struct plant_instrument *instrument) {
    json_t *json = plant_instrument_to_json(sent, instrument, 0, instrument->tag_count);
    const enum fb_error error = plant_add_instrument_json(plant, json, NULL);
    assert(error == FB_OK);
    json_decref(json);
}

static void check_link(const struct link_settings *settings) {
    struct link_settings arrived;
    json_t *json = link_settings_to_json(settings);
    const enum fb_error error = link_settings_from_json(json, &arrived, NULL);
    assert(error == FB_OK);
    json_decref(json);
}

static void check_config(const struct config *config) {
    struct plant plant = {0};
    for (size_t i = 0; i < config->plant.bus_count; i++)
        check_bus(&plant, &config->plant.buses[i]);
    for (size_t i = 0; i < config->plant.instrument_count; i++)
        check_instrument(&plant, &config->plant, &config->plant.instruments[i]);
    if (config->has_cloud)
        check_link(&config->link);
    plant_done(&plant);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct config config;
    struct config_report report = {.file = "fuzz.yaml"};
    if (config_parse((const char *)data, size, "/folder", &config, &report) == FB_OK) {
        assert(report.count == 0);
        check_config(&config);
        config_done(&config);
        return 0;
    }
    assert(report.count > 0 && report.count <= CONFIG_ERRORS_MAX);
    for (size_t i = 0; i < report.count; i++) {
        json_t *text = json_string(report.errors[i].text); /* NULL when it is not UTF-8 */
        assert(text != NULL && json_string_length(text) > 0);
        json_decref(text);
    }
    return 0;
}
