#include "gateway/receive/lines.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/hex.h"
#include "gateway/common/quality.h"

#define NUMBER_TEXT_MAX 32

static const char *const format_words[] = {[LINES_NDJSON] = "ndjson", [LINES_CSV] = "csv"};

const char *lines_format_word(enum lines_format format) {
    return format_words[format];
}

int lines_format_from_word(const char *word) {
    for (size_t i = 0; i < sizeof format_words / sizeof format_words[0]; i++)
        if (strcmp(format_words[i], word) == 0)
            return (int)i;
    return -1;
}

const char *lines_header(enum lines_format format) {
    return format == LINES_CSV ? "gateway,store,batch,tag,instrument,name,unit,time_ms,value,quality,reason,detail\n"
                               : "";
}

static char *put(char *at, const char *text) {
    return stpcpy(at, text);
}

static char *put_unsigned(char *at, uint64_t value) {
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

static char *put_signed(char *at, int64_t value) {
    if (value < 0)
        *at++ = '-';
    return put_unsigned(at, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

/* The decoders let only UTF-8 without control characters through, so no other byte needs an escape (RFC 8259). */
static char *put_json(char *at, const char *text, size_t length) {
    *at++ = '"';
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"' || text[i] == '\\')
            *at++ = '\\';
        *at++ = text[i];
    }
    *at++ = '"';
    *at = '\0';
    return at;
}

static char *put_json_text(char *at, const char *text) {
    return put_json(at, text, strlen(text));
}

/* RFC 4180, section 2: quotes where a comma or a quote stands, quotes within doubled. */
static char *put_csv(char *at, const char *text, size_t length) {
    const bool quoted = memchr(text, ',', length) != NULL || memchr(text, '"', length) != NULL;
    if (quoted)
        *at++ = '"';
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"')
            *at++ = '"';
        *at++ = text[i];
    }
    if (quoted)
        *at++ = '"';
    *at = '\0';
    return at;
}

static char *put_csv_text(char *at, const char *text) {
    return put_csv(at, text, strlen(text));
}

static char *begin_ndjson(char *at, const struct batch_info *info, const char *store, uint32_t tag,
                          const struct catalogue_tag *names) {
    at = put_json_text(put(at, "{\"gateway\":"), info->gateway);
    at = put(put(put(at, ",\"store\":\""), store), "\"");
    at = put_unsigned(put(at, ",\"batch\":"), info->number);
    at = put_unsigned(put(at, ",\"tag\":"), tag);
    if (names == NULL)
        at = put(at, ",\"instrument\":null,\"name\":null,\"unit\":null");
    else {
        at = put_json_text(put(at, ",\"instrument\":"), names->instrument);
        at = put_json_text(put(at, ",\"name\":"), names->name);
        at = put_json_text(put(at, ",\"unit\":"), names->unit);
    }
    return put(at, ",\"time_ms\":");
}

static char *begin_csv(char *at, const struct batch_info *info, const char *store, uint32_t tag,
                       const struct catalogue_tag *names) {
    at = put(put(put(put_csv_text(at, info->gateway), ","), store), ",");
    at = put(put_unsigned(at, info->number), ",");
    at = put(put_unsigned(at, tag), ",");
    at = put(put_csv_text(at, names != NULL ? names->instrument : ""), ",");
    at = put(put_csv_text(at, names != NULL ? names->name : ""), ",");
    return put(put_csv_text(at, names != NULL ? names->unit : ""), ",");
}

void lines_begin_tag(enum lines_format format, const struct batch_info *info, uint32_t tag,
                     const struct catalogue_tag *names, struct lines_tag *ret_tag) {
    char store[2 * BATCH_STORE_ID_BYTES + 1];
    hex_encode(info->store_id, sizeof info->store_id, store);
    const char *end = format == LINES_CSV ? begin_csv(ret_tag->text, info, store, tag, names)
                                          : begin_ndjson(ret_tag->text, info, store, tag, names);
    ret_tag->format = format;
    ret_tag->length = (size_t)(end - ret_tag->text);
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
        at = put_unsigned(at, digits / power);
        if (places > 0) {
            /* The leading 1 keeps the zeros behind the point; the point takes its place. */
            char *point = at;
            at = put_unsigned(at, power + digits % power);
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

size_t lines_real64(double value, char *ret_text) {
    if (negative_zero(value)) /* "-0" would be read as a whole number, which has no sign */
        return (size_t)(put(ret_text, "-0.0") - ret_text);
    const size_t length = put_decimal(value, false, 9, ret_text);
    return length > 0 ? length : put_digits(value, false, 15, 17, ret_text);
}

size_t lines_real32(float value, char *ret_text) {
    if (negative_zero((double)value))
        return (size_t)(put(ret_text, "-0.0") - ret_text);
    const size_t length = put_decimal((double)value, true, 6, ret_text);
    return length > 0 ? length : put_digits((double)value, true, 6, 9, ret_text);
}

static char *put_value(char *at, enum lines_format format, const struct reading *reading) {
    switch ((enum reading_kind)reading->kind) {
    case READING_REAL64:
        return at + lines_real64(reading->value.real64, at);
    case READING_REAL32:
        return at + lines_real32(reading->value.real32, at);
    case READING_INTEGER:
        return put_signed(at, reading->value.integer);
    case READING_BOOLEAN:
        return put(at, reading->value.boolean ? "true" : "false");
    case READING_TEXT:
        return (format == LINES_CSV ? put_csv : put_json)(at, reading_text(reading),
                                                          (size_t)reading->value.text_length);
    }
    return at;
}

size_t lines_reading(const struct lines_tag *tag, const struct reading *reading, char *ret_line) {
    const bool csv = tag->format == LINES_CSV;
    char *at = put_signed(mempcpy(ret_line, tag->text, tag->length), reading->time_ms);
    at = put(at, csv ? "," : ",\"value\":");
    at = reading_has_value(reading) ? put_value(at, tag->format, reading) : put(at, csv ? "" : "null");
    at = put(put(at, csv ? "," : ",\"quality\":\""), quality_class_word(reading->quality));
    at = put(put(at, csv ? "," : "\",\"reason\":\""), quality_reason(reading->quality));
    at = put_unsigned(put(at, csv ? "," : "\",\"detail\":"), reading->detail);
    at = put(at, csv ? "\n" : "}\n");
    return (size_t)(at - ret_line);
}
