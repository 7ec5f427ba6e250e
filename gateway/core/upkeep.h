/* upkeep.h - work on the store beside the store's own: a file set aside is salvaged, the key is changed, everything is
 * checked. One at a time, in slices of about 10 ms with pauses between, so that commits are never held up. */
#ifndef FB_CORE_UPKEEP_H
#define FB_CORE_UPKEEP_H

#include <jansson.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "gateway/common/error.h"
#include "store/store.h"

struct upkeep;

struct upkeep_settings {
    sd_event *event;
    struct store *store;
    const char *key_path;         /* see key.h; borrowed for good */
    bool go_on_with_rekey;        /* there is a next key from a rekey that was cut off */
    void (*salvaged)(void *user); /* there are batches that were salvaged */
    /* A job has "begun", is "done" or has "failed", and why. May be NULL. */
    void (*told)(const char *job, const char *what, const char *reason, void *user);
    void *user;
};

/* Begins by itself with what is due: an unfinished salvage, an unfinished rekey, the check (after a start, and then
 * every 30 days). ret_upkeep: yours, end it with upkeep_free() before the store is closed. */
enum fb_error upkeep_new(const struct upkeep_settings *settings, struct upkeep **ret_upkeep,
                         struct fb_cause *cause) FB_MUST_USE;
/* What is going on is cut off and goes on after the next start. NULL is fine. */
void upkeep_free(struct upkeep *upkeep);

/* Ask for one; it begins as soon as no other goes on. FB_AGAIN: it is going on already. */
enum fb_error upkeep_rekey(struct upkeep *upkeep, struct fb_cause *cause) FB_MUST_USE;
/* key_file: of the store that was set aside, NULL: it is under the key in use. FB_INVALID: not a whole path. */
enum fb_error upkeep_salvage(struct upkeep *upkeep, const char *file, const char *key_file, bool with_history,
                             struct fb_cause *cause) FB_MUST_USE;
enum fb_error upkeep_check(struct upkeep *upkeep, struct fb_cause *cause) FB_MUST_USE;

/* New reference: {"rekey": {...}, "salvage": {...}, "check": {...}}, see docs/api.md. */
json_t *upkeep_to_json(const struct upkeep *upkeep);

#endif
