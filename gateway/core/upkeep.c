#include "gateway/core/upkeep.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/clock.h"
#include "gateway/common/log.h"
#include "gateway/core/damage.h"
#include "store/key.h"
#include "store/store_check.h"
#include "store/store_rekey.h"
#include "store/store_salvage.h"

/* A slice's time is that of its reading; the fsync at its end comes on top. */
#define SLICE_US 10000
#define PAUSE_US 50000
#define FIRST_US 5000000 /* after the start, whose own work goes first */
/* What waits for room in the store is tried again after this long. */
#define WAIT_US 30000000
#define CHECK_EVERY_US (UINT64_C(30) * 24 * 3600 * 1000000)
#define REKEY_TRIES 5

/* In the order in which they take precedence. */
enum job { JOB_SALVAGE, JOB_REKEY, JOB_CHECK, JOBS };
enum state { STATE_IDLE, STATE_WAITING, STATE_RUNNING, STATE_DONE, STATE_FAILED };
static const char *const state_words[] = {"idle", "waiting", "running", "done", "failed"};

struct job_status {
    enum state state;
    char reason[FB_CAUSE_MAX];
    int64_t since_ms; /* UTC; of this state */
};

struct upkeep {
    struct upkeep_settings settings;
    sd_event_source *timer;
    struct job_status status[JOBS];
    struct store_salvage *salvage; /* one of these three, while it goes on */
    struct store_rekey *rekey;
    struct store_check *check;
    char file[PATH_MAX];     /* to be salvaged */
    char key_file[PATH_MAX]; /* its key; "": the one in use */
    bool file_is_asked_for, with_history;
    bool go_on_with_rekey;
    int rekey_tries;
    bool rekey_clears;                     /* all is done but for the old file's room */
    uint64_t next_check_us;                /* monotonic */
    struct store_salvage_figures salvaged; /* of the last one; path is not valid */
    struct store_check_figures checked;    /* of the last one */
    int64_t checked_ms;
};

static void arm(struct upkeep *upkeep, uint64_t in_us) {
    sd_event_source_set_time_relative(upkeep->timer, in_us);
    sd_event_source_set_enabled(upkeep->timer, SD_EVENT_ONESHOT);
}

static void set_state(struct upkeep *upkeep, enum job job, enum state state, const char *reason) {
    struct job_status *status = &upkeep->status[job];
    if (status->state != state)
        status->since_ms = clock_utc_ms();
    status->state = state;
    snprintf(status->reason, sizeof status->reason, "%s", reason);
}

static void tell(struct upkeep *upkeep, const char *job, const char *what, const char *reason) {
    if (upkeep->settings.told != NULL)
        upkeep->settings.told(job, what, reason, upkeep->settings.user);
}

/* The key that fits decides. */
static enum fb_error begin_salvage(struct upkeep *upkeep, struct fb_cause *cause) {
    const enum store_salvage_kind kind = upkeep->with_history ? STORE_SALVAGE_HISTORY : STORE_SALVAGE_UNSENT;
    struct store *store = upkeep->settings.store;
    struct key_ring *ring;
    enum fb_error error = upkeep->key_file[0] != '\0' ? key_open_file(upkeep->key_file, &ring, cause)
                                                      : key_open(upkeep->settings.key_path, &ring, cause);
    if (error != FB_OK)
        return error;
    error = store_salvage_begin(store, upkeep->file, kind, ring->key, &upkeep->salvage, cause);
    if (error == FB_DENIED && ring->has_next)
        error = store_salvage_begin(store, upkeep->file, kind, ring->next, &upkeep->salvage, cause);
    key_close(ring);
    return error;
}

static enum fb_error step_salvage(struct upkeep *upkeep, bool *ret_done, struct fb_cause *cause) {
    const uint64_t before = upkeep->salvaged.batches;
    const enum fb_error error = store_salvage_step(upkeep->salvage, SLICE_US, ret_done, cause);
    store_salvage_figures(upkeep->salvage, &upkeep->salvaged);
    if (upkeep->salvaged.batches != before && !upkeep->with_history)
        upkeep->settings.salvaged(upkeep->settings.user);
    return error;
}

static void end_salvage(struct upkeep *upkeep) {
    store_salvage_end(upkeep->salvage);
    upkeep->salvage = NULL;
}

/* The history of a file follows its unsent batches. A file that cannot be salvaged is not tried at each start again. */
static bool again_salvage(struct upkeep *upkeep, enum fb_error error) {
    struct fb_cause cause;
    if (error != FB_OK && store_salvage_give_up(upkeep->settings.store, upkeep->file, &cause) != FB_OK)
        return false;
    upkeep->with_history = false;
    upkeep->key_file[0] = '\0';
    return store_salvage_unfinished(upkeep->settings.store, upkeep->file, sizeof upkeep->file, &cause) == FB_OK;
}

