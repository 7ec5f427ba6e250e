/* cloud_commands.h - signed commands from the cloud: verified, held against the plant's policy, done once, audited and
 * answered (docs/commands.md). Whoever forebay-cloud is connected to, or whatever it has become, can do no more than a
 * pinned key has signed and the configuration allows. */
#ifndef FB_CORE_CLOUD_COMMANDS_H
#define FB_CORE_CLOUD_COMMANDS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/command_settings.h"
#include "gateway/common/error.h"

struct core;
struct cloud_commands;

/* Verified commands that are followed in a row, and how often one more; and the same for replies to what is not signed
 * by a known key. */
#define CLOUD_COMMANDS_BURST 60
#define CLOUD_COMMANDS_EACH_MS 1000
#define CLOUD_COMMANDS_UNKNOWN_BURST 6
#define CLOUD_COMMANDS_UNKNOWN_EACH_MS 10000

/* core is borrowed. ret_commands: yours, end it with cloud_commands_free(). */
enum fb_error cloud_commands_new(struct core *core, struct cloud_commands **ret_commands,
                                 struct fb_cause *cause) FB_MUST_USE;
void cloud_commands_free(struct cloud_commands *commands); /* NULL is fine */

/* Follow these settings (copied); NULL: no command is followed. Reads the key files; one that cannot be used is logged
 * and shown in the status, the others count. */
void cloud_commands_configure(struct cloud_commands *commands, const struct command_settings *settings);

/* A message from the cloud, which may be anything. Answers by cloud_peer_reply(), in any case. (fsync) */
void cloud_commands_take(struct cloud_commands *commands, uint64_t id, const uint8_t *bytes, size_t length);

/* The "commands" object of docs/api.md. New reference. */
json_t *cloud_commands_to_json(const struct cloud_commands *commands);

#endif
