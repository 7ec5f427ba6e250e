/* check_trust.h - what the section cloud says of trust beyond files: pins, lists of revoked certificates, a key in a
 * token. Used by config. Pure. */
#ifndef FB_CONFIG_CHECK_TRUST_H
#define FB_CONFIG_CHECK_TRUST_H

#include "gateway/common/link_settings.h"
#include "gateway/config/check.h"

/* map: the section, whose single values stand in link already. */
void check_trust(struct check *check, const struct tree_node *map, struct link_settings *link);

#endif
