/* watch.h - tells changes of state from what is merely said again, and records them as events. */
#ifndef FB_CORE_WATCH_H
#define FB_CORE_WATCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "gateway/common/clock.h"
#include "gateway/common/error.h"

struct core;
struct watch;

/* core is borrowed. ret_watch: yours, end it with watch_free(). */
enum fb_error watch_new(struct core *core, struct watch **ret_watch, struct fb_cause *cause) FB_MUST_USE;
void watch_free(struct watch *watch); /* NULL is fine */

/* The gateway has started, or ends now. */
void watch_started(struct watch *watch);
void watch_stops(struct watch *watch);
/* Another plant: states of what is gone are forgotten. */
void watch_forget(struct watch *watch);

/* What forebay-field says of a bus and its instruments, what forebay-cloud says of the link (docs/api.md). */
void watch_bus(struct watch *watch, const json_t *bus);
void watch_link(struct watch *watch, const json_t *link);
/* A program has connected, or is gone, why. */
void watch_program(struct watch *watch, const char *program, bool connected, const char *reason);
/* What the last commit or seal ended with. */
void watch_store(struct watch *watch, enum fb_error error, const char *reason);
/* Readings that the store has noted as lost: told at once, then once in ten minutes for each reason. */
void watch_losses(struct watch *watch);
/* The clock was stepped (by_ms not 0), or is set now, or not any more. */
void watch_clock(struct watch *watch, int64_t by_ms, bool set);
/* Work on the store has "begun", is "done" or has "failed", why. */
void watch_upkeep(struct watch *watch, const char *job, const char *what, const char *reason);

#endif
