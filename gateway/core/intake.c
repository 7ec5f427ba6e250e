#include "gateway/core/intake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/clock.h"
#include "gateway/common/log.h"
#include "gateway/core/clock_watch.h"
#include "gateway/core/damage.h"
#include "store/store_records.h"

/* Readings that were taken just before the clock was set may still be on their way: the batch that corrects waits for
 * them. */
#define CORRECTION_GRACE_MS 5000
/* Between the parts of a tail that a full disk has made long: twice what one takes. */
#define PART_PAUSE_US 20000
/* Two clocks that were read within so long of each other were read at one moment; how often that is tried. */
#define MOMENT_MS 10
#define LOOKS_MOST 10

struct intake {
    sd_event_source *commit_timer;
    struct store *store;
    const struct intake_handlers *handlers;
    void *user;
    struct store_cursor cursor; /* of what was taken, committed or not */
    uint64_t commit_interval_us;
    int64_t seal_interval_live_ms, seal_interval_offline_ms;
    int64_t tail_since_ms; /* monotonic; when the tail got its first reading; meaningless while it is empty */
    bool dirty;            /* something waits for a commit */
    bool tail_open;
    bool link_up;
    struct clock_watch clock;
    int64_t hold_until_ms; /* monotonic: no batch before, see CORRECTION_GRACE_MS */
    struct intake_status status;
};

/* A store that goes on by losing readings has not failed, but people should know why. */
static void note_state(struct intake *intake, enum fb_error error, const struct fb_cause *cause) {
    struct fb_cause full;
    if (error == FB_OK && store_disk_is_full(intake->store)) {
        cause = &full;
        error = fb_fail(&full, FB_FULL, "store: the disk is full: new readings take the place of older ones");
    }
    damage_check(sd_event_source_get_event(intake->commit_timer), error, cause);
    if (intake->status.error == error)
        return;
    intake->status.error = error;
    snprintf(intake->status.reason, sizeof intake->status.reason, "%s", error == FB_OK ? "" : cause->text);
    if (error == FB_OK)
        log_event(LOG_LEVEL_NOTICE, "store-good", "the store takes readings again");
    else
        log_event(LOG_LEVEL_ERROR, "store-failed", "%s", cause->text);
    if (intake->handlers->state_changed != NULL)
        intake->handlers->state_changed(error, intake->status.reason, intake->user);
}

static enum fb_error commit(struct intake *intake, struct fb_cause *cause) {
    if (!intake->dirty)
        return FB_OK;
    const enum fb_error error = store_commit(intake->store, intake->cursor, cause);
    if (error != FB_OK)
        return error;
    /* When the disk has room for readings only; of a long tail a part. */
    intake->dirty = store_records_waiting(intake->store) > 0 || store_commit_waits(intake->store);
    intake->status.last_commit_ms = clock_utc_ms();
    intake->handlers->committed(store_committed_cursor(intake->store), intake->user);
    return FB_OK;
}

static void before_room(struct intake *intake) {
    if (intake->handlers->making_room != NULL)
        intake->handlers->making_room(intake->user);
}

static enum fb_error seal(struct intake *intake, struct fb_cause *cause) {
    size_t sealed = 0;
    before_room(intake);
    const enum fb_error error = store_seal(intake->store, clock_utc_ms(), clock_state(), &sealed, cause);
    if (error != FB_OK)
        return error;
    intake->tail_open = store_tail_readings(intake->store) > 0;
    intake->tail_since_ms = clock_monotonic_ms();
    if (sealed > 0)
        intake->handlers->sealed(intake->user);
    return FB_OK;
}

static enum fb_error keep_room(struct intake *intake, struct fb_cause *cause) {
    before_room(intake);
    return store_keep_room(intake->store, cause);
}

/* A store that has reached its quota makes the room that committing wants when it seals what was committed before. */
static enum fb_error commit_somehow(struct intake *intake, struct fb_cause *cause) {
    const enum fb_error error = commit(intake, cause);
    if (error != FB_FULL || seal(intake, cause) != FB_OK)
        return error;
    return commit(intake, cause);
}

/* What an earlier process knew of this start of the machine. */
static void resume_clock(struct intake *intake) {
    uint8_t boot[CLOCK_BOOT_BYTES];
    struct store_clock kept;
    clock_boot(boot);
    if (store_clock(intake->store, &kept) && memcmp(kept.boot, boot, sizeof boot) == 0)
        clock_watch_resume(&intake->clock, kept.ahead_ms, kept.first_batch, kept.set);
}

