// links: gateway/common/error.c gateway/common/json.c gateway/common/link_settings.c gateway/common/plant.c gateway/common/plant_lines.c gateway/common/file.c gateway/common/pin.c gateway/common/plant_write.c gateway/common/cloud_profile.c
/* Any JSON as the messages that describe a plant and a link: refused, or taken so that it can be told on. */
#include <assert.h>
#include <stdint.h>

#include "gateway/common/link_settings.h"
#include "gateway/common/plant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void tell_on(const struct plant *plant) {
    struct plant next = {0};
    for (size_t i = 0; i < plant->bus_count; i++) {
        json_t *json = plant_bus_to_json(&plant->buses[i]);
        const enum fb_error error = plant_add_bus_json(&next, json, NULL);
        assert(error == FB_OK);
        json_decref(json);
    }
    for (size_t i = 0; i < plant->instrument_count; i++) {
        const struct plant_instrument *instrument = &plant->instruments[i];
        json_t *json = plant_instrument_to_json(plant, instrument, 0, instrument->tag_count);
        const enum fb_error error = plant_add_instrument_json(&next, json, NULL);
        assert(error == FB_OK);
        json_decref(json);
    }
    plant_done(&next);
}

/* The input is a list of messages, each tried as every kind. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *list = json_loadb((const char *)data, size, 0, NULL);
    struct plant plant = {0};
    struct link_settings settings;
    size_t taken = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *message = json_array_get(list, i);
        taken += plant_add_bus_json(&plant, message, NULL) == FB_OK;
        taken += plant_add_instrument_json(&plant, message, NULL) == FB_OK;
        taken += link_settings_from_json(message, &settings, NULL) == FB_OK;
    }
    if (taken > 0)
        tell_on(&plant);
    plant_done(&plant);
    json_decref(list);
    return 0;
}
