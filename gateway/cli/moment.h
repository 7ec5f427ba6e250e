/* moment.h - times as people write them on the command line. Pure. Used by `forebay export` and by those that show
 * records. */
#ifndef FB_CLI_MOMENT_H
#define FB_CLI_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/common/error.h"

/* "2026-11-21", "2026-11-21T10:00", "2026-11-21T10:00:30" (UTC, with or without a Z), "now", or so long before now_ms:
 * "30s", "15m", "24h", "7d". ret_ms: UTC, from 1970 to 2200. False: it is none of these. */
bool moment_parse(const char *text, int64_t now_ms, int64_t *ret_ms);

/* The same for an option ("--since"), which the error names. FB_INVALID: it is none of these. */
enum fb_error moment_option(const char *option, const char *text, int64_t now_ms, int64_t *ret_ms,
                            struct fb_cause *cause) FB_MUST_USE;

#endif
