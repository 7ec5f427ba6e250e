/* command_settings.h - how the cloud may reach the gateway with signed commands: read by config, used by core; of it
 * forebay-cloud is told the addresses (COMMANDS_CONFIG). */
#ifndef FB_COMMON_COMMAND_SETTINGS_H
#define FB_COMMON_COMMAND_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/link_settings.h"
#include "gateway/common/plant.h"

#define COMMAND_KEYS_MAX 8
#define COMMAND_BYTES_MAX (64 * 1024) /* of a command's message */
#define COMMAND_REPLY_BYTES_MAX (112 * 1024)
#define COMMAND_ID_MAX 256 /* bytes with NUL of the message id that a reply carries as its correlation id */

/* In the order of the words in command_words[]. */
enum command_kind {
    COMMAND_STATUS,
    COMMAND_CATALOGUE,
    COMMAND_READ_NOW,
    COMMAND_BACKFILL,
    COMMAND_LOG_LEVEL,
    COMMAND_CONFIGURATION,
    COMMAND_KINDS
};
extern const char *const command_words[]; /* NULL at the end */

struct command_key {
    char name[PLANT_NAME_MAX]; /* for the audit */
    char file[LINK_PATH_MAX];  /* its public half, PEM */
};

struct command_settings {
    char address[LINK_TEXT_MAX]; /* AMQP source of commands */
    char replies[LINK_TEXT_MAX]; /* AMQP target of replies */
    size_t key_count;
    struct command_key keys[COMMAND_KEYS_MAX];
    uint32_t allowed; /* a bit for each enum command_kind */
};

bool command_settings_equal(const struct command_settings *a, const struct command_settings *b);

#endif
