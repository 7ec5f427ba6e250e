#include "gateway/cloud/senml.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/hex.h"
#include "gateway/common/number_text.h"
#include "gateway/common/quality.h"

/* The longest first record: two texts of 63 bytes, each byte escaped, and 200 of labels and numbers. */
#define HEAD_BYTES_MAX 512
/* The longest record: name, text and unit, each byte escaped, and 300 of labels, words and numbers. */
#define RECORD_BYTES_MAX 1024

_Static_assert(HEAD_BYTES_MAX + RECORD_BYTES_MAX + 4 <= SENML_PACK_BYTES_MIN, "one record always fits");

static char *put(char *at, const char *text) {
    return stpcpy(at, text);
}

static char *put_number(char *at, const char *label, uint64_t value) {
    return number_text_unsigned(put(at, label), value);
}

/* The decoders let only UTF-8 without control characters through, so no other byte needs an escape (RFC 8259). */
static char *put_text(char *at, const char *text, size_t length) {
    *at++ = '"';
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"' || text[i] == '\\')
            *at++ = '\\';
        *at++ = text[i];
    }
    return put(at, "\"");
}

/* Names of the plant are a-z, 0-9 and "-". Should a catalogue hold others, RFC 8428, 4.5.1 allows few more. */
static char *put_name(char *at, const char *name) {
    for (; *name != '\0'; name++) {
        const bool fits = strchr("-:./_", *name) != NULL || (*name >= '0' && *name <= '9') ||
                          (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z');
        *at++ = fits ? *name : '_';
    }
    *at = '\0';
    return at;
}

/* Seconds with as many of three places as are needed. */
static char *put_seconds(char *at, int64_t time_ms) {
    if (time_ms < 0)
        *at++ = '-';
    const uint64_t size_ms = (uint64_t)llabs(time_ms), rest = size_ms % 1000;
    at = number_text_unsigned(at, size_ms / 1000);
    if (rest == 0)
        return at;
    char places[5];
    snprintf(places, sizeof places, ".%03u", (unsigned)rest);
    for (size_t end = strlen(places) - 1; places[end] == '0'; end--)
        places[end] = '\0';
    return put(at, places);
}

static int64_t base_ms(const struct senml *senml) {
    return senml->info->sealed_ms / 1000 * 1000;
}

static char *put_time(const struct senml *senml, char *at, int64_t time_ms) {
    return put_seconds(put(at, ",\"t\":"), time_ms - base_ms(senml));
}

/* Words of ours that RFC 8428 and 8798 register under another name. All others go as the plant wrote them. */
static const char *unit_of(const char *unit) {
    static const struct {
        const char *ours, *registered;
    } units[] = {
        {"°C", "Cel"}, {"degC", "Cel"}, {"Ω", "Ohm"},     {"ohm", "Ohm"},     {"%", "/100"},      {"% RH", "%RH"},
        {"m²", "m2"},  {"m³", "m3"},    {"m³/s", "m3/s"}, {"kg/m³", "kg/m3"}, {"µg/m³", "ug/m3"},
    };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(units[i].ours, unit) == 0)
            return units[i].registered;
    return unit;
}

static const struct catalogue_tag *find_tag(const struct catalogue *catalogue, uint32_t number) {
    size_t first = 0, last = catalogue == NULL ? 0 : catalogue->tag_count;
    while (first < last) {
        const size_t middle = first + (last - first) / 2;
        const struct catalogue_tag *tag = &catalogue->tags[middle];
        if (tag->number == number)
            return tag;
        if (tag->number < number)
            first = middle + 1;
        else
            last = middle;
    }
    return NULL;
}

static char *put_tag(const struct senml *senml, char *at, uint32_t number) {
    const struct catalogue_tag *tag = find_tag(senml->catalogue, number);
    at = put(at, "{\"n\":\"");
    if (tag == NULL)
        return put(put_number(at, "tag:", number), "\"");
    at = put(put_name(put(put_name(at, tag->instrument), "/"), tag->name), "\"");
    const char *unit = unit_of(tag->unit);
    return unit[0] == '\0' ? at : put_text(put(at, ",\"u\":"), unit, strlen(unit));
}

static char *put_value(char *at, const struct reading *reading) {
    /* Exactly one value must stand in a record (RFC 8428, 4.2): a text without characters claims nothing. */
    if (!reading_has_value(reading))
        return put(at, ",\"vs\":\"\"");
    switch ((enum reading_kind)reading->kind) {
    case READING_REAL64:
        at = put(at, ",\"v\":");
        return at + number_text_real64(reading->value.real64, at);
    case READING_REAL32:
        at = put(at, ",\"v\":");
        return at + number_text_real32(reading->value.real32, at);
    case READING_INTEGER:
        return number_text_signed(put(at, ",\"v\":"), reading->value.integer);
    case READING_BOOLEAN:
        return put(at, reading->value.boolean ? ",\"vb\":true" : ",\"vb\":false");
    case READING_TEXT:
        return put_text(put(at, ",\"vs\":"), reading_text(reading), (size_t)reading->value.text_length);
    }
    return at;
}

