/* check_lines.h - instruments that speak in lines of text: their section protocol and the keys of their tags. Used by
 * check_instrument. Pure. */
#ifndef FB_CONFIG_CHECK_LINES_H
#define FB_CONFIG_CHECK_LINES_H

#include "gateway/config/check.h"

/* Read the section protocol; map: it, place: where it stands. Reports all that is wrong. */
void check_lines(struct check *check, const struct tree_node *map, const char *place, struct plant_lines *ret_lines);

/* Read the keys of a tag, all but its interval when that is left out, into ret_tag, which gets the place of a line's
 * tag: see plant.h. */
void check_lines_tag(struct check *check, const struct tree_node *map, const char *place, struct plant_tag *ret_tag);

#endif
