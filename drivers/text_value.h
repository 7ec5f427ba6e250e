/* text_value.h - what an instrument sends as text, in registers or in a field of a line, to a reading. Pure.
 *
 * The rule, for whatever bytes there are: a text ends at its first NUL, and blanks around it are padding. It is UTF-8
 * if all of it is; else every byte beyond ASCII is a character of ISO 8859-1 (B0h: the degree sign). What has a control
 * character is no text: bad reply. Nothing but FFh is how empty memory reads: no value. Of more than READING_TEXT_MAX
 * bytes of UTF-8 the first characters are kept, with "..." as one character (U+2026) behind them. */
#ifndef FB_DRIVERS_TEXT_VALUE_H
#define FB_DRIVERS_TEXT_VALUE_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/common/reading.h"

/* Bytes that are looked at, at most. */
#define TEXT_VALUE_BYTES_MAX 256

/* length: at most TEXT_VALUE_BYTES_MAX. Returns the units used. */
size_t text_value_make(uint32_t tag, const uint8_t *bytes, size_t length, int64_t time_ms,
                       struct reading ret_units[static READING_UNITS_MAX]);

#endif
