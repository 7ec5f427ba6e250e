#include "gateway/core/values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/quality.h"

/* A value may be this late before it counts as stale, whatever its interval: one commit and one slow reply. */
#define STALE_GRACE_MS 1000
#define STALE_INTERVALS 3
#define LOST_INTERVALS 10

static const struct value *find(const struct values *values, uint32_t number) {
    if (number > values->number_most || values->by_number == NULL || values->by_number[number] == 0)
        return NULL;
    return &values->all[values->by_number[number] - 1];
}

static void fill(struct values *fresh, const struct plant *plant, const struct values *old) {
    for (size_t i = 0; i < plant->instrument_count; i++) {
        const struct plant_instrument *instrument = &plant->instruments[i];
        for (size_t t = 0; t < instrument->tag_count; t++) {
            const struct plant_tag *tag = &instrument->tags[t];
            const struct value *known = find(old, tag->number);
            struct value *value = &fresh->all[fresh->count++];
            if (known != NULL)
                *value = *known;
            value->instrument = instrument;
            value->tag = tag;
            value->version = fresh->version;
            fresh->by_number[tag->number] = (uint16_t)fresh->count;
        }
    }
}

enum fb_error values_follow(struct values *values, const struct plant *plant) {
    size_t count = 0;
    struct values fresh = {.version = values->version + 1};
    for (size_t i = 0; i < plant->instrument_count; i++) {
        count += plant->instruments[i].tag_count;
        for (size_t t = 0; t < plant->instruments[i].tag_count; t++)
            if (plant->instruments[i].tags[t].number > fresh.number_most)
                fresh.number_most = plant->instruments[i].tags[t].number;
    }
    fresh.all = calloc(count + 1, sizeof fresh.all[0]);
    fresh.by_number = calloc((size_t)fresh.number_most + 1, sizeof fresh.by_number[0]);
    if (fresh.all == NULL || fresh.by_number == NULL) {
        values_done(&fresh);
        return FB_MEMORY;
    }
    fill(&fresh, plant, values);
    values_done(values);
    *values = fresh;
    return FB_OK;
}

void values_done(struct values *values) {
    free(values->all);
    free(values->by_number);
    *values = (struct values){.version = values->version};
}

bool values_has(const struct values *values, uint32_t number) {
    return find(values, number) != NULL;
}

void values_take(struct values *values, const struct reading *reading, int64_t monotonic_ms) {
    if (reading->tag > values->number_most || values->by_number == NULL || values->by_number[reading->tag] == 0)
        return;
    struct value *value = &values->all[values->by_number[reading->tag] - 1];
    memcpy(value->last, reading, reading_units(reading) * sizeof *reading);
    value->arrived_ms = monotonic_ms;
    value->overdue = QUALITY_GOOD;
    value->version = ++values->version;
}

void values_touch(struct values *values, uint32_t tag) {
    if (tag <= values->number_most && values->by_number != NULL && values->by_number[tag] != 0)
        values->all[values->by_number[tag] - 1].version = ++values->version;
}

static uint8_t judge_age(const struct value *value, int64_t monotonic_ms) {
    const int64_t late_ms = monotonic_ms - value->arrived_ms - STALE_GRACE_MS;
    if (late_ms > LOST_INTERVALS * (int64_t)value->tag->interval_ms)
        return QUALITY_NOT_RUNNING;
    return late_ms > STALE_INTERVALS * (int64_t)value->tag->interval_ms ? QUALITY_STALE : QUALITY_GOOD;
}

void values_age(struct values *values, int64_t monotonic_ms) {
    for (size_t i = 0; i < values->count; i++) {
        struct value *value = &values->all[i];
        const uint8_t overdue = value->last[0].tag != 0 ? judge_age(value, monotonic_ms) : QUALITY_GOOD;
        if (overdue == value->overdue)
            continue;
        value->overdue = overdue;
        value->version = ++values->version;
    }
}

/* The shortest decimal that means this float: 0.42, not 0.419999986886978. */
static double widen(float value) {
    char digits[32];
    snprintf(digits, sizeof digits, "%.7g", (double)value);
    if (strtof(digits, NULL) != value)
        snprintf(digits, sizeof digits, "%.9g", (double)value);
    return strtod(digits, NULL);
}

static json_t *reading_to_json(const struct reading *reading) {
    if (!reading_has_value(reading))
        return json_null();
    switch ((enum reading_kind)reading->kind) {
    case READING_BOOLEAN:
        return json_boolean(reading->value.boolean);
    case READING_INTEGER:
        return json_integer(reading->value.integer);
    case READING_REAL32:
        return json_real(widen(reading->value.real32));
    case READING_TEXT:
        return json_stringn(reading_text(reading), (size_t)reading->value.text_length);
    case READING_REAL64:
        break;
    }
    return json_real(reading->value.real64);
}

json_t *value_to_json(const struct value *value) {
    const bool known = value->last[0].tag != 0;
    uint8_t quality = known ? value->last[0].quality : QUALITY_NOT_RUNNING;
    if (known && value->overdue != QUALITY_GOOD && quality_class(quality) != QUALITY_CLASS_BAD)
        quality = value->overdue;
    const bool has_value = known && quality_class(quality) != QUALITY_CLASS_BAD;
    return json_pack("{s:I, s:s, s:s, s:s, s:o, s:s, s:s, s:o, s:I}", "tag", (json_int_t)value->tag->number,
                     "instrument", value->instrument->name, "name", value->tag->name, "unit", value->tag->unit, "value",
                     has_value ? reading_to_json(value->last) : json_null(), "quality", quality_class_word(quality),
                     "reason", quality_reason(quality), "time_ms",
                     known ? json_integer(value->last[0].time_ms) : json_null(), "interval_ms",
                     (json_int_t)value->tag->interval_ms);
}
