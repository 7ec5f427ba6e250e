/* check_commands.h - the section cloud.commands: where commands come from, whose keys sign them, which are allowed.
 * Used by config. Pure. */
#ifndef FB_CONFIG_CHECK_COMMANDS_H
#define FB_CONFIG_CHECK_COMMANDS_H

#include "gateway/common/command_settings.h"
#include "gateway/config/check.h"

void check_commands(struct check *check, const struct tree_node *map, struct command_settings *settings);

#endif
