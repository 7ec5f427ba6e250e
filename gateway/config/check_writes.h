/* check_writes.h - the list "writes" of an instrument: the registers that the configuration opens for writing. Used by
 * check_instrument. Pure; all that is wrong is reported. */
#ifndef FB_CONFIG_CHECK_WRITES_H
#define FB_CONFIG_CHECK_WRITES_H

#include "gateway/config/address.h"
#include "gateway/config/check.h"

/* Read the list of the instrument whose section is map, if it has one. addresses: how it counts. word_order: for those
 * that say none; NULL: they must. */
void check_writes(struct check *check, const struct tree_node *map, const char *place, enum address_notation addresses,
                  const enum plant_word_order *word_order, struct plant_instrument *instrument);

#endif