static void keep_clock(struct intake *intake) {
    const struct clock_watch *watch = &intake->clock;
    struct store_clock clock = {
        .first_batch = watch->run.first_batch, .ahead_ms = watch->run.ahead_ms, .set = watch->set};
    clock_boot(clock.boot);
    store_keep_clock(intake->store, &clock);
    intake->dirty = true;
}

/* Both clocks at one moment: whoever is held up between the two would take that for a step. */
static struct clock_look look_at_clocks(void) {
    struct clock_look look = {.state = clock_state()};
    for (int i = 0; i < LOOKS_MOST; i++) {
        const int64_t began_ms = clock_monotonic_ms();
        look.utc_ms = clock_utc_ms();
        look.monotonic_ms = clock_monotonic_ms();
        if (look.monotonic_ms - began_ms <= MOMENT_MS)
            break;
    }
    return look;
}

static void watch_clock(struct intake *intake) {
    const struct clock_watch before = intake->clock;
    const struct clock_look look = look_at_clocks();
    struct batch_correction corrections[CLOCK_WATCH_RUNS_MAX];
    const size_t count = clock_watch_look(&intake->clock, &look, store_last_number(intake->store) + 1, corrections);
    for (size_t i = 0; i < count; i++)
        store_note_correction(intake->store, &corrections[i]);
    if (count > 0)
        intake->hold_until_ms = look.monotonic_ms + CORRECTION_GRACE_MS;
    if (intake->clock.steps != before.steps)
        log_event(LOG_LEVEL_WARNING, "clock-stepped", "by_ms=%lld clock=\"%s\" corrections=%zu",
                  (long long)intake->clock.last_step_ms, clock_state_word(look.state), count);
    const bool stepped = intake->clock.steps != before.steps;
    if (before.started && before.set == intake->clock.set && !stepped)
        return;
    keep_clock(intake);
    if (intake->handlers->clock_changed != NULL)
        intake->handlers->clock_changed(stepped ? intake->clock.last_step_ms : 0, intake->clock.set, intake->user);
}

/* Before anything new arrives. What an earlier start of the machine left in the tail gets a batch of its own: when both
 * clocks were not set, their times mean different things. */
static void begin_clock(struct intake *intake) {
    struct fb_cause cause;
    if (store_tail_readings(intake->store) > 0)
        note_state(intake, seal(intake, &cause), &cause);
    watch_clock(intake);
}

/* While a full disk would make unsent batches give way, and nobody takes them, the tail grows as long as it may: the
 * disk may have room again before. */
static bool seal_waits(const struct intake *intake) {
    return clock_monotonic_ms() < intake->hold_until_ms || (!intake->link_up && store_disk_is_full(intake->store));
}

static bool seal_due(const struct intake *intake) {
    if (!intake->tail_open || (seal_waits(intake) && !store_tail_full(intake->store)))
        return false;
    const int64_t interval_ms = intake->link_up ? intake->seal_interval_live_ms : intake->seal_interval_offline_ms;
    return store_tail_full(intake->store) || clock_monotonic_ms() - intake->tail_since_ms >= interval_ms;
}

/* Runs while there is a tail; an idle gateway does not wake up. */
static void arm(struct intake *intake, uint64_t in_us) {
    uint64_t now_us;
    sd_event_now(sd_event_source_get_event(intake->commit_timer), CLOCK_MONOTONIC, &now_us);
    sd_event_source_set_time(intake->commit_timer, now_us + in_us);
    sd_event_source_set_enabled(intake->commit_timer, SD_EVENT_ONESHOT);
}

static int on_commit_timer(sd_event_source *source, uint64_t time_us, void *user) {
    (void)source;
    (void)time_us;
    struct intake *intake = user;
    struct fb_cause cause = {0};
    watch_clock(intake);
    enum fb_error error = commit_somehow(intake, &cause);
    if (error == FB_OK && seal_due(intake))
        error = seal(intake, &cause);
    else if (error == FB_OK)
        error = keep_room(intake, &cause);
    note_state(intake, error, &cause);
    /* A long tail goes on after whatever else there is to do. */
    const bool more = error == FB_OK && store_commit_waits(intake->store);
    if (intake->dirty || intake->tail_open)
        arm(intake, more ? PART_PAUSE_US : intake->commit_interval_us);
    return 0;
}

