#include "gateway/common/hex.h"

#include <string.h>

static const char digits[] = "0123456789abcdef";

void hex_encode(const uint8_t *bytes, size_t length, char *ret_text) {
    for (size_t i = 0; i < length; i++) {
        ret_text[2 * i] = digits[bytes[i] >> 4];
        ret_text[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret_text[2 * length] = '\0';
}

bool hex_decode(const char *text, uint8_t *ret_bytes, size_t length) {
    if (strlen(text) != 2 * length || strspn(text, digits) != 2 * length)
        return false;
    for (size_t i = 0; i < length; i++) {
        const size_t high = (size_t)(strchr(digits, text[2 * i]) - digits);
        const size_t low = (size_t)(strchr(digits, text[2 * i + 1]) - digits);
        ret_bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
