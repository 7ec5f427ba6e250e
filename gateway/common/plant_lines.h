/* plant_lines.h - how an instrument that speaks in lines of text is asked and understood: part of plant.h. Plain data,
 * its JSON form, and the way control characters are written. Pure. */
#ifndef FB_COMMON_PLANT_LINES_H
#define FB_COMMON_PLANT_LINES_H

#include <jansson.h>
#include <stdint.h>

#include "gateway/common/error.h"

#define PLANT_LINES_ASK_MAX 64    /* bytes with NUL, as written */
#define PLANT_LINES_END_MAX 16    /* the same */
#define PLANT_LINES_BEGIN_MAX 32  /* the same, of a line's beginning */
#define PLANT_LINES_FIELD_MOST 99 /* fields of a line */
#define PLANT_LINES_BYTES_MAX 256 /* of one line as it comes, its end included */

enum plant_protocol {
    PLANT_REGISTERS = 0, /* the instrument has registers: what follows means nothing */
    PLANT_LINES,
    PLANT_SDI12, /* through an adapter that passes commands and lines on; SDI-12 specification 1.4 */
};

enum plant_checksum {
    PLANT_CHECKSUM_NONE = 0,
    PLANT_CHECKSUM_NMEA,  /* $...*HH: exclusive or of what is between, NMEA 0183; $ or ! and the sum are taken off */
    PLANT_CHECKSUM_XOR,   /* two hexadecimal digits at the end: exclusive or of all before */
    PLANT_CHECKSUM_SUM,   /* the same: sum of all before, modulo 256 */
    PLANT_CHECKSUM_CRC16, /* four at the end: CRC-16 of Modbus of all before, high byte first */
    PLANT_CHECKSUM_SDI12, /* three characters at the end: SDI-12 1.4, section 4.4.12 */
};

struct plant_lines {
    enum plant_protocol protocol;
    char ask[PLANT_LINES_ASK_MAX]; /* what is sent, {unit} standing for the unit's number; "" for an instrument that
                                      speaks by itself. SDI-12: the command without address and "!": M, M1, MC, R0 */
    char end[PLANT_LINES_END_MAX]; /* what ends a line, as written; at least one byte */
    enum plant_checksum checksum;
    char separator[2]; /* between fields; "": white space */
};

extern const char *const plant_protocol_words[]; /* "registers", "lines", "sdi12" */
extern const char *const plant_checksum_words[]; /* "none", "nmea", "xor", "sum", "crc16", "sdi12" */

/* {"protocol", "ask", "end", "checksum", "separator"}. New reference, NULL when out of memory. */
json_t *plant_lines_to_json(const struct plant_lines *lines);
/* Every field required, checked. FB_INVALID leaves ret_lines as it was. */
enum fb_error plant_lines_from_json(const json_t *json, struct plant_lines *ret_lines,
                                    struct fb_cause *cause) FB_MUST_USE;

/* The address of an SDI-12 sensor with this unit: '0' to '9' for 0 to 9, and the letters a to z and A to Z, which stand
 * for themselves (1.4, section 4.4); NUL for any other. */
char plant_lines_address(uint8_t unit);

/* The bytes that a text stands for: \r \n \t \\ and \x0d. Returns their number; -1 for another \ or when there are more
 * than size. */
int plant_lines_bytes(const char *text, uint8_t *ret_bytes, size_t size);

/* FB_INVALID with a cause that says what cannot be. A question is one line of ASCII text that no SDI-12 sensor takes
 * for a change of its settings; of SDI-12 only measurements are. */
enum fb_error plant_lines_check(const struct plant_lines *lines, struct fb_cause *cause) FB_MUST_USE;

#endif
