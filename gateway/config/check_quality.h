/* check_quality.h - the keys that say how far an instrument's values can be trusted: heartbeat and service of the
 * instrument; bits, no_value and status of a tag. Used by check_instrument. Pure; all that is wrong is reported. */
#ifndef FB_CONFIG_CHECK_QUALITY_H
#define FB_CONFIG_CHECK_QUALITY_H

#include <stdint.h>

#include "gateway/config/address.h"
#include "gateway/config/check.h"

/* heartbeat and service of the instrument whose section is map, into instrument. addresses: how it counts.
 * interval_ms: for those that say none; 0: they must. */
void check_watches(struct check *check, const struct tree_node *map, const char *place, enum address_notation addresses,
                   uint32_t interval_ms, struct plant_instrument *instrument);

/* bits, no_value and status of the tag whose section is map. Table, type and address of the tag are known.
 * registers_most: the most registers the instrument sends at once. */
void check_tag_quality(struct check *check, const struct tree_node *map, const char *place,
                       enum address_notation addresses, unsigned registers_most, struct plant_tag *tag);

#endif
