/* intake.h - from forebay-field's readings to sealed batches: appends what arrives, commits once a commit interval,
 * seals in time. The only place that decides when the disk is written. */
#ifndef FB_CORE_INTAKE_H
#define FB_CORE_INTAKE_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "gateway/common/error.h"
#include "gateway/config/config.h"
#include "store/store.h"

struct intake;

struct intake_handlers {
    /* Unsent batches may have to give way now: those that were sent are to be marked first. May be NULL. */
    void (*making_room)(void *user);
    /* Everything up to this sequence of this epoch is on disk. */
    void (*committed)(struct store_cursor cursor, void *user);
    /* There are new batches. */
    void (*sealed)(void *user);
    /* These may be NULL. What the last commit or seal ended with has changed, why. */
    void (*state_changed)(enum fb_error error, const char *reason, void *user);
    /* The clock was stepped (by_ms not 0), or is set now or not any more; also told once at first. */
    void (*clock_changed)(int64_t by_ms, bool set, void *user);
};

struct intake_status {
    /* FB_OK, or what the last commit or seal failed with; FB_FULL also while a full disk makes unsent batches give way.
     */
    enum fb_error error;
    char reason[FB_CAUSE_MAX]; /* of that */
    int64_t last_commit_ms;    /* UTC, 0: none yet */
    uint64_t readings_taken;   /* since start */
    uint64_t readings_refused; /* because the store's tail was full */
};

/* store, handlers and user are borrowed. ret_intake: yours, end it with intake_free(). */
enum fb_error intake_new(sd_event *event, struct store *store, const struct intake_handlers *handlers, void *user,
                         struct intake **ret_intake, struct fb_cause *cause) FB_MUST_USE;
/* Commits what is there; the store is closed by its owner afterwards. NULL is fine. */
void intake_free(struct intake *intake);

/* Follow the intervals of this configuration. */
void intake_configure(struct intake *intake, const struct config *config);
/* While the link is up batches are sealed more often. */
void intake_set_link(struct intake *intake, bool up);

/* What a forebay-field with this epoch is to go on from: the last sequence we have of it, 0 for none. */
uint64_t intake_resume(const struct intake *intake, uint64_t epoch);
/* forebay-field now counts in this epoch. */
void intake_follow_epoch(struct intake *intake, uint64_t epoch);

/* Take readings (so many units, see readings_valid()) that came with a sequence. False when the sequence is not the
 * next one; one that we have already is passed over and true. */
bool intake_take(struct intake *intake, uint64_t sequence, const struct reading *readings, size_t units);
/* The same for readings that forebay-field had to drop. */
bool intake_take_loss(struct intake *intake, uint64_t sequence, const struct batch_loss *loss);

/* Something else waits for the next commit, as a record does. */
void intake_note(struct intake *intake);
/* Commit now what waits. What that fails with is a state, shown and tried again. */
void intake_commit_now(struct intake *intake);

/* Commit and seal all that is there now, as before the catalogue changes. */
enum fb_error intake_seal_now(struct intake *intake, struct fb_cause *cause) FB_MUST_USE;

const struct intake_status *intake_status(const struct intake *intake);

#endif
