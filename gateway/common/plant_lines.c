#include "gateway/common/plant_lines.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/json.h"

#define COUNT(list) (sizeof(list) / sizeof(list)[0])
#define LINES(member) JSON_FIELD_MEMBER(struct plant_lines, member)

const char *const plant_protocol_words[] = {"registers", "lines", "sdi12", NULL};
const char *const plant_checksum_words[] = {"none", "nmea", "xor", "sum", "crc16", "sdi12", NULL};

static const struct json_field fields[] = {
    {"protocol", JSON_FIELD_WORD, LINES(protocol), .words = plant_protocol_words},
    {"ask", JSON_FIELD_TEXT, LINES(ask)},
    {"end", JSON_FIELD_TEXT, LINES(end)},
    {"checksum", JSON_FIELD_WORD, LINES(checksum), .words = plant_checksum_words},
    {"separator", JSON_FIELD_TEXT, LINES(separator)},
};

json_t *plant_lines_to_json(const struct plant_lines *lines) {
    return json_write_fields(fields, COUNT(fields), lines);
}

enum fb_error plant_lines_from_json(const json_t *json, struct plant_lines *ret_lines, struct fb_cause *cause) {
    struct plant_lines lines = {0};
    enum fb_error error = json_read_fields(json, fields, COUNT(fields), &lines, cause);
    if (error == FB_OK)
        error = plant_lines_check(&lines, cause);
    if (error == FB_OK)
        *ret_lines = lines;
    return error;
}

/* The byte that an escape stands for, text being behind its \. Returns how many characters it has, 0 for none. */
static size_t read_escape(const char *text, uint8_t *ret_byte) {
    static const char letters[] = "rnt\\", bytes[] = "\r\n\t\\";
    const char *letter = text[0] != '\0' ? strchr(letters, text[0]) : NULL;
    if (letter != NULL) {
        *ret_byte = (uint8_t)bytes[letter - letters];
        return 1;
    }
    if (text[0] != 'x' || !isxdigit((unsigned char)text[1]) || !isxdigit((unsigned char)text[2]))
        return 0;
    const char digits[] = {text[1], text[2], '\0'};
    *ret_byte = (uint8_t)strtoul(digits, NULL, 16);
    return 3;
}

int plant_lines_bytes(const char *text, uint8_t *ret_bytes, size_t size) {
    size_t count = 0;
    while (*text != '\0') {
        uint8_t byte = (uint8_t)*text++;
        if (byte == '\\') {
            const size_t length = read_escape(text, &byte);
            if (length == 0)
                return -1;
            text += length;
        }
        if (count == size)
            return -1;
        ret_bytes[count++] = byte;
    }
    return (int)count;
}

char plant_lines_address(uint8_t unit) {
    if (unit <= 9)
        return (char)('0' + unit);
    return (unit >= 'a' && unit <= 'z') || (unit >= 'A' && unit <= 'Z') ? (char)unit : '\0';
}

/* aAb! gives a sensor another address, aX...! is whatever its maker made of it: SDI-12 1.4, sections 4.4.7 and 4.4.11.
 */
static bool sets_sdi12(const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i + 2 < length; i++) {
        const bool to_sensor = isalnum(bytes[i]) || bytes[i] == '?' || bytes[i] == '}';
        const uint8_t *end = memchr(bytes + i, '!', length - i);
        if (to_sensor && end != NULL && (bytes[i + 1] == 'X' || (bytes[i + 1] == 'A' && end == bytes + i + 3)))
            return true;
    }
    return false;
}

static bool is_line_end(uint8_t byte) {
    return byte == '\r' || byte == '\n';
}

/* One line: ends of lines stand before and behind it alone. */
static bool is_one_line(const uint8_t *bytes, size_t length) {
    while (length > 0 && is_line_end(bytes[length - 1]))
        length--;
    size_t i = 0;
    while (i < length && is_line_end(bytes[i]))
        i++;
    while (i < length && !is_line_end(bytes[i]))
        i++;
    return i == length;
}

static enum fb_error check_question(const uint8_t *bytes, size_t length, struct fb_cause *cause) {
    for (size_t i = 0; i < length; i++)
        if (bytes[i] == 0 || bytes[i] > 0x7f)
            return fb_fail(cause, FB_INVALID, "ask: a question is ASCII text; bytes 0 and beyond 127 are not allowed");
    if (!is_one_line(bytes, length))
        return fb_fail(cause, FB_INVALID, "ask: only one question, without a line end inside it");
    if (sets_sdi12(bytes, length))
        return fb_fail(cause, FB_INVALID, "ask: is an SDI-12 command that changes a sensor, and this only reads");
    return FB_OK;
}

/* M, M1..M9, MC, MC1..MC9, C.., CC.., R0..R9, RC0..RC9: SDI-12 1.4, section 4.4; none of them changes a setting. */
static bool is_measurement(const char *command) {
    const char *rest = command;
    if (*rest != 'M' && *rest != 'C' && *rest != 'R')
        return false;
    const bool continuous = *rest++ == 'R';
    rest += *rest == 'C';
    if (continuous && !isdigit((unsigned char)*rest))
        return false;
    rest += isdigit((unsigned char)*rest) != 0;
    return *rest == '\0';
}

enum fb_error plant_lines_check(const struct plant_lines *lines, struct fb_cause *cause) {
    uint8_t bytes[PLANT_LINES_ASK_MAX];
    if (lines->protocol == PLANT_REGISTERS)
        return FB_OK;
    const int length = plant_lines_bytes(lines->ask, bytes, sizeof bytes);
    if (length < 0)
        return fb_fail(cause, FB_INVALID, "ask: after \\ only r, n, t, \\ and x with two digits are allowed");
    if (lines->protocol == PLANT_LINES && check_question(bytes, (size_t)length, cause) != FB_OK)
        return FB_INVALID;
    if (plant_lines_bytes(lines->end, bytes, sizeof bytes) <= 0)
        return fb_fail(cause, FB_INVALID, "end: give what ends a line, like \\r\\n");
    if (lines->protocol == PLANT_SDI12 && !is_measurement(lines->ask))
        return fb_fail(cause, FB_INVALID,
                       "ask: %s is no SDI-12 measurement; allowed are M, MC, C, CC, M1 to CC9, R0 to RC9", lines->ask);
    if (lines->protocol == PLANT_SDI12 && lines->checksum != PLANT_CHECKSUM_NONE &&
        lines->checksum != PLANT_CHECKSUM_SDI12)
        return fb_fail(cause, FB_INVALID, "checksum: of SDI-12 is none or sdi12");
    return FB_OK;
}
