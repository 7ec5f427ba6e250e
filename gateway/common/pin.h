/* pin.h - the text form of a public key pin: "sha256:" and the base64 (RFC 4648, section 4) of the SHA-256 of a
 * certificate's SubjectPublicKeyInfo, as RFC 7469 takes it. Used by config and gateway/amqp. Pure. */
#ifndef FB_COMMON_PIN_H
#define FB_COMMON_PIN_H

#include <stdint.h>

#include "gateway/common/error.h"

#define PIN_BYTES 32
#define PIN_TEXT_MAX 52 /* bytes with NUL */

/* One way to write each pin: 43 digits and one "=". FB_INVALID; ret_pin is untouched then. */
enum fb_error pin_read(const char *text, uint8_t ret_pin[static PIN_BYTES], struct fb_cause *cause) FB_MUST_USE;
void pin_write(const uint8_t pin[static PIN_BYTES], char ret_text[static PIN_TEXT_MAX]);

#endif
