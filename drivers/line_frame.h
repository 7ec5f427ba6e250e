/* line_frame.h - lines of text from instruments: is this line whole and meant for us, and which numbers stand in it.
 * Pure. After NMEA 0183 (framing and checksum) and SDI-12 1.4 (section 4.4). */
#ifndef FB_DRIVERS_LINE_FRAME_H
#define FB_DRIVERS_LINE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/plan.h"
#include "gateway/common/clock.h"
#include "gateway/common/plant_lines.h"

/* Take the checksum, and what stands around it, off a line without its end. ret_body: NUL-terminated, room for
 * PLANT_LINES_BYTES_MAX + 1. NULL when it is good, else the reason: a wrong checksum, none at all, a control character
 * in the text. length: at most PLANT_LINES_BYTES_MAX. */
const char *line_body(enum plant_checksum checksum, const uint8_t *line, size_t length, char *ret_body);

/* True when the body begins so; ? stands for any character. */
bool line_begins(const char *body, const char *beginning);

enum line_value {
    LINE_FOUND,
    LINE_EMPTY,  /* the field is there and empty: how NMEA 0183 says that it has no value */
    LINE_STRANGE /* no such field, or no decimal number in it */
};

/* A field of what follows the beginning in the body, counted from 1, without the blanks before it. ret_text: in body,
 * ret_length bytes. */
enum line_value line_text(const char *body, const char *beginning, unsigned field, const char *separator,
                          const char **ret_text, size_t *ret_length);

/* The number in a field of what follows the beginning in the body, counted from 1. After the number only a unit may
 * stand: it begins with a letter, % or a character beyond ASCII, and has no digits unless a blank is before it. */
enum line_value line_number(const char *body, const char *beginning, unsigned field, const char *separator,
                            double *ret_number);

/* The driver's reply (bodies, each ended by a line feed, with a NUL behind the last) to readings, as decode_reply():
 * those whose line did not come have quality timeout, strange ones bad reply, empty ones no value. */
size_t line_decode_reply(const struct plan_request *request, const uint8_t *data, int64_t time_ms,
                         enum clock_state clock, struct reading *ret_readings);

/* The bytes to send: the instrument's ask with {unit} replaced. Returns their number, at most PLANT_LINES_ASK_MAX. */
size_t line_request(const struct plant_instrument *instrument, uint8_t ret_bytes[static PLANT_LINES_ASK_MAX]);

/* SDI-12: "atttn" (n of one to three digits), the answer to a measurement command: seconds until ready, and values.
 * False when it is none of the sensor with this address. */
bool line_sdi12_announced(const char *body, char address, unsigned *ret_seconds, unsigned *ret_values);
/* SDI-12: values behind the address, each begun by its sign, appended to text with a blank between them. Returns how
 * many; 0 when this is no such line or size is too small for it. */
size_t line_sdi12_values(const char *body, char address, char *text, size_t size);

#endif