static enum fb_error begin_rekey(struct upkeep *upkeep, struct fb_cause *cause) {
    struct key_ring *ring;
    enum fb_error error = key_open(upkeep->settings.key_path, &ring, cause);
    if (error != FB_OK)
        return error;
    if (!ring->has_next || !upkeep->go_on_with_rekey)
        error = key_make_next(ring, cause);
    if (error == FB_OK)
        error = store_rekey_begin(upkeep->settings.store, ring->next, &upkeep->rekey, cause);
    if (error != FB_OK)
        key_drop_next(ring);
    key_close(ring);
    return error;
}

static enum fb_error finish_rekey(struct upkeep *upkeep, struct fb_cause *cause) {
    struct key_ring *ring;
    enum fb_error error = key_open(upkeep->settings.key_path, &ring, cause);
    if (error != FB_OK)
        return error;
    error = ring->has_next ? store_rekey_switch(upkeep->rekey, ring->next, cause)
                           : fb_fail(cause, FB_NOT_FOUND, "the next key is gone from beside the key");
    if (error == FB_OK)
        error = key_confirm_next(ring, cause);
    key_close(ring);
    return error;
}

static enum fb_error step_rekey(struct upkeep *upkeep, bool *ret_done, struct fb_cause *cause) {
    bool ready = false;
    if (upkeep->rekey_clears) {
        *ret_done = store_rekey_clear(upkeep->rekey, SLICE_US);
        return FB_OK;
    }
    enum fb_error error = store_rekey_step(upkeep->rekey, SLICE_US, &ready, cause);
    if (error == FB_OK && ready) {
        error = finish_rekey(upkeep, cause);
        upkeep->rekey_clears = error == FB_OK;
    }
    if (error == FB_CLOSED)
        sd_event_exit(upkeep->settings.event, EXIT_FAILURE);
    return error;
}

static void end_rekey(struct upkeep *upkeep) {
    store_rekey_end(upkeep->rekey);
    upkeep->rekey = NULL;
    upkeep->rekey_clears = false;
}

/* The next key is kept where another try follows, and where only the next start can tell which one is right. */
static bool again_rekey(struct upkeep *upkeep, enum fb_error error) {
    struct key_ring *ring;
    struct fb_cause cause;
    upkeep->go_on_with_rekey = error == FB_AGAIN && ++upkeep->rekey_tries < REKEY_TRIES;
    if (upkeep->go_on_with_rekey || error == FB_OK || error == FB_CLOSED)
        return upkeep->go_on_with_rekey;
    if (key_open(upkeep->settings.key_path, &ring, &cause) == FB_OK) {
        key_drop_next(ring);
        key_close(ring);
    }
    return false;
}

static enum fb_error begin_check(struct upkeep *upkeep, struct fb_cause *cause) {
    return store_check_begin(upkeep->settings.store, &upkeep->check, cause);
}

static enum fb_error step_check(struct upkeep *upkeep, bool *ret_done, struct fb_cause *cause) {
    const int64_t now_ms = clock_utc_ms();
    const enum fb_error error = store_check_step(upkeep->check, SLICE_US, now_ms, ret_done, cause);
    if (error == FB_OK && *ret_done) {
        store_check_figures(upkeep->check, &upkeep->checked);
        upkeep->checked_ms = now_ms;
    }
    return error;
}

static void end_check(struct upkeep *upkeep) {
    store_check_end(upkeep->check);
    upkeep->check = NULL;
}

static bool again_check(struct upkeep *upkeep, enum fb_error error) {
    (void)error;
    uint64_t now_us = 0;
    sd_event_now(upkeep->settings.event, CLOCK_MONOTONIC, &now_us);
    upkeep->next_check_us = now_us + CHECK_EVERY_US;
    return false;
}

static const struct {
    const char *name;
    enum fb_error (*begin)(struct upkeep *upkeep, struct fb_cause *cause);
    enum fb_error (*step)(struct upkeep *upkeep, bool *ret_done, struct fb_cause *cause);
    void (*end)(struct upkeep *upkeep);
    /* After the end: whether it is to begin again. */
    bool (*again)(struct upkeep *upkeep, enum fb_error error);
} jobs[JOBS] = {
    [JOB_SALVAGE] = {"salvage", begin_salvage, step_salvage, end_salvage, again_salvage},
    [JOB_REKEY] = {"rekey", begin_rekey, step_rekey, end_rekey, again_rekey},
    [JOB_CHECK] = {"check", begin_check, step_check, end_check, again_check},
};

