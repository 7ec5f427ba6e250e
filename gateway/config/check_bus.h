/* check_bus.h - the section buses of the configuration, and whether their schedules can be kept. Used by config. */
#ifndef FB_CONFIG_CHECK_BUS_H
#define FB_CONFIG_CHECK_BUS_H

#include "gateway/config/check.h"

/* Read the list into plant->buses (index = place in the list) and report all that is wrong. plant_done() in any case.
 */
void check_buses(struct check *check, const struct tree_node *list, struct plant *plant);

/* Report each bus whose schedule takes more time than there is. For a plant in which all else is right. */
void check_schedules(struct check *check, const struct tree_node *list, const struct plant *plant);

#endif
