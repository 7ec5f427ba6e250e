/* moment.h - times as people write them on the command line. Pure. */
#ifndef FB_CLI_MOMENT_H
#define FB_CLI_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

/* "2026-11-21", "2026-11-21T10:00", "2026-11-21T10:00:30" (UTC, with or without a Z), "now", or so long before now_ms:
 * "30m", "24h", "7d". ret_ms: UTC. False: it is none of these. */
bool moment_parse(const char *text, int64_t now_ms, int64_t *ret_ms);

#endif
