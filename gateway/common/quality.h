/* quality.h - how far a reading can be trusted, and why. Used by every program.
 *
 * A quality is one byte whose upper two bits are its class, so that the class survives a reason that a later version
 * adds. Numbers are part of docs/batch.md: they never change and are never reused.
 * Classes after OPC UA Part 8 (good, uncertain, bad); NE 107 signals after NAMUR NE 107 (2012). */
#ifndef FB_COMMON_QUALITY_H
#define FB_COMMON_QUALITY_H

#include <stdbool.h>
#include <stdint.h>

enum quality_class {
    QUALITY_CLASS_GOOD = 0,
    QUALITY_CLASS_UNCERTAIN = 1, /* has a value, to be used with care */
    QUALITY_CLASS_BAD = 2,       /* has no value */
};

enum quality {
    QUALITY_GOOD = 0,
    QUALITY_STALE = 64,             /* not refreshed for three intervals */
    QUALITY_BELOW_RANGE = 65,       /* below the tag's configured range */
    QUALITY_ABOVE_RANGE = 66,       /* above the tag's configured range */
    QUALITY_CLOCK_NOT_SET = 67,     /* the value is good, its time is not */
    QUALITY_MAINTENANCE = 68,       /* the instrument says it is being serviced */
    QUALITY_TIMEOUT = 128,          /* no reply in time */
    QUALITY_NOT_CONNECTED = 129,    /* no connection to the bus: refused, unreachable, unplugged */
    QUALITY_EXCEPTION = 130,        /* the instrument answered with a Modbus exception */
    QUALITY_BAD_REPLY = 131,        /* CRC, unit, function, length or transaction did not fit */
    QUALITY_NOT_A_NUMBER = 132,     /* NaN or infinity */
    QUALITY_SENTINEL = 133,         /* the profile's "no value" mark, such as FFFFh */
    QUALITY_INSTRUMENT_FAULT = 134, /* the instrument's status says failure */
    QUALITY_STALE_HEARTBEAT = 135,  /* the instrument's heartbeat stopped */
    QUALITY_NOT_RUNNING = 136,      /* the bus worker is not running */
};

/* The class of any byte, known or not; the unused fourth class counts as bad. */
enum quality_class quality_class(uint8_t quality);

/* True for the codes listed above. */
bool quality_known(uint8_t quality);

/* "good", "uncertain" or "bad". Static storage. */
const char *quality_class_word(uint8_t quality);

/* The reason in plain words: "" for good, "timeout", "out of range" ... "unknown reason" for codes of later versions.
 * Static storage. */
const char *quality_reason(uint8_t quality);

/* NAMUR NE 107 signal: "normal", "failure", "function check", "out of specification", "maintenance". Static storage. */
const char *quality_ne107(uint8_t quality);

#endif
