/* ask.h - what a person asks of a bus through core: its last frames, or one read of a unit. Parsing and answers; used
 * by forebay-field's parent, its workers, and the command line. Pure. */
#ifndef FB_DRIVERS_ASK_H
#define FB_DRIVERS_ASK_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/recorder.h"
#include "gateway/common/error.h"
#include "gateway/common/plant.h"

/* Bytes of the JSON of one request. */
#define ASK_BYTES_MAX 1024

enum ask_call { ASK_TRACE, ASK_PROBE };

struct ask {
    enum ask_call call;
    char bus[PLANT_NAME_MAX];
    uint64_t after;         /* of TRACE: position of recorder.h */
    uint8_t unit;           /* of PROBE */
    enum plant_table table; /* of PROBE */
    uint16_t address;       /* of PROBE: wire, 0-based */
    uint8_t count;          /* of PROBE: registers or bits, 1..125 */
};

/* Read {"call": "trace", "bus", "after"} or {"call": "probe", "bus", "unit", "table", "address", "count"}.
 * FB_INVALID, FB_LIMIT: the cause says what is wrong. */
enum fb_error ask_read(const char *text, size_t length, struct ask *ret_ask, struct fb_cause *cause) FB_MUST_USE;

/* Answers as a control call gives them (docs/api.md); malloc, NULL when out of memory. */
char *ask_answer(json_t *result); /* takes the reference */
char *ask_failure(enum fb_error error, const char *reason);

/* {"next", "lost", "frames": [{"time_us", "out", "bytes": HEX}]}; new reference, NULL when out of memory. */
json_t *ask_trace(const struct recorder *recorder, uint64_t after);

/* The bytes as lower-case hexadecimal; new reference, NULL when out of memory. length: at most
 * RECORDER_FRAME_BYTES_MAX. */
json_t *ask_hex(const uint8_t *bytes, size_t length);

#endif