static void conclude(struct upkeep *upkeep, enum job job, enum fb_error error, const struct fb_cause *cause) {
    damage_check(upkeep->settings.event, error, cause);
    jobs[job].end(upkeep);
    const bool was_salvage_of_file = job == JOB_SALVAGE && upkeep->file_is_asked_for;
    upkeep->file_is_asked_for = false;
    set_state(upkeep, job, error == FB_OK ? STATE_DONE : STATE_FAILED, error == FB_OK ? "" : cause->text);
    if (error == FB_OK)
        log_event(LOG_LEVEL_NOTICE, "upkeep-done", "job=%s", jobs[job].name);
    else
        log_event(LOG_LEVEL_ERROR, "upkeep-failed", "job=%s %s", jobs[job].name, cause->text);
    tell(upkeep, jobs[job].name, error == FB_OK ? "done" : "failed", error == FB_OK ? "" : cause->text);
    if (error != FB_CORRUPT && jobs[job].again(upkeep, was_salvage_of_file ? FB_OK : error))
        set_state(upkeep, job, STATE_WAITING, error == FB_OK ? "" : cause->text);
}

static void begin(struct upkeep *upkeep, enum job job) {
    struct fb_cause cause = {0};
    const enum fb_error error = jobs[job].begin(upkeep, &cause);
    if (error != FB_OK) {
        conclude(upkeep, job, error, &cause);
        return;
    }
    set_state(upkeep, job, STATE_RUNNING, "");
    tell(upkeep, jobs[job].name, "begun", "");
    log_event(LOG_LEVEL_NOTICE, "upkeep-begun", "job=%s%s%s", jobs[job].name, job == JOB_SALVAGE ? " file=" : "",
              job == JOB_SALVAGE ? upkeep->file : "");
}

/* Returns after how long to come back. */
static uint64_t step(struct upkeep *upkeep, enum job job) {
    struct fb_cause cause = {0};
    bool done = false;
    const enum fb_error error = jobs[job].step(upkeep, &done, &cause);
    if (error == FB_FULL && job == JOB_SALVAGE) {
        snprintf(upkeep->status[job].reason, sizeof upkeep->status[job].reason, "%s", cause.text);
        return WAIT_US;
    }
    upkeep->status[job].reason[0] = '\0';
    if (error != FB_OK || done)
        conclude(upkeep, job, error, &cause);
    return PAUSE_US;
}

static enum job find(const struct upkeep *upkeep, enum state state) {
    enum job job = 0;
    while (job < JOBS && upkeep->status[job].state != state)
        job++;
    return job;
}

/* The check gives way to the others, which are asked for by somebody, and begins anew after them. */
static int on_timer(sd_event_source *source, uint64_t time_us, void *user) {
    (void)source;
    struct upkeep *upkeep = user;
    uint64_t in_us = PAUSE_US;
    if (upkeep->next_check_us <= time_us && upkeep->status[JOB_CHECK].state != STATE_RUNNING)
        set_state(upkeep, JOB_CHECK, STATE_WAITING, "");
    const enum job waiting = find(upkeep, STATE_WAITING);
    enum job running = find(upkeep, STATE_RUNNING);
    if (running == JOB_CHECK && waiting < JOB_CHECK) {
        end_check(upkeep);
        set_state(upkeep, JOB_CHECK, STATE_WAITING, "");
        running = JOBS;
    }
    if (running < JOBS)
        in_us = step(upkeep, running);
    else if (waiting < JOBS)
        begin(upkeep, waiting);
    if (find(upkeep, STATE_RUNNING) < JOBS || find(upkeep, STATE_WAITING) < JOBS)
        arm(upkeep, in_us);
    else
        arm(upkeep, upkeep->next_check_us - time_us);
    return 0;
}

