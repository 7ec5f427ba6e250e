#include "drivers/decode.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "drivers/text_value.h"
#include "gateway/common/quality.h"

/* Every integer up to here is a double. */
#define EXACT_MAX (INT64_C(1) << 53)

__extension__ typedef __int128 wide;

/* A number as it came: an integer, or a float that has none of its digits to lose. */
struct raw {
    bool is_real;
    wide integer;
    double real;
};

static double power_of_ten(int exponent) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11, 1e12,
                                    1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24};
    return powers[exponent];
}

/* The value's bits, most significant first whatever the order on the wire. */
static uint64_t gather(const uint8_t *bytes, unsigned registers, enum plant_word_order order) {
    const bool words_reversed = order == PLANT_CDAB || order == PLANT_DCBA;
    const unsigned bytes_swapped = order == PLANT_BADC || order == PLANT_DCBA;
    uint64_t bits = 0;
    for (unsigned i = 0; i < registers; i++) {
        const uint8_t *word = bytes + 2 * (words_reversed ? registers - 1 - i : i);
        bits = bits << 16 | (uint64_t)word[bytes_swapped] << 8 | word[!bytes_swapped];
    }
    return bits;
}

static struct raw raw_float32(uint64_t bits) {
    const uint32_t word = (uint32_t)bits;
    float value;
    memcpy(&value, &word, sizeof value);
    return (struct raw){.is_real = true, .real = (double)value};
}

static struct raw raw_float64(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return (struct raw){.is_real = true, .real = value};
}

static struct raw raw_bcd(uint64_t bits, unsigned digits) {
    wide value = 0;
    for (unsigned i = digits; i-- > 0;) {
        const unsigned digit = bits >> 4 * i & 0xf;
        if (digit > 9)
            return (struct raw){.is_real = true, .real = (double)NAN};
        value = value * 10 + digit;
    }
    return (struct raw){.integer = value};
}

static struct raw raw_value(enum plant_type type, uint64_t bits) {
    switch (type) {
    case PLANT_BIT:
        return (struct raw){.integer = bits & 1};
    case PLANT_INT16:
        return (struct raw){.integer = (int16_t)bits};
    case PLANT_INT32:
        return (struct raw){.integer = (int32_t)bits};
    case PLANT_INT64:
        return (struct raw){.integer = (int64_t)bits};
    case PLANT_UINT16:
    case PLANT_UINT32:
    case PLANT_UINT64:
        return (struct raw){.integer = bits};
    case PLANT_FLOAT32:
        return raw_float32(bits);
    case PLANT_FLOAT64:
        return raw_float64(bits);
    case PLANT_BCD16:
        return raw_bcd(bits, 4);
    case PLANT_BCD32:
        return raw_bcd(bits, 8);
    case PLANT_TEXT:
        break;
    }
    return (struct raw){.is_real = true, .real = (double)NAN};
}

/* value x 10^exponent, exponent >= 0. False when it does not fit. */
static bool raise_by_ten(wide *value, int exponent) {
    for (int i = 0; i < exponent; i++)
        if (__builtin_mul_overflow(*value, (wide)10, value))
            return false;
    return true;
}

/* raw x scale + offset as *ret_numerator / 10^*ret_digits, exactly. False when it does not fit. */
static bool scale_exactly(const struct plant_tag *tag, wide raw, wide *ret_numerator, int *ret_digits) {
    const int scale_exponent = tag->scale.exponent;
    const int offset_exponent = tag->offset.mantissa != 0 ? tag->offset.exponent : 0;
    int common = scale_exponent < offset_exponent ? scale_exponent : offset_exponent;
    if (common > 0)
        common = 0;
    wide product = raw;
    wide offset = tag->offset.mantissa;
    if (__builtin_mul_overflow(product, (wide)tag->scale.mantissa, &product) ||
        !raise_by_ten(&product, scale_exponent - common) || !raise_by_ten(&offset, offset_exponent - common) ||
        __builtin_add_overflow(product, offset, ret_numerator))
        return false;
    *ret_digits = -common;
    return true;
}

