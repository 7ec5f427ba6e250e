#include "gateway/common/reading.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "gateway/common/quality.h"

static struct reading blank(uint32_t tag, enum reading_kind kind, int64_t time_ms, uint8_t quality) {
    return (struct reading){.tag = tag, .kind = (uint8_t)kind, .quality = quality, .time_ms = time_ms};
}

struct reading reading_real64(uint32_t tag, int64_t time_ms, uint8_t quality, double value) {
    struct reading reading = blank(tag, READING_REAL64, time_ms, quality);
    reading.value.real64 = value;
    return reading;
}

struct reading reading_real32(uint32_t tag, int64_t time_ms, uint8_t quality, float value) {
    struct reading reading = blank(tag, READING_REAL32, time_ms, quality);
    reading.value.real32 = value;
    return reading;
}

struct reading reading_integer(uint32_t tag, int64_t time_ms, uint8_t quality, int64_t value) {
    struct reading reading = blank(tag, READING_INTEGER, time_ms, quality);
    reading.value.integer = value;
    return reading;
}

struct reading reading_boolean(uint32_t tag, int64_t time_ms, uint8_t quality, bool value) {
    struct reading reading = blank(tag, READING_BOOLEAN, time_ms, quality);
    reading.value.boolean = value;
    return reading;
}

size_t reading_make_text(uint32_t tag, int64_t time_ms, uint8_t quality, const char *text, size_t length,
                         struct reading ret_units[static READING_UNITS_MAX]) {
    assert(length <= READING_TEXT_MAX);
    memset(ret_units, 0, READING_UNITS_MAX * sizeof *ret_units);
    ret_units[0] = blank(tag, READING_TEXT, time_ms, quality);
    ret_units[0].value.text_length = length;
    memcpy(ret_units + 1, text, length);
    return reading_units(ret_units);
}

struct reading reading_bad(uint32_t tag, enum reading_kind kind, int64_t time_ms, uint8_t quality, uint16_t detail) {
    struct reading reading = blank(tag, kind, time_ms, quality);
    reading.detail = detail;
    return reading;
}

bool reading_has_value(const struct reading *reading) {
    return quality_class(reading->quality) != QUALITY_CLASS_BAD;
}

static bool value_valid(const struct reading *reading) {
    switch ((enum reading_kind)reading->kind) {
    case READING_REAL64:
        return isfinite(reading->value.real64);
    case READING_REAL32:
        return isfinite(reading->value.real32) && reading->value.bits >> 32 == 0;
    case READING_INTEGER:
        return true;
    case READING_BOOLEAN:
        return reading->value.bits <= 1;
    case READING_TEXT:
        return reading->value.text_length <= READING_TEXT_MAX;
    }
    return false;
}

bool reading_valid(const struct reading *reading) {
    if (reading->tag == 0 || reading->kind > READING_TEXT || !quality_known(reading->quality))
        return false;
    if (reading->time_ms < READING_TIME_MIN_MS || reading->time_ms > READING_TIME_MAX_MS)
        return false;
    return reading_has_value(reading) ? value_valid(reading) : reading->value.bits == 0;
}

/* Bytes of the UTF-8 sequence at text, 0 if it is none or a control character (RFC 3629, section 4). */
static size_t character_bytes(const uint8_t *text, size_t left) {
    static const struct {
        uint8_t mask, lead;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 0x20}, {0xe0, 0xc0, 0xa0}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    size_t length = 0;
    while (length < 4 && (text[0] & forms[length].mask) != forms[length].lead)
        length++;
    if (length == 4 || length >= left)
        return 0;
    uint32_t code = text[0] & (uint8_t)~forms[length].mask;
    for (size_t i = 1; i <= length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (text[i] & 0x3f);
    }
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < forms[length].least || code == 0x7f || code > 0x10ffff || surrogate ? 0 : length + 1;
}

bool reading_text_valid(const void *text, size_t length) {
    const uint8_t *bytes = text;
    for (size_t i = 0, step; i < length; i += step) {
        step = character_bytes(bytes + i, length - i);
        if (step == 0)
            return false;
    }
    return true;
}

const char *reading_text(const struct reading *reading) {
    return (const char *)(reading + 1);
}

size_t reading_units(const struct reading *reading) {
    if (reading->kind != READING_TEXT)
        return 1;
    return 1 + ((size_t)reading->value.text_length + sizeof *reading - 1) / sizeof *reading;
}

static bool text_valid(const struct reading *reading, size_t units) {
    static const char zeros[sizeof *reading];
    const size_t length = (size_t)reading->value.text_length, room = (units - 1) * sizeof *reading;
    return reading_text_valid(reading_text(reading), length) &&
           memcmp(reading_text(reading) + length, zeros, room - length) == 0;
}

bool readings_valid(const struct reading *readings, size_t units) {
    for (size_t i = 0, step; i < units; i += step) {
        if (!reading_valid(&readings[i]))
            return false;
        step = reading_units(&readings[i]);
        if (step > units - i || (step > 1 && !text_valid(&readings[i], step)))
            return false;
    }
    return true;
}

size_t readings_count(const struct reading *readings, size_t units) {
    size_t count = 0;
    for (size_t i = 0; i < units; i += reading_units(&readings[i]))
        count++;
    return count;
}

size_t readings_first(const struct reading *readings, size_t units_most, size_t readings_most) {
    size_t units = 0;
    for (size_t count = 0; count < readings_most && units < units_most; count++) {
        const size_t step = reading_units(&readings[units]);
        if (step > units_most - units)
            break;
        units += step;
    }
    return units;
}

double reading_number(const struct reading *reading) {
    switch ((enum reading_kind)reading->kind) {
    case READING_REAL64:
        return reading->value.real64;
    case READING_REAL32:
        return (double)reading->value.real32;
    case READING_INTEGER:
        return (double)reading->value.integer;
    case READING_BOOLEAN:
        return reading->value.boolean ? 1.0 : 0.0;
    case READING_TEXT:
        break;
    }
    return 0.0;
}
