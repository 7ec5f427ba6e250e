#include "drivers/line_frame.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/checksum.h"
#include "drivers/decode.h"
#include "drivers/text_value.h"
#include "gateway/common/quality.h"

#define NUMBER_CHARACTERS_MAX 40
#define SDI12_CRC_CHARACTERS 3

static const char wrong_sum[] = "wrong checksum";
static const char no_sum[] = "no checksum in the line";

static uint16_t sum_xor(const void *bytes, size_t length) {
    return checksum_xor(bytes, length);
}

static uint16_t sum_plain(const void *bytes, size_t length) {
    return checksum_sum(bytes, length);
}

/* Each kind that ends in hexadecimal digits. */
static const struct {
    size_t digits;
    uint16_t (*sum)(const void *bytes, size_t length);
} sums[] = {
    [PLANT_CHECKSUM_NMEA] = {2, sum_xor},  [PLANT_CHECKSUM_XOR] = {2, sum_xor},
    [PLANT_CHECKSUM_SUM] = {2, sum_plain}, [PLANT_CHECKSUM_CRC16] = {4, checksum_crc16},
    [PLANT_CHECKSUM_SDI12] = {0, NULL},
};

static bool read_digits(const uint8_t *text, size_t count, uint16_t *ret_number) {
    unsigned number = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isxdigit(text[i]))
            return false;
        const char digit[] = {(char)text[i], '\0'};
        number = number << 4 | (unsigned)strtoul(digit, NULL, 16);
    }
    *ret_number = (uint16_t)number;
    return true;
}

/* How many bytes of the line the digits at its end are about; SIZE_MAX with a reason when they are wrong. */
static size_t check_digits(enum plant_checksum checksum, const uint8_t *line, size_t length, const char **ret_reason) {
    const size_t digits = sums[checksum].digits;
    uint16_t said;
    *ret_reason = no_sum;
    if (length <= digits || !read_digits(line + length - digits, digits, &said))
        return SIZE_MAX;
    const size_t covered = length - digits;
    *ret_reason = sums[checksum].sum(line, covered) == said ? NULL : wrong_sum;
    return *ret_reason == NULL ? covered : SIZE_MAX;
}

/* $YXMTW,17.75,C*5D: the sum is about what is between $ and *. */
static size_t check_nmea(const uint8_t *line, size_t length, const char **ret_reason) {
    const size_t star = length - 3;
    uint16_t said;
    *ret_reason = no_sum;
    if (length < 5 || (line[0] != '$' && line[0] != '!') || line[star] != '*' ||
        !read_digits(line + star + 1, 2, &said))
        return SIZE_MAX;
    *ret_reason = checksum_xor(line + 1, star - 1) == said ? NULL : wrong_sum;
    return *ret_reason == NULL ? star : SIZE_MAX;
}

/* SDI-12 1.4, section 4.4.12.3: sixteen bits as three characters of 4, 6 and 6 bits above 64. */
static size_t check_sdi12(const uint8_t *line, size_t length, const char **ret_reason) {
    *ret_reason = no_sum;
    if (length <= SDI12_CRC_CHARACTERS)
        return SIZE_MAX;
    const size_t covered = length - SDI12_CRC_CHARACTERS;
    const uint16_t crc = checksum_crc16_sdi12(line, covered);
    const uint8_t wanted[] = {(uint8_t)(0x40 | crc >> 12), (uint8_t)(0x40 | (crc >> 6 & 0x3f)),
                              (uint8_t)(0x40 | (crc & 0x3f))};
    *ret_reason = memcmp(line + covered, wanted, sizeof wanted) == 0 ? NULL : wrong_sum;
    return *ret_reason == NULL ? covered : SIZE_MAX;
}

static size_t check_sum(enum plant_checksum checksum, const uint8_t *line, size_t length, const char **ret_reason) {
    *ret_reason = NULL;
    if (checksum == PLANT_CHECKSUM_NONE)
        return length;
    if (checksum == PLANT_CHECKSUM_NMEA)
        return check_nmea(line, length, ret_reason);
    if (checksum == PLANT_CHECKSUM_SDI12)
        return check_sdi12(line, length, ret_reason);
    return check_digits(checksum, line, length, ret_reason);
}