static size_t put_reading(const struct senml *senml, const struct reading *reading, char *text) {
    char *at = put_time(senml, put_tag(senml, text, reading->tag), reading->time_ms);
    at = put_value(at, reading);
    if (quality_class(reading->quality) != QUALITY_CLASS_GOOD) {
        at = put(put(put(at, ",\"quality_\":\""), quality_class_word(reading->quality)), "\",\"reason\":\"");
        at = put(put(at, quality_reason(reading->quality)), "\"");
        at = reading->detail == 0 ? at : put_number(at, ",\"detail\":", reading->detail);
    }
    return (size_t)(put(at, "}") - text);
}

static char *put_batches(char *at, uint64_t first, uint64_t last) {
    return first == 0 ? at : put_number(put_number(at, ",\"first_batch\":", first), ",\"last_batch\":", last);
}

static size_t put_loss(const struct senml *senml, const struct batch_loss *loss, char *text) {
    static const char *const words[] = {
        [BATCH_LOSS_QUOTA] = "quota",     [BATCH_LOSS_STORE_FULL] = "store full", [BATCH_LOSS_CORE_AWAY] = "core away",
        [BATCH_LOSS_DAMAGED] = "damaged", [BATCH_LOSS_THINNED] = "thinned",
    };
    char *at = put_time(senml, put(text, "{\"n\":\"loss\""), loss->from_ms);
    at = put_number(at, ",\"v\":", loss->readings);
    at = put(put(put(at, ",\"reason\":\""), words[loss->reason]), "\",\"until\":");
    at = put_batches(put_seconds(at, loss->to_ms), loss->first_batch, loss->last_batch);
    return (size_t)(put(at, "}") - text);
}

static size_t put_correction(const struct senml *senml, const struct batch_correction *correction, char *text) {
    char *at = put_time(senml, put(text, "{\"n\":\"correction\",\"u\":\"s\""), correction->from_ms);
    at = put_seconds(put(at, ",\"v\":"), correction->right_ms - correction->from_ms);
    at = put_batches(put_seconds(put(at, ",\"until\":"), correction->to_ms), correction->first_batch,
                     correction->last_batch);
    return (size_t)(put(at, "}") - text);
}

void senml_begin(struct senml *senml, const struct batch_info *info, const struct reading *readings, size_t units,
                 const struct catalogue *catalogue) {
    *senml = (struct senml){.info = info, .readings = readings, .units = units, .catalogue = catalogue};
}

static bool all_given(const struct senml *senml) {
    return senml->loss == senml->info->loss_count && senml->correction == senml->info->correction_count &&
           senml->unit == senml->units;
}

bool senml_done(const struct senml *senml) {
    return senml->packs > 0 && all_given(senml);
}

/* The record whose turn it is: 0 bytes when there is none. It stays the next one until advance(). */
static size_t put_record(const struct senml *senml, char text[static RECORD_BYTES_MAX]) {
    if (senml->loss < senml->info->loss_count)
        return put_loss(senml, &senml->info->losses[senml->loss], text);
    if (senml->correction < senml->info->correction_count)
        return put_correction(senml, &senml->info->corrections[senml->correction], text);
    return senml->unit < senml->units ? put_reading(senml, &senml->readings[senml->unit], text) : 0;
}

static void advance(struct senml *senml) {
    if (senml->loss < senml->info->loss_count)
        senml->loss++;
    else if (senml->correction < senml->info->correction_count)
        senml->correction++;
    else
        senml->unit += reading_units(&senml->readings[senml->unit]);
}

/* Known only when the others are, since it says whether the pack is the last one. */
static size_t put_head(const struct senml *senml, char text[static HEAD_BYTES_MAX]) {
    char store[2 * BATCH_STORE_ID_BYTES + 1];
    hex_encode(senml->info->store_id, sizeof senml->info->store_id, store);
    char *at = put(put_name(put(text, "[{\"bn\":\""), senml->info->gateway), "/\",\"bt\":");
    at = put(put(put(put_seconds(at, base_ms(senml)), ",\"store\":\""), store), "\"");
    at = put_number(put_number(at, ",\"batch\":", senml->info->number), ",\"pack\":", senml->packs);
    return (size_t)(put(at, all_given(senml) ? ",\"last\":true}" : "}") - text);
}

size_t senml_next(struct senml *senml, char *ret_text, size_t most) {
    char text[RECORD_BYTES_MAX], head[HEAD_BYTES_MAX];
    size_t end = HEAD_BYTES_MAX, length;
    assert(most >= SENML_PACK_BYTES_MIN);
    while ((length = put_record(senml, text)) > 0 && end + length + 2 <= most) {
        ret_text[end] = ',';
        memcpy(ret_text + end + 1, text, length);
        end += length + 1;
        advance(senml);
    }
    ret_text[end++] = ']';
    senml->packs++;
    length = put_head(senml, head);
    memcpy(ret_text, head, length);
    memmove(ret_text + length, ret_text + HEAD_BYTES_MAX, end - HEAD_BYTES_MAX);
    return length + end - HEAD_BYTES_MAX;
}
