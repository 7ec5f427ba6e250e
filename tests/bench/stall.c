#include "stall.h"

#define FILL_COMMIT_SWEEPS 30

static enum fb_error seal(struct store *store, const struct data *data, struct fb_cause *cause) {
    size_t sealed;
    return store_seal(store, DATA_START_MS + (int64_t)data->sweeps * 1000, CLOCK_SYNCHRONISED, &sealed, cause);
}

static enum fb_error append(struct store *store, struct data *data) {
    static struct reading readings[DATA_TAGS_MAX];
    data_sweep(data, readings);
    return store_append(store, readings, data->tags);
}

static enum fb_error fill(struct store *store, struct data *data, size_t seconds, struct fb_cause *cause) {
    enum fb_error error = FB_OK;
    for (size_t i = 0; error == FB_OK && i < seconds; i++) {
        error = append(store, data);
        if (error == FB_OK && i % FILL_COMMIT_SWEEPS == FILL_COMMIT_SWEEPS - 1)
            error = store_commit(store, (struct store_cursor){1, data->sweeps}, cause);
        if (error == FB_OK && store_tail_full(store))
            error = seal(store, data, cause);
    }
    return error;
}

static void note(struct stall *stall, struct moment begun, bool sealed) {
    const struct moment took = moment_since(begun);
    moment_keep_worst(&stall->worst, took);
    if (!sealed)
        return;
    moment_keep_worst(&stall->worst_seal, took);
    stall->seals++;
}

/* As intake.c does it. */
static enum fb_error second(struct store *store, struct data *data, const struct stall_settings *settings,
                            struct stall *stall, struct fb_cause *cause) {
    enum fb_error error = append(store, data);
    const bool due =
        store_tail_full(store) || (settings->seal_seconds > 0 && data->sweeps % settings->seal_seconds == 0);
    const struct moment begun = moment_now();
    if (error == FB_OK)
        error = store_commit(store, (struct store_cursor){1, data->sweeps}, cause);
    if (error == FB_OK && due)
        error = seal(store, data, cause);
    else if (error == FB_OK && !settings->never_keeps_room)
        error = store_keep_room(store, cause);
    note(stall, begun, due);
    return error;
}

bool stall_measure(struct store *store, struct data *data, const struct stall_settings *settings,
                   struct stall *ret_stall, struct fb_cause *ret_cause) {
    *ret_stall = (struct stall){0};
    enum fb_error error = fill(store, data, settings->fill_seconds, ret_cause);
    for (size_t i = 0; error == FB_OK && i < settings->seconds; i++)
        error = second(store, data, settings, ret_stall, ret_cause);
    return error == FB_OK;
}

bool stall_catch_up(struct store *store, struct data *data, struct stall *ret_stall, struct fb_cause *ret_cause) {
    enum fb_error error = FB_OK;
    *ret_stall = (struct stall){0};
    while (error == FB_OK) {
        error = append(store, data);
        store_mark(store, (struct store_cursor){1, data->sweeps});
    }
    if (error != FB_FULL)
        return false;
    do {
        const struct moment begun = moment_now();
        error = store_commit(store, (struct store_cursor){1, data->sweeps}, ret_cause);
        if (error == FB_OK)
            error = seal(store, data, ret_cause);
        note(ret_stall, begun, true);
    } while (error == FB_OK && store_commit_waits(store));
    return error == FB_OK;
}