enum fb_error intake_new(sd_event *event, struct store *store, const struct intake_handlers *handlers, void *user,
                         struct intake **ret_intake, struct fb_cause *cause) {
    struct intake *intake = calloc(1, sizeof *intake);
    if (intake == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    *intake = (struct intake){
        .store = store,
        .handlers = handlers,
        .user = user,
        .cursor = store_committed_cursor(store),
        .commit_interval_us = 1000000,
        .seal_interval_live_ms = 10000,
        .seal_interval_offline_ms = 180000,
        .tail_since_ms = clock_monotonic_ms(),
        .tail_open = store_tail_readings(store) > 0,
    };
    resume_clock(intake);
    const int error =
        sd_event_add_time_relative(event, &intake->commit_timer, CLOCK_MONOTONIC, 0, 1000, on_commit_timer, intake);
    if (error < 0) {
        free(intake);
        return fb_fail_errno(cause, FB_IO, -error, "event loop");
    }
    *ret_intake = intake;
    return FB_OK;
}

void intake_free(struct intake *intake) {
    if (intake == NULL)
        return;
    struct fb_cause cause;
    enum fb_error error = FB_OK;
    do
        error = commit_somehow(intake, &cause);
    while (error == FB_OK && store_commit_waits(intake->store));
    if (error != FB_OK)
        log_event(LOG_LEVEL_ERROR, "store-failed", "%s", cause.text);
    sd_event_source_disable_unref(intake->commit_timer);
    free(intake);
}

void intake_configure(struct intake *intake, const struct config *config) {
    intake->commit_interval_us = (uint64_t)config->commit_interval_ms * 1000;
    intake->seal_interval_live_ms = config->forward_interval_ms;
    intake->seal_interval_offline_ms = config->forward_interval_offline_ms;
}

void intake_set_link(struct intake *intake, bool up) {
    intake->link_up = up;
}

uint64_t intake_resume(const struct intake *intake, uint64_t epoch) {
    return intake->cursor.epoch == epoch ? intake->cursor.sequence : 0;
}

void intake_follow_epoch(struct intake *intake, uint64_t epoch) {
    if (intake->cursor.epoch != epoch)
        intake->cursor = (struct store_cursor){.epoch = epoch};
}

void intake_note(struct intake *intake) {
    if (intake->dirty)
        return;
    intake->dirty = true;
    int enabled = SD_EVENT_OFF;
    sd_event_source_get_enabled(intake->commit_timer, &enabled);
    if (enabled == SD_EVENT_OFF)
        arm(intake, intake->commit_interval_us);
}

static void changed(struct intake *intake) {
    if (!intake->tail_open)
        intake->tail_since_ms = clock_monotonic_ms();
    intake->tail_open = true;
    intake_note(intake);
}

static struct batch_loss refused_loss(const struct reading *readings, size_t units) {
    struct batch_loss loss = {.reason = BATCH_LOSS_STORE_FULL,
                              .readings = readings_count(readings, units),
                              .from_ms = readings[0].time_ms,
                              .to_ms = readings[0].time_ms};
    for (size_t i = 0; i < units; i += reading_units(&readings[i])) {
        if (readings[i].time_ms < loss.from_ms)
            loss.from_ms = readings[i].time_ms;
        if (readings[i].time_ms > loss.to_ms)
            loss.to_ms = readings[i].time_ms;
    }
    return loss;
}

bool intake_take(struct intake *intake, uint64_t sequence, const struct reading *readings, size_t units) {
    if (sequence <= intake->cursor.sequence)
        return true;
    if (sequence != intake->cursor.sequence + 1)
        return false;
    intake->cursor.sequence = sequence;
    if (intake->clock.looked_ms == 0)
        begin_clock(intake);
    if (store_append(intake->store, readings, units) == FB_OK) {
        intake->status.readings_taken += readings_count(readings, units);
    } else {
        const struct batch_loss loss = refused_loss(readings, units);
        store_note_loss(intake->store, &loss);
        intake->status.readings_refused += loss.readings;
    }
    store_mark(intake->store, intake->cursor);
    changed(intake);
    return true;
}

bool intake_take_loss(struct intake *intake, uint64_t sequence, const struct batch_loss *loss) {
    if (sequence <= intake->cursor.sequence)
        return true;
    if (sequence != intake->cursor.sequence + 1)
        return false;
    intake->cursor.sequence = sequence;
    store_note_loss(intake->store, loss);
    changed(intake);
    return true;
}

void intake_commit_now(struct intake *intake) {
    struct fb_cause cause = {0};
    if (intake->dirty)
        note_state(intake, commit_somehow(intake, &cause), &cause);
}

enum fb_error intake_seal_now(struct intake *intake, struct fb_cause *cause) {
    enum fb_error error;
    do {
        error = commit_somehow(intake, cause);
        if (error == FB_OK)
            error = seal(intake, cause);
    } while (error == FB_OK && store_commit_waits(intake->store));
    note_state(intake, error, cause);
    return error;
}

const struct intake_status *intake_status(const struct intake *intake) {
    return &intake->status;
}
