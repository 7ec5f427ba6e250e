/* check_list.h - lists of named sections: buses, instruments, tags. Used by check_bus and check_instrument. Pure. */
#ifndef FB_CONFIG_CHECK_LIST_H
#define FB_CONFIG_CHECK_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "gateway/config/check.h"

/* Report a list with fewer entries than least or more than most, and each name that an entry before has. False when
 * its entries should not be looked at. */
bool check_list(struct check *check, const struct tree_node *list, const char *place, size_t least,
                size_t most) FB_MUST_USE;

/* "place[index]". Returns ret_place. */
const char *check_list_place(const char *place, size_t index, char ret_place[static CHECK_PLACE_MAX]);

#endif
