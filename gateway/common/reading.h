/* reading.h - one value of one tag at one time with one quality; the unit that travels from the field to the store.
 * Between programs readings travel as packed arrays of struct reading (one machine, one build, versioned messages). */
#ifndef FB_COMMON_READING_H
#define FB_COMMON_READING_H

#include <stdbool.h>
#include <stdint.h>

/* Numbers are part of docs/batch.md. */
enum reading_kind {
    READING_REAL64 = 0,  /* IEEE 754 double */
    READING_REAL32 = 1,  /* IEEE 754 single, as read from the wire */
    READING_INTEGER = 2, /* signed 64 bits */
    READING_BOOLEAN = 3,
};

struct reading {
    uint32_t tag;    /* the tag's number, 1 and up */
    uint8_t kind;    /* enum reading_kind */
    uint8_t quality; /* enum quality; of class bad: value is 0 and means nothing */
    uint16_t detail; /* what quality cannot say: the Modbus exception code; else 0 */
    int64_t time_ms; /* UTC, milliseconds since 1970 */
    union {
        double real64;
        float real32; /* the other four bytes are 0 */
        int64_t integer;
        bool boolean; /* the other seven bytes are 0 */
        uint64_t bits;
    } value;
};

_Static_assert(sizeof(struct reading) == 24, "readings travel as packed arrays");

/* 1970 (a clock that was never set starts there) and 2200: times outside are refused at every border. */
#define READING_TIME_MIN_MS INT64_C(0)
#define READING_TIME_MAX_MS INT64_C(7258118400000)

/* Make readings; the unused bytes of value are 0, so that equal readings are equal bytes. */
struct reading reading_real64(uint32_t tag, int64_t time_ms, uint8_t quality, double value);
struct reading reading_real32(uint32_t tag, int64_t time_ms, uint8_t quality, float value);
struct reading reading_integer(uint32_t tag, int64_t time_ms, uint8_t quality, int64_t value);
struct reading reading_boolean(uint32_t tag, int64_t time_ms, uint8_t quality, bool value);
/* A reading of class bad: no value. kind is what the tag would have had. */
struct reading reading_bad(uint32_t tag, enum reading_kind kind, int64_t time_ms, uint8_t quality, uint16_t detail);

/* False for readings that no honest peer sends: tag 0, unknown kind or quality, a time out of bounds, NaN or infinity,
 * a bad reading with a value, stray bytes beside the value. */
bool reading_valid(const struct reading *reading);

/* True unless the quality's class is bad. */
bool reading_has_value(const struct reading *reading);

/* The value as a number for showing and limits: booleans are 0 and 1. */
double reading_number(const struct reading *reading);

#endif
