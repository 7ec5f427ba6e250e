#include "gateway/common/base64url.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_encode(const uint8_t *bytes, size_t length, char *ret_text) {
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < length; i++) {
        bits = bits << 8 | bytes[i];
        for (held += 8; held >= 6; held -= 6)
            *ret_text++ = digits[bits >> (held - 6) & 63];
    }
    if (held > 0)
        *ret_text++ = digits[bits << (6 - held) & 63];
    *ret_text = '\0';
}

bool base64url_decode(const char *text, size_t length, uint8_t *ret_bytes, size_t *ret_length) {
    uint32_t bits = 0;
    unsigned held = 0;
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        const char *digit = text[i] != '\0' ? strchr(digits, text[i]) : NULL;
        if (digit == NULL)
            return false;
        bits = bits << 6 | (uint32_t)(digit - digits);
        held += 6;
        if (held >= 8) {
            held -= 8;
            ret_bytes[used++] = (uint8_t)(bits >> held);
        }
    }
    *ret_length = used;
    return held < 6 && (bits & ((1u << held) - 1)) == 0;
}
