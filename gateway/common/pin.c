#include "gateway/common/pin.h"

#include <stdio.h>
#include <string.h>

#define PREFIX "sha256:"
#define DIGITS 43 /* 6 bits each; the last one carries 4, its other two are 0 */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

_Static_assert(sizeof PREFIX + DIGITS + 1 == PIN_TEXT_MAX, "prefix, digits, one =, NUL");

static enum fb_error refuse(struct fb_cause *cause) {
    return fb_fail(cause, FB_INVALID, "is no pin; give sha256: and the 44 characters of the key's SHA-256 in base64");
}

enum fb_error pin_read(const char *text, uint8_t ret_pin[static PIN_BYTES], struct fb_cause *cause) {
    uint8_t pin[PIN_BYTES + 1] = {0};
    const size_t prefix = sizeof PREFIX - 1;
    if (strlen(text) != PIN_TEXT_MAX - 1 || strncmp(text, PREFIX, prefix) != 0 || text[prefix + DIGITS] != '=')
        return refuse(cause);
    for (size_t i = 0; i < DIGITS; i++) {
        const char *digit = strchr(alphabet, text[prefix + i]);
        if (digit == NULL)
            return refuse(cause);
        const unsigned value = (unsigned)(digit - alphabet);
        const size_t bit = 6 * i;
        const unsigned shifted = value << (10 - bit % 8); /* of the 16 bits that begin with the byte of its first */
        pin[bit / 8] |= (uint8_t)(shifted >> 8);
        if (bit / 8 + 1 < sizeof pin)
            pin[bit / 8 + 1] |= (uint8_t)shifted;
    }
    if (pin[PIN_BYTES] != 0)
        return refuse(cause);
    memcpy(ret_pin, pin, PIN_BYTES);
    return FB_OK;
}

void pin_write(const uint8_t pin[static PIN_BYTES], char ret_text[static PIN_TEXT_MAX]) {
    char digits[DIGITS + 1] = "";
    for (size_t i = 0; i < DIGITS; i++) {
        const size_t bit = 6 * i;
        const unsigned next = bit / 8 + 1 < PIN_BYTES ? pin[bit / 8 + 1] : 0;
        digits[i] = alphabet[(((unsigned)pin[bit / 8] << 8 | next) >> (10 - bit % 8)) & 63];
    }
    snprintf(ret_text, PIN_TEXT_MAX, PREFIX "%s=", digits);
}
