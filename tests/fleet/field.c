#include "tests/fleet/field.h"

#include <assert.h>
#include <math.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/clock.h"
#include "gateway/common/quality.h"

#define WAVE_S 600

void field_open(struct field *field, const char *gateway, uint32_t tags, uint8_t *ret_bytes, size_t *ret_length) {
    *field = (struct field){.tags = tags};
    snprintf(field->gateway, sizeof field->gateway, "%s", gateway);
    assert(RAND_bytes(field->store_id, sizeof field->store_id) == 1);
    assert(RAND_bytes((uint8_t *)&field->noise, sizeof field->noise) == 1);
    struct catalogue catalogue = {.revision = 1, .made_ms = clock_utc_ms(), .tag_count = tags};
    snprintf(catalogue.gateway, sizeof catalogue.gateway, "%s", gateway);
    memcpy(catalogue.store_id, field->store_id, sizeof catalogue.store_id);
    catalogue.tags = calloc(tags, sizeof *catalogue.tags);
    assert(catalogue.tags != NULL);
    for (uint32_t i = 0; i < tags; i++) {
        catalogue.tags[i] = (struct catalogue_tag){.number = i + 1, .kind = READING_REAL32, .unit = "m"};
        snprintf(catalogue.tags[i].instrument, sizeof catalogue.tags[i].instrument, "station");
        snprintf(catalogue.tags[i].name, sizeof catalogue.tags[i].name, "level-%u", i + 1);
    }
    struct fb_cause cause;
    const enum fb_error error = catalogue_encode(&catalogue, ret_bytes, ret_length, &cause);
    assert(error == FB_OK);
    batch_hash(ret_bytes, *ret_length, field->catalogue);
    catalogue_done(&catalogue);
}

static float value(struct field *field, uint32_t tag, int64_t time_ms) {
    field->noise = field->noise * 1664525 + 1013904223;
    const double noise = (double)(field->noise >> 16) / 65536 - 0.5;
    return (float)(20 + 9 * sin((double)time_ms / 1000 / WAVE_S * 2 * M_PI + tag) + noise / 10);
}

size_t field_seal(struct field *field, int64_t now_ms, uint32_t rounds, uint8_t *ret_bytes) {
    static struct batch_info info;
    static struct reading readings[FIELD_TAGS_MAX * FIELD_ROUNDS_MAX];
    info.number = ++field->number;
    info.sealed_ms = now_ms;
    info.clock = CLOCK_SYNCHRONISED;
    snprintf(info.gateway, sizeof info.gateway, "%s", field->gateway);
    memcpy(info.store_id, field->store_id, sizeof info.store_id);
    memcpy(info.previous, field->previous, sizeof info.previous);
    memcpy(info.catalogue, field->catalogue, sizeof info.catalogue);
    size_t count = 0;
    for (uint32_t round = 0; round < rounds; round++)
        for (uint32_t tag = 1; tag <= field->tags; tag++) {
            const int64_t time_ms = now_ms - 1000 * (int64_t)(rounds - 1 - round);
            readings[count++] = reading_real32(tag, time_ms, QUALITY_GOOD, value(field, tag, time_ms));
        }
    size_t length;
    struct fb_cause cause;
    const enum fb_error error = batch_encode(&info, readings, count, ret_bytes, &length, &cause);
    assert(error == FB_OK);
    batch_hash(ret_bytes, length, field->previous);
    return length;
}
