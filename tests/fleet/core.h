/* core.h - a stand-in for one gateway's forebay-core, as far as forebay-cloud knows it: protocol.h's cloud part over
 * a socket, batches of a simulated field, kept in memory until they are accepted. Used by fleet_cores.
 *
 * Writes what happens to stdout, a JSON object a line, each with "gateway":
 *     {"what": "sealed", "number", "sha256"}
 *     {"what": "accepted", "number", "after_ms"}          since it was sealed
 *     {"what": "refused", "number", "outcome", "reason"}
 *     {"what": "attempt", "record": docs/link.md "attempts"} */
#ifndef FB_TESTS_CORE_H
#define FB_TESTS_CORE_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct core;

struct core_settings {
    const char *folder;  /* holds link.json (LINK_CONFIG as it is to be sent); gets cloud.sock */
    const char *gateway; /* its name */
    uint32_t first_ms;   /* from forebay-cloud's first hello to the first batch */
    uint32_t interval_ms;
    uint32_t tags;
};

/* Every failure ends the program. Yours until core_free(). */
struct core *core_new(sd_event *event, const struct core_settings *settings);
void core_free(struct core *core);

void core_stop_sealing(struct core *core);
bool core_is_empty(const struct core *core); /* nothing waits for its acceptance */

#endif
