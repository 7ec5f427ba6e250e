/* base64url.h - bytes as base64url without padding (RFC 4648 section 5, RFC 7515 section 2), one way to write each.
 * Pure. Used for signed commands. */
#ifndef FB_COMMON_BASE64URL_H
#define FB_COMMON_BASE64URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters with NUL of so many bytes, and bytes that so many characters can hold. */
#define BASE64URL_TEXT_BYTES(length) (((length) * 4 + 2) / 3 + 1)
#define BASE64URL_BYTES(characters) ((characters) * 3 / 4)

/* ret_text: BASE64URL_TEXT_BYTES(length) of room; ends with NUL. */
void base64url_encode(const uint8_t *bytes, size_t length, char *ret_text);

/* ret_bytes: BASE64URL_BYTES(length) of room. False: a character that does not belong there, padding, a length that
 * cannot be, or bits behind the last byte that are not 0. */
bool base64url_decode(const char *text, size_t length, uint8_t *ret_bytes, size_t *ret_length);

#endif