enum fb_error upkeep_new(const struct upkeep_settings *settings, struct upkeep **ret_upkeep, struct fb_cause *cause) {
    struct upkeep *upkeep = calloc(1, sizeof *upkeep);
    if (upkeep == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    *upkeep = (struct upkeep){.settings = *settings, .go_on_with_rekey = settings->go_on_with_rekey};
    const int timer =
        sd_event_add_time_relative(settings->event, &upkeep->timer, CLOCK_MONOTONIC, FIRST_US, 1000, on_timer, upkeep);
    if (timer < 0) {
        free(upkeep);
        return fb_fail_errno(cause, FB_IO, -timer, "event loop");
    }
    sd_event_source_set_priority(upkeep->timer, SD_EVENT_PRIORITY_IDLE);
    if (again_salvage(upkeep, FB_OK))
        set_state(upkeep, JOB_SALVAGE, STATE_WAITING, "");
    if (settings->go_on_with_rekey)
        set_state(upkeep, JOB_REKEY, STATE_WAITING, "");
    /* The first check is due at once. None before is no error. */
    if (store_check_last(settings->store, &upkeep->checked, &upkeep->checked_ms, cause) != FB_OK)
        upkeep->checked_ms = 0;
    *ret_upkeep = upkeep;
    return FB_OK;
}

void upkeep_free(struct upkeep *upkeep) {
    if (upkeep == NULL)
        return;
    for (enum job job = 0; job < JOBS; job++)
        jobs[job].end(upkeep);
    sd_event_source_disable_unref(upkeep->timer);
    free(upkeep);
}

static enum fb_error ask(struct upkeep *upkeep, enum job job, struct fb_cause *cause) {
    const enum state state = upkeep->status[job].state;
    if (state == STATE_RUNNING || state == STATE_WAITING)
        return fb_fail(cause, FB_AGAIN, "%s: it is going on already, forebay status shows how far", jobs[job].name);
    set_state(upkeep, job, STATE_WAITING, "");
    arm(upkeep, 0);
    return FB_OK;
}

enum fb_error upkeep_rekey(struct upkeep *upkeep, struct fb_cause *cause) {
    const enum fb_error error = ask(upkeep, JOB_REKEY, cause);
    if (error == FB_OK) {
        upkeep->go_on_with_rekey = false;
        upkeep->rekey_tries = 0;
    }
    return error;
}

static bool is_whole_path(const char *path) {
    return path[0] == '/' && strlen(path) < PATH_MAX;
}

enum fb_error upkeep_salvage(struct upkeep *upkeep, const char *file, const char *key_file, bool with_history,
                             struct fb_cause *cause) {
    if (!is_whole_path(file) || (key_file != NULL && !is_whole_path(key_file)))
        return fb_fail(cause, FB_INVALID, "salvage: whole paths are needed, of at most %d bytes", PATH_MAX - 1);
    const enum fb_error error = ask(upkeep, JOB_SALVAGE, cause);
    if (error != FB_OK)
        return error;
    snprintf(upkeep->file, sizeof upkeep->file, "%s", file);
    snprintf(upkeep->key_file, sizeof upkeep->key_file, "%s", key_file != NULL ? key_file : "");
    upkeep->file_is_asked_for = true;
    upkeep->with_history = with_history;
    return FB_OK;
}

enum fb_error upkeep_check(struct upkeep *upkeep, struct fb_cause *cause) {
    return ask(upkeep, JOB_CHECK, cause);
}

static json_t *status_to_json(const struct job_status *status, double done) {
    json_t *reason = json_string(status->reason);
    return json_pack("{s:s, s:o, s:o, s:f}", "state", state_words[status->state], "reason",
                     reason != NULL ? reason : json_string("(not UTF-8)"), "since_ms",
                     status->since_ms != 0 ? json_integer(status->since_ms) : json_null(), "done_percent", done * 100);
}

static json_t *salvage_to_json(const struct upkeep *upkeep) {
    json_t *json = status_to_json(&upkeep->status[JOB_SALVAGE],
                                  upkeep->status[JOB_SALVAGE].state == STATE_DONE ? 1 : upkeep->salvaged.done);
    json_t *file = upkeep->file[0] != '\0' ? json_string(upkeep->file) : NULL;
    json_object_set_new(json, "file", file != NULL ? file : json_null());
    json_object_set_new(json, "batches", json_integer((json_int_t)upkeep->salvaged.batches));
    json_object_set_new(json, "readings", json_integer((json_int_t)upkeep->salvaged.readings));
    json_object_set_new(json, "unreadable", json_integer((json_int_t)upkeep->salvaged.unreadable));
    return json;
}

static json_t *check_to_json(const struct upkeep *upkeep) {
    struct store_check_figures now = upkeep->checked;
    if (upkeep->check != NULL)
        store_check_figures(upkeep->check, &now);
    json_t *json = status_to_json(&upkeep->status[JOB_CHECK], now.done);
    json_object_set_new(json, "batches", json_integer((json_int_t)now.batches));
    json_object_set_new(json, "unreadable", json_integer((json_int_t)now.unreadable));
    json_object_set_new(json, "finished_ms", upkeep->checked_ms != 0 ? json_integer(upkeep->checked_ms) : json_null());
    return json;
}

json_t *upkeep_to_json(const struct upkeep *upkeep) {
    const struct job_status *rekey = &upkeep->status[JOB_REKEY];
    const double done = upkeep->rekey != NULL ? store_rekey_done(upkeep->rekey) : rekey->state == STATE_DONE;
    return json_pack("{s:o, s:o, s:o}", "rekey", status_to_json(rekey, done), "salvage", salvage_to_json(upkeep),
                     "check", check_to_json(upkeep));
}
