/* address.h - register addresses as instruments' manuals write them, to those of the wire. Used by config. Pure. */
#ifndef FB_CONFIG_ADDRESS_H
#define FB_CONFIG_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/common/plant.h"

enum address_notation {
    ADDRESS_BASE_0,  /* as on the wire: 0 to 65535 */
    ADDRESS_BASE_1,  /* one more: 1 to 65536 */
    ADDRESS_MODICON, /* 4xxxx: a digit for the table (0 coil, 1 discrete, 3 input, 4 holding), then 4 or 5 digits from 1
                        on; Modicon PI-MBUS-300 */
};

/* The words of the configuration, in the order of the enum, NULL at the end. */
extern const char *const address_notation_words[];

/* Read the address. ret_table is set only by ADDRESS_MODICON; both are untouched on failure.
 * FB_INVALID: cause says what is allowed. */
enum fb_error address_read(const char *text, enum address_notation notation, enum plant_table *ret_table,
                           uint16_t *ret_address, struct fb_cause *cause) FB_MUST_USE;

#endif