static double decimal_times(struct plant_decimal decimal, double factor) {
    const double product = factor * (double)decimal.mantissa;
    return decimal.exponent < 0 ? product / power_of_ten(-decimal.exponent) : product * power_of_ten(decimal.exponent);
}

static double scale_real(const struct plant_tag *tag, const struct raw *raw) {
    wide numerator;
    int digits;
    if (!raw->is_real && scale_exactly(tag, raw->integer, &numerator, &digits) && numerator <= EXACT_MAX &&
        numerator >= -EXACT_MAX)
        return (double)numerator / power_of_ten(digits);
    const double value = decimal_times(tag->scale, raw->is_real ? raw->real : (double)raw->integer);
    return tag->offset.mantissa != 0 ? value + decimal_times(tag->offset, 1.0) : value;
}

static struct reading decode_integer(const struct plant_tag *tag, wide raw, int64_t time_ms) {
    wide value;
    int digits;
    if (!scale_exactly(tag, raw, &value, &digits))
        return reading_bad(tag->number, READING_INTEGER, time_ms, QUALITY_NOT_A_NUMBER, 0);
    for (; digits > 0; digits--)
        value /= 10;
    if (value < INT64_MIN || value > INT64_MAX)
        return reading_bad(tag->number, READING_INTEGER, time_ms, QUALITY_NOT_A_NUMBER, 0);
    return reading_integer(tag->number, time_ms, QUALITY_GOOD, (int64_t)value);
}

static struct reading decode_real(const struct plant_tag *tag, const struct raw *raw, enum reading_kind kind,
                                  int64_t time_ms) {
    const double value = kind == READING_REAL32 ? raw->real : scale_real(tag, raw);
    if (!isfinite(value))
        return reading_bad(tag->number, kind, time_ms, QUALITY_NOT_A_NUMBER, 0);
    if (kind == READING_REAL32)
        return reading_real32(tag->number, time_ms, QUALITY_GOOD, (float)value);
    return reading_real64(tag->number, time_ms, QUALITY_GOOD, value);
}

static void judge_range(const struct plant_tag *tag, struct reading *reading) {
    if (reading->quality != QUALITY_GOOD)
        return;
    const double value = reading_number(reading);
    if (tag->has_min && value < tag->min)
        reading->quality = QUALITY_BELOW_RANGE;
    else if (tag->has_max && value > tag->max)
        reading->quality = QUALITY_ABOVE_RANGE;
}

static bool is_no_value(const struct plant_tag *tag, uint64_t bits) {
    for (unsigned i = 0; i < tag->no_value_count; i++)
        if (tag->no_value[i] == bits)
            return true;
    return false;
}

static uint64_t bit_field(const struct plant_tag *tag, uint64_t bits) {
    if (tag->bit_count == 0)
        return bits;
    return bits >> tag->bit_first & ((UINT64_C(1) << tag->bit_count) - 1);
}

struct reading decode_tag(const struct plant_tag *tag, const uint8_t *bytes, int64_t time_ms) {
    const bool in_register = !plant_table_is_bits(tag->table);
    const uint64_t bits = in_register ? gather(bytes, plant_tag_registers(tag), tag->word_order) : bytes[0];
    const enum reading_kind kind = plant_tag_kind(tag);
    if (is_no_value(tag, bits))
        return reading_bad(tag->number, kind, time_ms, QUALITY_SENTINEL, 0);
    const struct raw raw = raw_value(tag->type, bit_field(tag, bits));
    struct reading reading;
    if (raw.is_real && isnan(raw.real))
        reading = reading_bad(tag->number, kind, time_ms, QUALITY_NOT_A_NUMBER, 0);
    else if (kind == READING_BOOLEAN)
        reading = reading_boolean(tag->number, time_ms, QUALITY_GOOD, raw.integer != 0);
    else if (kind == READING_INTEGER)
        reading = decode_integer(tag, raw.integer, time_ms);
    else
        reading = decode_real(tag, &raw, kind, time_ms);
    judge_range(tag, &reading);
    return reading;
}

