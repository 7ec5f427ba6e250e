#include "drivers/text_value.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "gateway/common/quality.h"

#define LATIN1_FIRST 0xa0 /* 80h to 9Fh are control characters of ISO 8859-1 */

static const char ellipsis[] = "\xe2\x80\xa6";

static bool is_blank(uint8_t byte) {
    return byte == ' ';
}

static bool is_unwritten(const uint8_t *bytes, size_t length) {
    size_t i = 0;
    while (i < length && bytes[i] == 0xff)
        i++;
    return length > 0 && i == length;
}

/* The text without its padding. */
static const uint8_t *trim(const uint8_t *bytes, size_t *length) {
    *length = strnlen((const char *)bytes, *length);
    while (*length > 0 && is_blank(bytes[*length - 1]))
        --*length;
    while (*length > 0 && is_blank(*bytes)) {
        bytes++;
        --*length;
    }
    return bytes;
}

/* False when there is a control character. */
static bool from_latin1(const uint8_t *bytes, size_t length, char *ret_text, size_t *ret_length) {
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        const uint8_t byte = bytes[i];
        if (byte < ' ' || (byte >= 0x7f && byte < LATIN1_FIRST))
            return false;
        if (byte < 0x7f) {
            ret_text[used++] = (char)byte;
            continue;
        }
        ret_text[used++] = (char)(0xc0 | byte >> 6);
        ret_text[used++] = (char)(0x80 | (byte & 0x3f));
    }
    *ret_length = used;
    return true;
}

/* Whole characters only. text has room for the ellipsis. */
static size_t shorten(char *text, size_t length) {
    if (length <= READING_TEXT_MAX)
        return length;
    size_t kept = READING_TEXT_MAX - strlen(ellipsis);
    while (((uint8_t)text[kept] & 0xc0) == 0x80)
        kept--;
    memcpy(text + kept, ellipsis, strlen(ellipsis));
    return kept + strlen(ellipsis);
}

size_t text_value_make(uint32_t tag, const uint8_t *bytes, size_t length, int64_t time_ms,
                       struct reading ret_units[static READING_UNITS_MAX]) {
    char text[2 * TEXT_VALUE_BYTES_MAX];
    assert(length <= TEXT_VALUE_BYTES_MAX);
    if (is_unwritten(bytes, length)) {
        ret_units[0] = reading_bad(tag, READING_TEXT, time_ms, QUALITY_SENTINEL, 0);
        return 1;
    }
    const uint8_t *begin = trim(bytes, &length);
    if (reading_text_valid(begin, length)) {
        memcpy(text, begin, length);
    } else if (!from_latin1(begin, length, text, &length)) {
        ret_units[0] = reading_bad(tag, READING_TEXT, time_ms, QUALITY_BAD_REPLY, 0);
        return 1;
    }
    return reading_make_text(tag, time_ms, QUALITY_GOOD, text, shorten(text, length), ret_units);
}
