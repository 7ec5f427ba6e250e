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

enum ask_call { ASK_TRACE, ASK_PROBE, ASK_PROBE_TAG, ASK_WRITE };

struct ask {
    enum ask_call call;
    char bus[PLANT_NAME_MAX];
    uint64_t after;                  /* of TRACE: position of recorder.h */
    uint8_t unit;                    /* of PROBE */
    enum plant_table table;          /* of PROBE */
    uint16_t address;                /* of PROBE: wire, 0-based */
    uint8_t count;                   /* of PROBE: registers or bits, 1..125 */
    char instrument[PLANT_NAME_MAX]; /* of PROBE_TAG, WRITE */
    char name[PLANT_NAME_MAX];       /* the tag; of WRITE: see plant_write.h */
    double value;                    /* of WRITE */
    uint64_t grant;                  /* of WRITE: its id, not 0 */
    int64_t expires_ms;              /* of WRITE: monotonic; this machine has one such clock for all programs */
};

/* Read {"call": "trace", "bus", "after"}, {"call": "probe", "bus", "unit", "table", "address", "count"}, {"call":
 * "probe-tag", "bus", "instrument", "name"} or {"call": "write", "bus", "instrument", "name", "value", "grant": 16
 * hexadecimal digits, "expires_ms"}.
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
