/* explain.h - which type, word order and offset make registers show what the instrument's display shows. Used by
 * `forebay probe`. Pure. */
#ifndef FB_CLI_EXPLAIN_H
#define FB_CLI_EXPLAIN_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/common/plant.h"

/* More would mean that the value says nothing. */
#define EXPLAIN_FINDINGS_MAX 32
/* Registers whose place may be off by so much: manuals that count from 0 or from 1. */
#define EXPLAIN_OFFSET_MOST 1
/* Integers are tried as they are and down to thousandths. */
#define EXPLAIN_EXPONENT_LEAST (-3)

struct explain_display {
    double value;
    double slack; /* half of its last digit */
};

/* "7.42" or "-12". FB_INVALID: no such number, or 0, which would explain everything. */
enum fb_error explain_display_read(const char *text, struct explain_display *ret_display,
                                   struct fb_cause *cause) FB_MUST_USE;

struct explain_finding {
    int offset; /* registers from the asked one: -1, 0 or 1 */
    enum plant_type type;
    enum plant_word_order word_order;
    int8_t exponent; /* value = raw x 10^exponent */
    double value;    /* decoded */
};

/* bytes: registers as on the wire, count of them; asked: index of the register in question. All findings, the
 * likeliest first: no offset before offset, floats before integers before scaled integers, abcd before other orders.
 * Returns their number, at most EXPLAIN_FINDINGS_MAX. */
size_t explain(const uint8_t *bytes, unsigned count, unsigned asked, const struct explain_display *display,
               struct explain_finding ret_findings[static EXPLAIN_FINDINGS_MAX]);

#endif
