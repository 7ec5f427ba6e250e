#include "gateway/config/value.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/config/report.h"

#define DIGITS "0123456789"

/* A unit of durations or sizes. */
struct scale {
    const char *unit;
    uint64_t factor;
};

static const struct scale durations[] = {{"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
static const struct scale sizes[] = {
    {"TB", UINT64_C(1) << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}, {NULL, 0}};
static const struct scale rates[] = {{"GB/s", 1 << 30}, {"MB/s", 1 << 20}, {"KB/s", 1 << 10}, {NULL, 0}};

/* Read digits up to anything else. Returns the end, NULL when there is no digit or it passes most. */
static const char *read_digits(const char *text, uint64_t most, uint64_t *ret_number) {
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(number, UINT64_C(10), &number) ||
            __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number) || number > most)
            return NULL;
    }
    *ret_number = number;
    return at == text ? NULL : at;
}

static bool leading_zero(const char *text) {
    return text[0] == '0' && text[1] >= '0' && text[1] <= '9';
}

enum fb_error value_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number, struct fb_cause *cause) {
    char quote[REPORT_QUOTE_MAX];
    uint64_t number = 0;
    report_quote(text, quote);
    const char *unsigned_text = text + (text[0] == '-' ? 1 : 0);
    if (unsigned_text[strspn(unsigned_text, DIGITS)] != '\0')
        return fb_fail(cause, FB_INVALID, "%s is not a number; allowed are %" PRIu64 " to %" PRIu64, quote, min, max);
    if (leading_zero(text))
        return fb_fail(cause, FB_INVALID, "%s begins with a zero, which some read as octal; write the number without",
                       quote);
    const char *end = read_digits(text, max, &number);
    if (end == NULL || number < min)
        return fb_fail(cause, FB_INVALID, "%s is out of range; allowed are %" PRIu64 " to %" PRIu64, quote, min, max);
    *ret_number = number;
    return FB_OK;
}

static const char *read_hexadecimal(const char *text, uint64_t most, uint64_t *ret_number) {
    static const char digits[] = "0123456789abcdefABCDEF";
    const size_t length = strspn(text, digits);
    if (length == 0 || length > 16)
        return NULL;
    const uint64_t number = strtoull(text, NULL, 16);
    if (number > most)
        return NULL;
    *ret_number = number;
    return text + length;
}

enum fb_error value_bits(const char *text, uint64_t max, uint64_t *ret_bits, struct fb_cause *cause) {
    char quote[REPORT_QUOTE_MAX];
    uint64_t bits = 0;
    const bool hexadecimal = text[0] == '0' && text[1] == 'x';
    const char *end = hexadecimal ? read_hexadecimal(text + 2, max, &bits) : read_digits(text, max, &bits);
    if (end == NULL || *end != '\0' || (!hexadecimal && leading_zero(text)))
        return fb_fail(cause, FB_INVALID,
                       "%s is not a number of bits; allowed are 0 to %" PRIu64 ", or 0x0 to 0x%" PRIx64,
                       report_quote(text, quote), max, max);
    *ret_bits = bits;
    return FB_OK;
}

enum fb_error value_bit_range(const char *text, unsigned max, unsigned *ret_first, unsigned *ret_last,
                              struct fb_cause *cause) {
    char quote[REPORT_QUOTE_MAX];
    uint64_t first = 0, last = 0;
    const char *end = read_digits(text, max, &first);
    last = first;
    if (end != NULL && strncmp(end, "..", 2) == 0)
        end = read_digits(end + 2, max, &last);
    if (end == NULL || *end != '\0' || last < first)
        return fb_fail(cause, FB_INVALID, "%s is not a bit or a range of bits like 4..7; allowed are 0 to %u",
                       report_quote(text, quote), max);
    *ret_first = (unsigned)first;
    *ret_last = (unsigned)last;
    return FB_OK;
}

/* A decimal while it is being read. */
struct digits {
    int64_t mantissa;
    int count;    /* significant digits */
    int exponent; /* of ten */
};

static const char *take_digits(const char *at, bool fraction, struct digits *digits) {
    for (; *at >= '0' && *at <= '9'; at++) {
        digits->exponent -= fraction ? 1 : 0;
        digits->count += digits->mantissa != 0 || *at != '0' ? 1 : 0;
        if (digits->count > VALUE_DIGITS_MAX || digits->exponent < -VALUE_DIGITS_MAX)
            return NULL;
        digits->mantissa = digits->mantissa * 10 + (*at - '0');
    }
    return at;
}

static const char *take_exponent(const char *at, struct digits *digits) {
    const bool negative = at[1] == '-';
    uint64_t exponent = 0;
    at = read_digits(at + (negative || at[1] == '+' ? 2 : 1), 99, &exponent);
    digits->exponent += negative ? -(int)exponent : (int)exponent;
    return at;
}

/* One form for each number: 1.0 and 1e0 are 1, 0.10 is 0.1, 1e2 is 100. False when it is beyond the digits we keep. */
static bool normalise(struct digits *digits) {
    if (digits->mantissa == 0)
        digits->exponent = 0;
    for (; digits->exponent < 0 && digits->mantissa % 10 == 0; digits->exponent++)
        digits->mantissa /= 10;
    for (; digits->exponent > 0 && digits->mantissa < INT64_C(100000000000000); digits->exponent--)
        digits->mantissa *= 10;
    return digits->exponent <= 0 && digits->exponent >= -PLANT_EXPONENT_MOST;
}

