/* values.h - the last reading of every configured tag, for the page and the command line. Pure: time is an argument. */
#ifndef FB_CORE_VALUES_H
#define FB_CORE_VALUES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/common/plant.h"
#include "gateway/common/reading.h"

struct value {
    const struct plant_instrument *instrument; /* borrowed from the plant */
    const struct plant_tag *tag;               /* the same */
    struct reading last[READING_UNITS_MAX];    /* the last reading with its text; tag 0: none yet */
    int64_t arrived_ms;                        /* monotonic */
    uint64_t version;                          /* of its last change, see values.version */
    uint8_t overdue;                           /* quality that values_age() found for it; 0: refreshed in time */
};

struct values {
    struct value *all; /* count of them, ordered as configured; malloc */
    size_t count;
    uint16_t *by_number; /* index + 1 into all for each tag number, 0 for none; number_most + 1 of them; malloc */
    uint32_t number_most;
    uint64_t version; /* grows with every change of any value */
};

/* Follow this plant, whose tags are numbered: keep what is known of tags it still has. values starts as {0}. The plant
 * is borrowed until the next call. FB_MEMORY leaves values as they were. */
enum fb_error values_follow(struct values *values, const struct plant *plant) FB_MUST_USE;
void values_done(struct values *values);

/* Whether the tag with this number is configured. */
bool values_has(const struct values *values, uint32_t number);

/* Take a reading (with its text behind it); one of a tag that is no longer configured changes nothing. */
void values_take(struct values *values, const struct reading *reading, int64_t monotonic_ms);

/* Something else about a tag has changed: tell it anew. */
void values_touch(struct values *values, uint32_t tag);

/* What was not refreshed for three intervals becomes uncertain, stale; for ten, bad, not running: every due tag gives a
 * reading, if only a bad one, as long as its worker runs. */
void values_age(struct values *values, int64_t monotonic_ms);

/* One value as docs/api.md says. New reference; NULL when out of memory. */
json_t *value_to_json(const struct value *value);

#endif