const char *line_body(enum plant_checksum checksum, const uint8_t *line, size_t length, char *ret_body) {
    const char *reason;
    const size_t end = check_sum(checksum, line, length, &reason);
    if (end == SIZE_MAX)
        return reason;
    const size_t begin = checksum == PLANT_CHECKSUM_NMEA;
    for (size_t i = begin; i < end; i++)
        if ((line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f)
            return "a control character in the line";
    memcpy(ret_body, line + begin, end - begin);
    ret_body[end - begin] = '\0';
    return NULL;
}

bool line_begins(const char *body, const char *beginning) {
    for (; *beginning != '\0'; beginning++, body++)
        if (*body == '\0' || (*beginning != '?' && *beginning != *body))
            return false;
    return true;
}

/* Where the field begins, and how long it is; NULL when there are fewer. */
static const char *find_field(const char *text, unsigned field, const char *separator, size_t *ret_length) {
    const bool blanks = separator[0] == '\0';
    const char *set = blanks ? " \t" : separator;
    for (unsigned i = 1;; i++) {
        if (blanks)
            text += strspn(text, set);
        const size_t length = strcspn(text, set);
        if (i == field) {
            *ret_length = length;
            return blanks && length == 0 ? NULL : text;
        }
        if (text[length] == '\0')
            return NULL;
        text += length + 1;
    }
}

/* How long the decimal number is that the text begins with; 0 when it begins with none. */
static size_t number_length(const char *text) {
    static const char digits[] = "0123456789";
    size_t at = text[0] == '+' || text[0] == '-';
    const size_t whole = strspn(text + at, digits);
    at += whole;
    size_t fraction = 0;
    if (text[at] == '.') {
        fraction = strspn(text + at + 1, digits);
        at += 1 + fraction;
    }
    if (whole + fraction == 0)
        return 0;
    if (text[at] != 'e' && text[at] != 'E')
        return at;
    const size_t sign = text[at + 1] == '+' || text[at + 1] == '-';
    const size_t exponent = strspn(text + at + 1 + sign, digits);
    return exponent > 0 ? at + 1 + sign + exponent : at;
}

/* What may stand behind a number. Without a blank before it, it has no digits: 7A3F is no 7 with a unit. */
static bool is_unit(const char *text) {
    const size_t blanks = strspn(text, " \t");
    const unsigned char first = (unsigned char)text[blanks];
    return first == '\0' ||
           ((first == '%' || isalpha(first) || first >= 0x80) && (blanks > 0 || strpbrk(text, "0123456789") == NULL));
}

enum line_value line_text(const char *body, const char *beginning, unsigned field, const char *separator,
                          const char **ret_text, size_t *ret_length) {
    size_t length;
    const char *found = find_field(body + strlen(beginning), field, separator, &length);
    if (found == NULL)
        return LINE_STRANGE;
    const size_t blanks = strspn(found, " \t");
    if (blanks >= length)
        return LINE_EMPTY;
    *ret_text = found + blanks;
    *ret_length = length - blanks;
    return LINE_FOUND;
}

enum line_value line_number(const char *body, const char *beginning, unsigned field, const char *separator,
                            double *ret_number) {
    char text[PLANT_LINES_BYTES_MAX + 1];
    const char *found;
    size_t length;
    const enum line_value value = line_text(body, beginning, field, separator, &found, &length);
    if (value != LINE_FOUND)
        return value;
    snprintf(text, sizeof text, "%.*s", (int)length, found);
    const size_t digits = number_length(text);
    if (digits == 0 || digits > NUMBER_CHARACTERS_MAX || !is_unit(text + digits))
        return LINE_STRANGE;
    text[digits] = '\0';
    *ret_number = strtod(text, NULL);
    return LINE_FOUND;
}

/* Scale, offset and range are those of a 64-bit register value: one way to do them. */
static struct reading decode_number(const struct plant_tag *tag, double number, int64_t time_ms) {
    uint64_t bits;
    uint8_t bytes[8];
    memcpy(&bits, &number, sizeof bits);
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(bits >> 8 * (sizeof bytes - 1 - i));
    return decode_tag(tag, bytes, time_ms);
}

static enum line_value decode_line(const struct plant_tag *tag, const char *body, const char *separator,
                                   int64_t time_ms, struct reading *ret_units) {
    double number;
    const char *text;
    size_t length;
    const bool is_text = tag->type == PLANT_TEXT;
    const enum line_value value = is_text ? line_text(body, tag->line, tag->field, separator, &text, &length)
                                          : line_number(body, tag->line, tag->field, separator, &number);
    if (value == LINE_FOUND && is_text)
        text_value_make(tag->number, (const uint8_t *)text, length, time_ms, ret_units);
    else if (value == LINE_FOUND)
        *ret_units = decode_number(tag, number, time_ms);
    return value;
}

/* The line that the tag is in, NUL-terminated. False: it did not come. */
static bool find_line(const char *data, const char *beginning, char *ret_body) {
    for (size_t length; (length = strcspn(data, "\n")) > 0; data += length + (data[length] == '\n')) {
        snprintf(ret_body, PLANT_LINES_BYTES_MAX + 1, "%.*s", (int)length, data);
        if (line_begins(ret_body, beginning))
            return true;
    }
    return false;
}

/* The tag's reading from the lines that have come. */
static void decode_lines(const struct plant_tag *tag, const char *data, const char *separator, int64_t time_ms,
                         struct reading *ret_units) {
    static const uint8_t qualities[] = {[LINE_EMPTY] = QUALITY_SENTINEL, [LINE_STRANGE] = QUALITY_BAD_REPLY};
    char body[PLANT_LINES_BYTES_MAX + 1];
    *ret_units = reading_bad(tag->number, plant_tag_kind(tag), time_ms, QUALITY_TIMEOUT, 0);
    if (!find_line(data, tag->line, body))
        return;
    const enum line_value value = decode_line(tag, body, separator, time_ms, ret_units);
    if (value != LINE_FOUND)
        ret_units->quality = qualities[value];
}

size_t line_decode_reply(const struct plan_request *request, const uint8_t *data, int64_t time_ms,
                         enum clock_state clock, struct reading *ret_readings) {
    struct reading *reading = ret_readings;
    for (size_t i = 0; i < request->tag_count; i++) {
        decode_lines(request->tags[i], (const char *)data, request->instrument->lines.separator, time_ms, reading);
        if (clock == CLOCK_NOT_SET && reading->quality == QUALITY_GOOD)
            reading->quality = QUALITY_CLOCK_NOT_SET;
        reading += reading_units(reading);
    }
    return (size_t)(reading - ret_readings);
}

size_t line_request(const struct plant_instrument *instrument, uint8_t ret_bytes[static PLANT_LINES_ASK_MAX]) {
    static const char place[] = "{unit}";
    char text[PLANT_LINES_ASK_MAX];
    const char *ask = instrument->lines.ask, *found = strstr(ask, place);
    if (found != NULL)
        snprintf(text, sizeof text, "%.*s%u%s", (int)(found - ask), ask, instrument->unit, found + strlen(place));
    const int length = plant_lines_bytes(found != NULL ? text : ask, ret_bytes, PLANT_LINES_ASK_MAX);
    return length > 0 ? (size_t)length : 0;
}

bool line_sdi12_announced(const char *body, char address, unsigned *ret_seconds, unsigned *ret_values) {
    const size_t digits = strspn(body + (body[0] != '\0'), "0123456789");
    if (body[0] != address || digits < 4 || digits > 6 || body[1 + digits] != '\0')
        return false;
    char seconds[4] = {body[1], body[2], body[3], '\0'};
    *ret_seconds = (unsigned)strtoul(seconds, NULL, 10);
    *ret_values = (unsigned)strtoul(body + 4, NULL, 10);
    return true;
}

size_t line_sdi12_values(const char *body, char address, char *text, size_t size) {
    size_t used = strlen(text), count = 0;
    if (body[0] != address)
        return 0;
    for (const char *at = body + 1; *at != '\0'; count++) {
        const size_t length = number_length(at);
        if ((*at != '+' && *at != '-') || length == 0 || used + length + 2 > size)
            return 0;
        used += (size_t)snprintf(text + used, size - used, "%s%.*s", used > 0 ? " " : "", (int)length, at);
        at += length;
    }
    return count;
}
