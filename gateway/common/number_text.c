#include "gateway/common/number_text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *number_text_unsigned(char *at, uint64_t value) {
    char digits[20];
    size_t count = 0;
    do
        digits[count++] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    while (count > 0)
        *at++ = digits[--count];
    *at = '\0';
    return at;
}

char *number_text_signed(char *at, int64_t value) {
    if (value < 0)
        *at++ = '-';
    return number_text_unsigned(at, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

/* Measured values mostly are decimals of a few digits. Where value x 10^k is whole and dividing it by 10^k gives the
 * value back, those digits are the shortest: both are below 2^53, so the division rounds as reading the text does.
 * places_most 6 keeps that true for float, whose second rounding then never meets a tie. */
static size_t put_decimal(double value, bool is_float, unsigned places_most, char *text) {
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
    const double size = fabs(value), most = is_float ? 1e7 : 1e15;
    for (unsigned places = 0; places <= places_most && size * powers[places] < most; places++) {
        const double whole = rint(size * powers[places]);
        const double back = whole / powers[places];
        if (is_float ? (float)back != (float)size : back != size)
            continue;
        const uint64_t digits = (uint64_t)whole, power = (uint64_t)powers[places];
        char *at = text;
        if (signbit(value))
            *at++ = '-';
        at = number_text_unsigned(at, digits / power);
        if (places > 0) {
            /* The leading 1 keeps the zeros behind the point; the point takes its place. */
            char *point = at;
            at = number_text_unsigned(at, power + digits % power);
            *point = '.';
        }
        return (size_t)(at - text);
    }
    return 0;
}

/* Try fewer digits first; digits_most always give the number back. */
static size_t put_digits(double value, bool is_float, int digits, int digits_most, char *text) {
    for (;; digits++) {
        const int length = snprintf(text, NUMBER_TEXT_MAX, "%.*g", digits, value);
        if (digits == digits_most || (is_float ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value))
            return (size_t)length;
    }
}

static bool negative_zero(double value) {
    return value == 0 && signbit(value);
}

size_t number_text_real64(double value, char ret_text[static NUMBER_TEXT_MAX]) {
    if (negative_zero(value)) /* "-0" would be read as a whole number, which has no sign */
        return (size_t)(stpcpy(ret_text, "-0.0") - ret_text);
    const size_t length = put_decimal(value, false, 9, ret_text);
    return length > 0 ? length : put_digits(value, false, 15, 17, ret_text);
}

size_t number_text_real32(float value, char ret_text[static NUMBER_TEXT_MAX]) {
    if (negative_zero((double)value))
        return (size_t)(stpcpy(ret_text, "-0.0") - ret_text);
    const size_t length = put_decimal((double)value, true, 6, ret_text);
    return length > 0 ? length : put_digits((double)value, true, 6, 9, ret_text);
}