static bool decimal_form(const char *text) {
    text += *text == '-' ? 1 : 0;
    size_t whole = strspn(text, DIGITS);
    if (whole == 0 || leading_zero(text))
        return false;
    text += whole;
    if (*text == '.') {
        const size_t fraction = strspn(text + 1, DIGITS);
        if (fraction == 0)
            return false;
        text += 1 + fraction;
    }
    if (*text == 'e' || *text == 'E') {
        text += text[1] == '-' || text[1] == '+' ? 2 : 1;
        const size_t exponent = strspn(text, DIGITS);
        if (exponent == 0)
            return false;
        text += exponent;
    }
    return *text == '\0';
}

enum fb_error value_decimal(const char *text, struct plant_decimal *ret_decimal, struct fb_cause *cause) {
    char quote[REPORT_QUOTE_MAX];
    report_quote(text, quote);
    if (!decimal_form(text))
        return fb_fail(cause, FB_INVALID, "%s is not a number; write it like 12, -0.5 or 1e-3", quote);
    const bool negative = *text == '-';
    struct digits digits = {0};
    const char *at = take_digits(text + (negative ? 1 : 0), false, &digits);
    if (at != NULL && *at == '.')
        at = take_digits(at + 1, true, &digits);
    if (at != NULL && (*at == 'e' || *at == 'E'))
        at = take_exponent(at, &digits);
    if (at == NULL || !normalise(&digits))
        return fb_fail(cause, FB_INVALID, "%s has too many digits; allowed are %d, at most %d of them after the point",
                       quote, VALUE_DIGITS_MAX, PLANT_EXPONENT_MOST);
    const int64_t mantissa = negative ? -digits.mantissa : digits.mantissa;
    *ret_decimal = (struct plant_decimal){.mantissa = mantissa, .exponent = (int8_t)digits.exponent};
    return FB_OK;
}

/* Both parts are exact in a double, so one division or product rounds once. */
double value_decimal_number(struct plant_decimal decimal) {
    double power = 1;
    for (int i = 0; i < (decimal.exponent < 0 ? -decimal.exponent : decimal.exponent); i++)
        power *= 10;
    return decimal.exponent < 0 ? (double)decimal.mantissa / power : (double)decimal.mantissa * power;
}

/* The shortest exact form: 120000 ms is 2min. */
static const char *write_scaled(uint64_t number, const struct scale *scales, char *text, size_t size) {
    const struct scale *scale = scales;
    while (scale[1].unit != NULL && (number == 0 || number % scale->factor != 0))
        scale++;
    snprintf(text, size, "%" PRIu64 "%s", number / scale->factor, scale->unit);
    return text;
}

static enum fb_error read_scaled(const char *text, const struct scale *scales, uint64_t min, uint64_t max,
                                 const char *what, uint64_t *ret_number, struct fb_cause *cause) {
    char quote[REPORT_QUOTE_MAX], least[32], most[32];
    report_quote(text, quote);
    write_scaled(min, scales, least, sizeof least);
    write_scaled(max, scales, most, sizeof most);
    const char *unit = text + strspn(text, DIGITS);
    const struct scale *scale = scales;
    while (scale->unit != NULL && strcmp(scale->unit, unit) != 0)
        scale++;
    if (unit == text || scale->unit == NULL || leading_zero(text))
        return fb_fail(cause, FB_INVALID, "%s is not a %s; allowed are %s to %s", quote, what, least, most);
    uint64_t number = 0;
    if (read_digits(text, max / scale->factor, &number) == NULL || number * scale->factor < min)
        return fb_fail(cause, FB_INVALID, "%s is out of range; allowed are %s to %s", quote, least, most);
    *ret_number = number * scale->factor;
    return FB_OK;
}

enum fb_error value_duration(const char *text, uint64_t min_ms, uint64_t max_ms, uint64_t *ret_ms,
                             struct fb_cause *cause) {
    return read_scaled(text, durations, min_ms, max_ms, "duration like 500ms, 10s, 3min or 1h", ret_ms, cause);
}

enum fb_error value_size(const char *text, uint64_t min_bytes, uint64_t max_bytes, uint64_t *ret_bytes,
                         struct fb_cause *cause) {
    return read_scaled(text, sizes, min_bytes, max_bytes, "size like 512KB, 64MB or 8GB", ret_bytes, cause);
}

enum fb_error value_rate(const char *text, uint64_t min, uint64_t max, uint64_t *ret_rate, struct fb_cause *cause) {
    return read_scaled(text, rates, min, max, "rate like 20KB/s or 1MB/s", ret_rate, cause);
}

enum fb_error value_name(const char *text, struct fb_cause *cause) {
    char quote[REPORT_QUOTE_MAX];
    if (plant_name_valid(text))
        return FB_OK;
    return fb_fail(cause, FB_INVALID,
                   "%s is not a name; allowed are a-z, 0-9 and -, not - first, at most %d characters",
                   report_quote(text, quote), PLANT_NAME_MAX - 1);
}

static bool address_literal(const char *text) {
    struct in6_addr address;
    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

static bool dns_name(const char *text) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-" DIGITS;
    if (strlen(text) > 253 || text[strspn(text, DIGITS ".")] == '\0')
        return false;
    for (;;) {
        const size_t label = strspn(text, letters);
        if (label == 0 || label > 63 || text[0] == '-' || text[label - 1] == '-')
            return false;
        if (text[label] == '\0')
            return true;
        if (text[label] != '.')
            return false;
        text += label + 1;
    }
}

enum fb_error value_host(const char *text, struct fb_cause *cause) {
    char quote[REPORT_QUOTE_MAX];
    if (address_literal(text) || dns_name(text))
        return FB_OK;
    return fb_fail(cause, FB_INVALID, "%s is neither a host's name nor an IPv4 or IPv6 address",
                   report_quote(text, quote));
}

bool value_loopback(const char *text) {
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, text, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
    return inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}
