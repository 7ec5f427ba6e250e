#include "store/batch_value.h"

#include <math.h>
#include <string.h>

#define DECIMAL_LIMIT 0x1p53
/* Above these a single's decimal form costs as much as its bits. */
#define SINGLE_LIMIT 0x1p24
#define SINGLE_EXPONENT_MAX 6

static const double powers[BATCH_EXPONENT_MAX + 1] = {1e0, 1e1, 1e2, 1e3,  1e4,  1e5, 1e6,
                                                      1e7, 1e8, 1e9, 1e10, 1e11, 1e12};

/* What tells the two widths of reals apart while looking for a decimal form. */
struct real {
    uint8_t encoding; /* of exponent 0 */
    unsigned exponent_most;
    double limit;
};

static const struct real real64 = {BATCH_DECIMAL_REAL64, BATCH_EXPONENT_MAX, DECIMAL_LIMIT};
static const struct real real32 = {BATCH_DECIMAL_REAL32, SINGLE_EXPONENT_MAX, SINGLE_LIMIT};

static double as_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t as_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float as_single(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t as_single_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint64_t ordered64(uint64_t bits) {
    return bits >> 63 ? bits ^ UINT64_C(0x7fffffffffffffff) : bits;
}

/* Sign-extended, so that differences of neighbours stay small. */
static uint64_t ordered32(uint32_t bits) {
    const uint32_t ordered = bits >> 31 ? bits ^ UINT32_C(0x7fffffff) : bits;
    return (uint64_t)(int64_t)(int32_t)ordered;
}

static bool same(const struct real *real, double quotient, uint64_t bits) {
    return real == &real64 ? as_bits(quotient) == bits : as_single_bits((float)quotient) == bits;
}

static bool decimal(const struct real *real, uint64_t bits, unsigned exponent, int64_t *ret_number) {
    const double value = real == &real64 ? as_double(bits) : (double)as_single((uint32_t)bits);
    const double scaled = value * powers[exponent];
    if (!(fabs(scaled) < real->limit - 1))
        return false;
    const int64_t number = (int64_t)(scaled + copysign(0.5, scaled));
    *ret_number = number;
    return same(real, (double)number / powers[exponent], bits);
}

/* The least exponent, from the given one up, that fits the value; above exponent_most if none does. */
static unsigned exponent_for(const struct real *real, uint64_t bits, unsigned exponent) {
    int64_t number;
    while (exponent <= real->exponent_most && !decimal(real, bits, exponent, &number))
        exponent++;
    return exponent;
}

static bool fold_decimal(const struct real *real, uint64_t *values, size_t count, uint8_t *ret_encoding) {
    unsigned exponent = 0;
    for (size_t i = 0; i < count; i++) {
        exponent = exponent_for(real, values[i], exponent);
        if (exponent > real->exponent_most)
            return false;
    }
    /* What fitted a smaller exponent may pass the limit with the common one, so all are looked at before any changes.
     */
    int64_t number;
    for (size_t i = 0; i < count; i++)
        if (!decimal(real, values[i], exponent, &number))
            return false;
    for (size_t i = 0; i < count; i++) {
        decimal(real, values[i], exponent, &number);
        values[i] = (uint64_t)number;
    }
    *ret_encoding = (uint8_t)(real->encoding + exponent);
    return true;
}

uint8_t batch_value_fold(enum reading_kind kind, uint64_t *values, size_t count) {
    uint8_t encoding = (uint8_t)kind;
    const bool is_real = kind == READING_REAL64 || kind == READING_REAL32;
    if (!is_real || count == 0 || fold_decimal(kind == READING_REAL64 ? &real64 : &real32, values, count, &encoding))
        return encoding;
    for (size_t i = 0; i < count; i++)
        values[i] = kind == READING_REAL64 ? ordered64(values[i]) : ordered32((uint32_t)values[i]);
    return encoding;
}

bool batch_value_kind(uint8_t encoding, enum reading_kind *ret_kind) {
    if (encoding <= READING_TEXT)
        *ret_kind = (enum reading_kind)encoding;
    else if (encoding >= BATCH_DECIMAL_REAL64 && encoding <= BATCH_DECIMAL_REAL64 + BATCH_EXPONENT_MAX)
        *ret_kind = READING_REAL64;
    else if (encoding >= BATCH_DECIMAL_REAL32 && encoding <= BATCH_DECIMAL_REAL32 + BATCH_EXPONENT_MAX)
        *ret_kind = READING_REAL32;
    else
        return false;
    return true;
}

static bool unfold_decimal(uint8_t encoding, uint64_t number, uint64_t *ret_bits) {
    const int64_t mantissa = (int64_t)number;
    if (mantissa >= (int64_t)DECIMAL_LIMIT || mantissa <= -(int64_t)DECIMAL_LIMIT)
        return false;
    const bool is_single = encoding >= BATCH_DECIMAL_REAL32;
    const unsigned exponent = encoding - (is_single ? BATCH_DECIMAL_REAL32 : BATCH_DECIMAL_REAL64);
    const double quotient = (double)mantissa / powers[exponent];
    *ret_bits = is_single ? as_single_bits((float)quotient) : as_bits(quotient);
    return true;
}

bool batch_value_unfold(uint8_t encoding, uint64_t number, uint64_t *ret_bits) {
    switch (encoding) {
    case READING_REAL64:
        *ret_bits = ordered64(number);
        return isfinite(as_double(*ret_bits));
    case READING_REAL32:
        *ret_bits = (uint32_t)ordered32((uint32_t)number);
        return (int64_t)number == (int32_t)number && isfinite(as_single((uint32_t)*ret_bits));
    case READING_INTEGER:
        *ret_bits = number;
        return true;
    case READING_BOOLEAN:
        *ret_bits = number;
        return number <= 1;
    default:
        return unfold_decimal(encoding, number, ret_bits);
    }
}
