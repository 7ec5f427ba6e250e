/* hex.h - bytes as lower-case hexadecimal digits and back. Pure. */
#ifndef FB_COMMON_HEX_H
#define FB_COMMON_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ret_text: 2 x length + 1 bytes of room. */
void hex_encode(const uint8_t *bytes, size_t length, char *ret_text);
/* False unless text is exactly 2 x length digits. */
bool hex_decode(const char *text, uint8_t *ret_bytes, size_t length);

#endif
