#include "gateway/core/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/core.h"
#include "gateway/core/records.h"

#define LOSS_PAUSE_MS 600000
#define NAME_BYTES_MAX (2 * PLANT_NAME_MAX)

static const char *const loss_words[] = {
    [BATCH_LOSS_QUOTA] = "quota",     [BATCH_LOSS_STORE_FULL] = "store full", [BATCH_LOSS_CORE_AWAY] = "core away",
    [BATCH_LOSS_DAMAGED] = "damaged", [BATCH_LOSS_THINNED] = "thinned",
};

struct watch {
    struct core *core;
    json_t *states; /* "bus hall-1", "instrument probe", "link" -> the last word */
    bool store_bad, clock_known, clock_set;
    int64_t loss_told_ms[BATCH_LOSS_THINNED + 1]; /* monotonic; by reason; 0: never */
};

/* Whether the state has changed between good and not. What was never seen before was good. */
static bool turned(struct watch *watch, const char *name, bool good, const char *word) {
    const bool was_good = json_object_get(watch->states, name) == NULL;
    if (good)
        json_object_del(watch->states, name);
    else
        json_object_set_new(watch->states, name, json_string(word));
    return was_good != good;
}

static const char *text(const json_t *object, const char *key) {
    const char *value = json_string_value(json_object_get(object, key));
    return value != NULL ? value : "";
}

void watch_started(struct watch *watch) {
    const struct store_opening *opening = &watch->core->opening;
    records_event(watch->core, RECORDS_INFO, "started",
                  json_pack("{s:s, s:s}", "version", FOREBAY_VERSION, "clock", clock_state_word(clock_state())));
    if (opening->created)
        records_event(watch->core, RECORDS_INFO, "store-created", NULL);
    if (opening->set_aside[0] != '\0')
        records_event(watch->core, RECORDS_ALARM, "store-set-aside",
                      json_pack("{s:s, s:s, s:b}", "file", opening->set_aside, "reason", opening->reason, "inherited",
                                opening->inherited));
}

void watch_stops(struct watch *watch) {
    if (watch != NULL)
        records_event(watch->core, RECORDS_INFO, "stopped", json_pack("{s:s}", "version", FOREBAY_VERSION));
}

void watch_forget(struct watch *watch) {
    json_t *link = json_incref(json_object_get(watch->states, "link"));
    json_object_clear(watch->states);
    if (link != NULL)
        json_object_set_new(watch->states, "link", link);
}

static void watch_instrument(struct watch *watch, const char *bus, const json_t *instrument) {
    char name[NAME_BYTES_MAX];
    const char *state = text(instrument, "state");
    if (strcmp(state, "good") != 0 && strcmp(state, "bad") != 0)
        return;
    const bool good = strcmp(state, "good") == 0;
    snprintf(name, sizeof name, "instrument %.*s", PLANT_NAME_MAX, text(instrument, "name"));
    if (turned(watch, name, good, state))
        records_event(watch->core, good ? RECORDS_INFO : RECORDS_WARNING, good ? "instrument-alive" : "instrument-dead",
                      json_pack("{s:s, s:s, s:s}", "instrument", text(instrument, "name"), "bus", bus, "reason",
                                text(instrument, "reason")));
}

void watch_bus(struct watch *watch, const json_t *bus) {
    char name[NAME_BYTES_MAX];
    const char *state = text(bus, "state");
    if (strcmp(state, "starting") == 0)
        return;
    const bool good = strcmp(state, "down") != 0;
    snprintf(name, sizeof name, "bus %.*s", PLANT_NAME_MAX, text(bus, "name"));
    if (turned(watch, name, good, state))
        records_event(watch->core, good ? RECORDS_INFO : RECORDS_WARNING, good ? "bus-up" : "bus-down",
                      json_pack("{s:s, s:s}", "bus", text(bus, "name"), "reason", text(bus, "reason")));
    const json_t *instruments = json_object_get(bus, "instruments");
    for (size_t i = 0; i < json_array_size(instruments); i++)
        watch_instrument(watch, text(bus, "name"), json_array_get(instruments, i));
}