static size_t decode_text(const struct plant_tag *tag, const uint8_t *bytes, int64_t time_ms,
                          struct reading *ret_units) {
    uint8_t text[2 * PLANT_TEXT_REGISTERS_MOST] = {0};
    const unsigned swapped = tag->word_order == PLANT_BADC || tag->word_order == PLANT_DCBA;
    for (size_t i = 0; i < 2 * (size_t)tag->length; i++)
        text[i] = bytes[i ^ swapped];
    return text_value_make(tag->number, text, 2 * (size_t)tag->length, time_ms, ret_units);
}

static void judge_status(const struct plan_request *request, const struct plant_tag *tag, const uint8_t *data,
                         struct reading *reading) {
    const size_t at = (size_t)(tag->status.address - request->address) * 2;
    const uint64_t status = gather(data + at, 1, tag->word_order);
    if ((status & tag->status.fault) != 0)
        *reading = reading_bad(tag->number, plant_tag_kind(tag), reading->time_ms, QUALITY_INSTRUMENT_FAULT, 0);
    else if ((status & tag->status.maintenance) != 0 && reading_has_value(reading))
        reading->quality = QUALITY_MAINTENANCE;
}

/* The value alone, its text behind it. */
static void decode_value(const struct plan_request *request, const struct plant_tag *tag, const uint8_t *data,
                         int64_t time_ms, struct reading *ret_units) {
    const unsigned at = (unsigned)(tag->address - request->address);
    /* Modbus application protocol V1.1b3, section 6.1: the first bit is the lowest of the first byte. */
    const uint8_t bit = plant_table_is_bits(request->table) ? data[at / 8] >> at % 8 & 1 : 0;
    if (tag->type == PLANT_TEXT)
        decode_text(tag, data + (size_t)at * 2, time_ms, ret_units);
    else
        *ret_units = decode_tag(tag, plant_table_is_bits(request->table) ? &bit : data + (size_t)at * 2, time_ms);
}

size_t decode_reply(const struct plan_request *request, const uint8_t *data, int64_t time_ms, enum clock_state clock,
                    struct reading *ret_readings) {
    struct reading *reading = ret_readings;
    for (size_t i = 0; i < request->tag_count; i++) {
        const struct plant_tag *tag = request->tags[i];
        decode_value(request, tag, data, time_ms, reading);
        if (plant_tag_has_status(tag))
            judge_status(request, tag, data, reading);
        if (clock == CLOCK_NOT_SET && reading->quality == QUALITY_GOOD)
            reading->quality = QUALITY_CLOCK_NOT_SET;
        reading += reading_units(reading);
    }
    return (size_t)(reading - ret_readings);
}

size_t decode_units(const struct plan_request *request) {
    size_t units = 0;
    for (size_t i = 0; i < request->tag_count; i++)
        units += request->tags[i]->type == PLANT_TEXT ? READING_UNITS_MAX : 1;
    return units;
}

uint16_t decode_watch(const struct plan_request *request, enum plan_watch watch, const uint8_t *data) {
    const struct plant_instrument *instrument = request->instrument;
    const struct plant_watch *watched = watch == PLAN_HEARTBEAT ? &instrument->heartbeat : &instrument->service;
    const unsigned at = (unsigned)(watched->address - request->address);
    const unsigned bits = plant_table_is_bits(request->table) ? data[at / 8] >> at % 8 & 1u
                                                              : (unsigned)gather(data + (size_t)at * 2, 1, PLANT_ABCD);
    return (uint16_t)(bits & watched->mask);
}

void decode_failure(const struct plan_request *request, uint8_t quality, uint16_t detail, int64_t time_ms,
                    struct reading *ret_readings) {
    for (size_t i = 0; i < request->tag_count; i++)
        ret_readings[i] =
            reading_bad(request->tags[i]->number, plant_tag_kind(request->tags[i]), time_ms, quality, detail);
}

size_t decode_data_bytes(enum plant_table table, uint16_t count) {
    return plant_table_is_bits(table) ? (count + 7u) / 8u : count * 2u;
}
