#include "gateway/common/reading.h"

#include <math.h>

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
    }
    return false;
}

bool reading_valid(const struct reading *reading) {
    if (reading->tag == 0 || reading->kind > READING_BOOLEAN || !quality_known(reading->quality))
        return false;
    if (reading->time_ms < READING_TIME_MIN_MS || reading->time_ms > READING_TIME_MAX_MS)
        return false;
    return reading_has_value(reading) ? value_valid(reading) : reading->value.bits == 0;
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
    }
    return 0.0;
}