/* A link is down until it was up once, which is no event. */
void watch_link(struct watch *watch, const json_t *link) {
    const bool was_up = json_object_get(watch->states, "link") != NULL;
    const bool is_up = strcmp(text(link, "state"), "up") == 0;
    if (was_up == is_up)
        return;
    if (is_up)
        json_object_set_new(watch->states, "link", json_string("up"));
    else
        json_object_del(watch->states, "link");
    records_event(watch->core, is_up ? RECORDS_INFO : RECORDS_WARNING, is_up ? "link-up" : "link-down",
                  is_up ? json_pack("{s:s, s:s}", "peer", text(link, "peer"), "tls", text(link, "tls"))
                        : json_pack("{s:s, s:s}", "step", text(link, "step"), "reason", text(link, "reason")));
}

void watch_program(struct watch *watch, const char *program, bool connected, const char *reason) {
    records_event(watch->core, connected ? RECORDS_INFO : RECORDS_WARNING,
                  connected ? "program-connected" : "program-gone",
                  connected ? json_pack("{s:s}", "program", program)
                            : json_pack("{s:s, s:s}", "program", program, "reason", reason));
}

void watch_store(struct watch *watch, enum fb_error error, const char *reason) {
    if (error == FB_OK && watch->store_bad)
        records_event(watch->core, RECORDS_INFO, "store-good", NULL);
    else if (error != FB_OK)
        records_event(watch->core, RECORDS_ALARM, error == FB_FULL ? "disk-full" : "store-failed",
                      json_pack("{s:s}", "reason", reason));
    watch->store_bad = error != FB_OK;
}

void watch_losses(struct watch *watch) {
    const int64_t now_ms = clock_monotonic_ms();
    for (enum batch_loss_reason reason = BATCH_LOSS_QUOTA; reason <= BATCH_LOSS_THINNED; reason++) {
        struct batch_loss loss;
        int64_t *told_ms = &watch->loss_told_ms[reason];
        if ((*told_ms != 0 && now_ms - *told_ms < LOSS_PAUSE_MS) ||
            !store_take_noted_loss(watch->core->store, reason, &loss))
            continue;
        *told_ms = now_ms;
        records_event(watch->core, reason == BATCH_LOSS_THINNED ? RECORDS_WARNING : RECORDS_ALARM,
                      reason == BATCH_LOSS_THINNED ? "readings-thinned" : "readings-lost",
                      json_pack("{s:s, s:I, s:I, s:I}", "reason", loss_words[reason], "readings",
                                (json_int_t)loss.readings, "from_ms", (json_int_t)loss.from_ms, "to_ms",
                                (json_int_t)loss.to_ms));
    }
}

void watch_clock(struct watch *watch, int64_t by_ms, bool set) {
    if (by_ms != 0)
        records_event(watch->core, RECORDS_WARNING, "clock-stepped", json_pack("{s:I}", "by_ms", (json_int_t)by_ms));
    if (!watch->clock_known || watch->clock_set != set)
        records_event(watch->core, set ? RECORDS_INFO : RECORDS_WARNING, set ? "clock-set" : "clock-not-set", NULL);
    watch->clock_known = true;
    watch->clock_set = set;
}

void watch_upkeep(struct watch *watch, const char *job, const char *what, const char *reason) {
    char event[64];
    snprintf(event, sizeof event, "%s-%s", job, what);
    records_event(watch->core, reason[0] != '\0' ? RECORDS_WARNING : RECORDS_INFO, event,
                  reason[0] != '\0' ? json_pack("{s:s}", "reason", reason) : NULL);
}

enum fb_error watch_new(struct core *core, struct watch **ret_watch, struct fb_cause *cause) {
    struct watch *watch = calloc(1, sizeof *watch);
    json_t *states = json_object();
    if (watch == NULL || states == NULL) {
        free(watch);
        json_decref(states);
        return fb_fail(cause, FB_MEMORY, "out of memory");
    }
    *watch = (struct watch){.core = core, .states = states};
    *ret_watch = watch;
    return FB_OK;
}

void watch_free(struct watch *watch) {
    if (watch == NULL)
        return;
    json_decref(watch->states);
    free(watch);
}
