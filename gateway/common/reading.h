/* reading.h - one value of one tag at one time with one quality; the unit that travels from the field to the store.
 * Between programs readings travel as packed arrays of struct reading (one machine, one build, versioned messages).
 *
 * A text does not fit into a struct reading. Its bytes stand behind it in the array, 24 to an element, the rest of the
 * last one zero. So arrays are counted in units (elements), and whoever walks one steps by reading_units(). */
#ifndef FB_COMMON_READING_H
#define FB_COMMON_READING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers are part of docs/batch.md. */
enum reading_kind {
    READING_REAL64 = 0,  /* IEEE 754 double */
    READING_REAL32 = 1,  /* IEEE 754 single, as read from the wire */
    READING_INTEGER = 2, /* signed 64 bits */
    READING_BOOLEAN = 3,
    READING_TEXT = 4, /* UTF-8 without control characters */
};

#define READING_TEXT_MAX 63 /* bytes; there is no NUL */
#define READING_UNITS_MAX 4 /* of one reading */

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
        bool boolean;         /* the other seven bytes are 0 */
        uint64_t text_length; /* bytes, which stand behind this reading */
        uint64_t bits;
    } value;
};

_Static_assert(sizeof(struct reading) == 24, "readings travel as packed arrays");
_Static_assert(READING_TEXT_MAX <= (READING_UNITS_MAX - 1) * sizeof(struct reading), "a text fits behind its reading");

/* 1970 (a clock that was never set starts there) and 2200: times outside are refused at every border. */
#define READING_TIME_MIN_MS INT64_C(0)
#define READING_TIME_MAX_MS INT64_C(7258118400000)

/* Make readings; the unused bytes of value are 0, so that equal readings are equal bytes. */
struct reading reading_real64(uint32_t tag, int64_t time_ms, uint8_t quality, double value);
struct reading reading_real32(uint32_t tag, int64_t time_ms, uint8_t quality, float value);
struct reading reading_integer(uint32_t tag, int64_t time_ms, uint8_t quality, int64_t value);
struct reading reading_boolean(uint32_t tag, int64_t time_ms, uint8_t quality, bool value);
/* text: length bytes, at most READING_TEXT_MAX. Returns the units used. */
size_t reading_make_text(uint32_t tag, int64_t time_ms, uint8_t quality, const char *text, size_t length,
                         struct reading ret_units[static READING_UNITS_MAX]);
/* A reading of class bad: no value. kind is what the tag would have had. */
struct reading reading_bad(uint32_t tag, enum reading_kind kind, int64_t time_ms, uint8_t quality, uint16_t detail);

/* False for readings that no honest peer sends: tag 0, unknown kind or quality, a time out of bounds, NaN or infinity,
 * a text that is too long, a bad reading with a value, stray bytes beside the value. The bytes of a text are not looked
 * at. */
bool reading_valid(const struct reading *reading);

/* The same for an array of units, texts included: each is there to its end, is what reading_text_valid() wants, and is
 * followed by zeros. To be asked before anything below walks an array from outside. */
bool readings_valid(const struct reading *readings, size_t units);

/* Length bytes of UTF-8 (RFC 3629) without control characters (U+0000 to U+001F, U+007F to U+009F). Of any length. */
bool reading_text_valid(const void *text, size_t length);

/* How many units a valid reading takes, 1 to READING_UNITS_MAX. */
size_t reading_units(const struct reading *reading);

/* How many readings stand in the units. */
size_t readings_count(const struct reading *readings, size_t units);

/* The units that the first readings of an array take: as many as there are within units_most and readings_most. */
size_t readings_first(const struct reading *readings, size_t units_most, size_t readings_most);

/* The text of a reading that has one: text_length bytes, no NUL, borrowed from the array. */
const char *reading_text(const struct reading *reading);

/* True unless the quality's class is bad. */
bool reading_has_value(const struct reading *reading);

/* The value as a number for showing and limits: booleans are 0 and 1, texts 0. */
double reading_number(const struct reading *reading);

#endif
