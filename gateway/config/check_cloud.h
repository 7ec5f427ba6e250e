/* check_cloud.h - what the section cloud says of the kind of cloud: profile, address, tokens, encoding. Used by config.
 * Pure. */
#ifndef FB_CONFIG_CHECK_CLOUD_H
#define FB_CONFIG_CHECK_CLOUD_H

#include "gateway/common/link_settings.h"
#include "gateway/config/check.h"

/* An address of it or of one of its endpoints. node: where it stands, NULL: nowhere. */
void check_cloud_address(struct check *check, const struct tree_node *node, const char *place, enum cloud_kind kind,
                         const char *address);

/* map: the section, whose single values stand in link already. Puts the profile's address where none is given. */
void check_cloud_profile(struct check *check, const struct tree_node *map, struct link_settings *link);

#endif
