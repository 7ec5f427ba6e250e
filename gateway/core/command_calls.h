/* command_calls.h - what a command from the cloud does once it has been verified and is allowed (docs/commands.md).
 * Used by cloud_commands.c. None of them starts a program, writes the configuration or reaches an instrument. */
#ifndef FB_CORE_COMMAND_CALLS_H
#define FB_CORE_COMMAND_CALLS_H

#include <jansson.h>

#include "gateway/common/command_settings.h"
#include "gateway/common/error.h"

struct core;

struct command_call {
    struct core *core;
    const char *author;      /* "cloud:KEY" */
    const json_t *arguments; /* an object; borrowed */
};

/* Most tags of one reply: it stays below COMMAND_REPLY_BYTES_MAX. */
#define COMMAND_CALL_TAGS_MAX 400
#define COMMAND_CALL_VALUES_MAX 200
#define COMMAND_CALL_BACKFILL_MS_MAX (INT64_C(31) * 24 * 3600 * 1000)
#define COMMAND_CALL_LOG_MINUTES_MAX 60

/* ret_result: new reference. On failure the cause is a sentence for whoever sent the command. */
enum fb_error command_call(enum command_kind kind, const struct command_call *call, json_t **ret_result,
                           struct fb_cause *cause) FB_MUST_USE;

#endif
