/* check_endpoints.h - where the link may go: cloud.host alone, or the list cloud.endpoints. Used by config. Pure. */
#ifndef FB_CONFIG_CHECK_ENDPOINTS_H
#define FB_CONFIG_CHECK_ENDPOINTS_H

#include "gateway/common/link_settings.h"
#include "gateway/config/check.h"

/* The first entry becomes the settings' host, port and address, the others its spares; an entry without an address has
 * that of the section. settings: of the section, which has been checked. */
void check_endpoints(struct check *check, const struct tree_node *map, const char *place,
                     struct link_settings *settings);

#endif
