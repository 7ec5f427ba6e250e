/* check_instrument.h - the section instruments of the configuration, with their tags. Used by config. Pure. */
#ifndef FB_CONFIG_CHECK_INSTRUMENT_H
#define FB_CONFIG_CHECK_INSTRUMENT_H

#include "gateway/config/check.h"

/* Read the list into plant->instruments and report all that is wrong. After check_buses(): names of buses are looked up
 * in plant->buses, unless that list is wrong itself. plant_done() in any case. */
void check_instruments(struct check *check, const struct tree_node *list, struct plant *plant);

#endif
