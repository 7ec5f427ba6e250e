#include "batch_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/batch.h"
#include "store/catalogue.h"

/* More readings than this are not listed. */
#define LISTED_MOST 1000

static json_t *hex(const uint8_t *bytes, size_t length) {
    char text[65];
    for (size_t i = 0; i < length; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    return json_string(text);
}

static json_t *hash_of(const uint8_t *bytes, size_t length) {
    uint8_t hash[BATCH_HASH_BYTES];
    batch_hash(bytes, length, hash);
    return hex(hash, sizeof hash);
}

static json_t *value_json(const struct reading *reading) {
    char text[17];
    if (!reading_has_value(reading))
        return json_null();
    if (reading->kind == READING_TEXT)
        return json_stringn(reading_text(reading), (size_t)reading->value.text_length);
    snprintf(text, sizeof text, "%016" PRIx64, reading->value.bits);
    return json_string(text);
}

static json_t *reading_json(const struct reading *reading) {
    return json_pack("[I,i,I,i,i,o]", (json_int_t)reading->tag, reading->kind, (json_int_t)reading->time_ms,
                     reading->quality, reading->detail, value_json(reading));
}

static json_t *list_readings(const struct reading *readings, size_t units) {
    json_t *rows = json_array();
    for (size_t i = 0; i < units; i += reading_units(&readings[i]))
        json_array_append_new(rows, reading_json(&readings[i]));
    return rows;
}

/* [how many, SHA-256 of their rows, each as the shortest JSON with a line feed behind it] */
static json_t *sum_up_readings(const struct reading *readings, size_t units) {
    char *lines = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&lines, &length);
    for (size_t i = 0; i < units; i += reading_units(&readings[i])) {
        json_t *row = reading_json(&readings[i]);
        json_dumpf(row, file, JSON_COMPACT);
        fputc('\n', file);
        json_decref(row);
    }
    fclose(file);
    json_t *sum = json_pack("[I,o]", (json_int_t)readings_count(readings, units), hash_of((uint8_t *)lines, length));
    free(lines);
    return sum;
}

static json_t *losses_json(const struct batch_info *info) {
    json_t *rows = json_array();
    for (size_t i = 0; i < info->loss_count; i++) {
        const struct batch_loss *loss = &info->losses[i];
        json_array_append_new(rows, json_pack("[I,I,I,I,I,I]", (json_int_t)loss->reason, (json_int_t)loss->readings,
                                              (json_int_t)loss->from_ms, (json_int_t)loss->to_ms,
                                              (json_int_t)loss->first_batch, (json_int_t)loss->last_batch));
    }
    return rows;
}

static json_t *corrections_json(const struct batch_info *info) {
    json_t *rows = json_array();
    for (size_t i = 0; i < info->correction_count; i++) {
        const struct batch_correction *correction = &info->corrections[i];
        json_t *row =
            json_pack("[I,I,I,I,I]", (json_int_t)correction->first_batch, (json_int_t)correction->last_batch,
                      (json_int_t)correction->from_ms, (json_int_t)correction->to_ms, (json_int_t)correction->right_ms);
        if (memcmp(correction->store_id, info->store_id, sizeof info->store_id) != 0)
            json_array_append_new(row, hex(correction->store_id, sizeof correction->store_id));
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *of_batch(const uint8_t *bytes, size_t length, struct fb_cause *cause) {
    struct batch_info info;
    struct reading *readings = NULL;
    size_t units;
    if (batch_decode(bytes, length, &info, &readings, &units, cause) != FB_OK)
        return NULL;
    json_t *rows = readings_count(readings, units) > LISTED_MOST ? sum_up_readings(readings, units)
                                                                 : list_readings(readings, units);
    free(readings);
    json_t *json = json_pack(
        "{s:s,s:o,s:s,s:o,s:I,s:o,s:o,s:I,s:i,s:o,s:o}", "message", "batch", "hash", hash_of(bytes, length), "gateway",
        info.gateway, "store", hex(info.store_id, sizeof info.store_id), "number", (json_int_t)info.number, "previous",
        hex(info.previous, sizeof info.previous), "catalogue", hex(info.catalogue, sizeof info.catalogue), "sealed",
        (json_int_t)info.sealed_ms, "clock", (int)info.clock, "losses", losses_json(&info), "readings", rows);
    if (info.correction_count > 0)
        json_object_set_new(json, "corrections", corrections_json(&info));
    return json;
}

static json_t *of_catalogue(const uint8_t *bytes, size_t length, struct fb_cause *cause) {
    struct catalogue catalogue;
    if (catalogue_decode(bytes, length, &catalogue, cause) != FB_OK)
        return NULL;
    json_t *tags = json_array();
    for (size_t i = 0; i < catalogue.tag_count; i++) {
        const struct catalogue_tag *tag = &catalogue.tags[i];
        json_array_append_new(tags, json_pack("[I,s,s,s,i]", (json_int_t)tag->number, tag->instrument, tag->name,
                                              tag->unit, (int)tag->kind));
    }
    json_t *json =
        json_pack("{s:s,s:o,s:s,s:o,s:I,s:I,s:o}", "message", "catalogue", "hash", hash_of(bytes, length), "gateway",
                  catalogue.gateway, "store", hex(catalogue.store_id, sizeof catalogue.store_id), "revision",
                  (json_int_t)catalogue.revision, "made", (json_int_t)catalogue.made_ms, "tags", tags);
    catalogue_done(&catalogue);
    return json;
}

json_t *batch_json(const uint8_t *bytes, size_t length, struct fb_cause *cause) {
    struct fb_cause no_catalogue;
    json_t *json = of_batch(bytes, length, cause);
    return json != NULL ? json : of_catalogue(bytes, length, &no_catalogue);
}
