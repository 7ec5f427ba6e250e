#include "drivers/figures.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/json_memory.h"
#include "gateway/common/quality.h"

static const char *const state_words[] = {
    [FIGURES_UNKNOWN] = "unknown", [FIGURES_GOOD] = "good", [FIGURES_BAD] = "bad"};

static const uint8_t error_qualities[FIGURES_ERROR_KINDS] = {QUALITY_TIMEOUT, QUALITY_NOT_CONNECTED, QUALITY_EXCEPTION,
                                                             QUALITY_BAD_REPLY};

static struct figures_instrument instrument_start(const struct plant_instrument *instrument, const struct plan *plan,
                                                  int64_t now_ms) {
    struct figures_instrument known = {.instrument = instrument, .since_ms = now_ms};
    for (size_t i = 0; i < plan->request_count; i++) {
        if (plan->requests[i].instrument != instrument)
            continue;
        if (known.request_count++ == 0)
            known.first_request = i;
    }
    return known;
}

static size_t count_instruments_on(const struct plant *plant, size_t bus) {
    size_t count = 0;
    for (size_t i = 0; i < plant->instrument_count; i++)
        count += plant->instruments[i].bus == bus;
    return count;
}

enum fb_error figures_make(const struct plant *plant, size_t bus, const struct plan *plan, int64_t now_ms,
                           uint64_t now_us, struct figures *ret_figures) {
    struct figures figures = {.bus = &plant->buses[bus],
                              .state = "starting",
                              .since_ms = now_ms,
                              .window_from_us = now_us,
                              .request_count = plan->request_count,
                              .changed = true};
    figures.instruments = calloc(count_instruments_on(plant, bus) + 1, sizeof *figures.instruments);
    figures.qualities = malloc(plan->request_most + 1);
    if (figures.instruments == NULL || figures.qualities == NULL) {
        figures_done(&figures);
        return FB_MEMORY;
    }
    memset(figures.qualities, FIGURES_NEVER_ASKED, plan->request_most + 1);
    for (size_t i = 0; i < plant->instrument_count; i++)
        if (plant->instruments[i].bus == bus)
            figures.instruments[figures.instrument_count++] = instrument_start(&plant->instruments[i], plan, now_ms);
    *ret_figures = figures;
    return FB_OK;
}

void figures_done(struct figures *figures) {
    free(figures->instruments);
    free(figures->qualities);
    *figures = (struct figures){0};
}

struct figures_instrument *figures_instrument(struct figures *figures, size_t request) {
    for (size_t i = 0; i < figures->instrument_count; i++) {
        struct figures_instrument *instrument = &figures->instruments[i];
        if (request >= instrument->first_request && request - instrument->first_request < instrument->request_count)
            return instrument;
    }
    assert(!"every request belongs to an instrument");
    return NULL;
}

void figures_split(struct figures *figures, size_t request) {
    struct figures_instrument *owner = figures_instrument(figures, request);
    uint8_t *quality = &figures->qualities[request];
    memmove(quality + 1, quality, figures->request_count - request);
    figures->request_count++;
    owner->request_count++;
    for (size_t i = 0; i < figures->instrument_count; i++)
        if (figures->instruments[i].first_request > request)
            figures->instruments[i].first_request++;
}

static void add_sample(struct figures_samples *samples, uint64_t us) {
    samples->us[samples->count++ % FIGURES_SAMPLES_MAX] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

void figures_sent(struct figures *figures, uint64_t lateness_us, uint64_t busy_us, bool answered) {
    figures->requests++;
    figures->busy_us += busy_us;
    add_sample(&figures->lateness, lateness_us);
    if (answered)
        add_sample(&figures->response, busy_us);
}

void figures_probed(struct figures *figures, uint64_t busy_us) {
    figures->requests++;
    figures->busy_us += busy_us;
}

/* An instrument is as bad as the worst of its requests, so that one bad register does not make its state flicker. */
static void judge_instrument(struct figures *figures, struct figures_instrument *instrument, int64_t now_ms) {
    enum figures_state state = FIGURES_UNKNOWN;
    uint8_t quality = QUALITY_GOOD;
    for (size_t i = 0; i < instrument->request_count && state != FIGURES_BAD; i++) {
        const uint8_t last = figures->qualities[instrument->first_request + i];
        if (last == FIGURES_NEVER_ASKED)
            continue;
        state = last == QUALITY_GOOD ? FIGURES_GOOD : FIGURES_BAD;
        quality = last;
    }
    if (state != instrument->state) {
        instrument->since_ms = now_ms;
        figures->changed = true;
    }
    instrument->state = state;
    instrument->quality = quality;
}

struct census {
    size_t asked, bad, silent;
    const struct figures_instrument *first_bad;
};

static struct census count_instruments(const struct figures *figures) {
    struct census census = {0};
    for (size_t i = 0; i < figures->instrument_count; i++) {
        const struct figures_instrument *instrument = &figures->instruments[i];
        census.asked += instrument->state != FIGURES_UNKNOWN;
        if (instrument->state != FIGURES_BAD)
            continue;
        if (census.bad++ == 0)
            census.first_bad = instrument;
        census.silent += instrument->quality != QUALITY_EXCEPTION && instrument->quality != QUALITY_STALE_HEARTBEAT;
    }
    return census;
}

static const char *judge_bus(const struct figures *figures, uint8_t quality, const char *fault, char *ret_reason) {
    const struct census census = count_instruments(figures);
    ret_reason[0] = '\0';
    if (quality == QUALITY_NOT_CONNECTED) {
        snprintf(ret_reason, FIGURES_REASON_MAX, "not connected: %.170s", fault);
        return "down";
    }
    if (census.bad == 0)
        return census.asked > 0 ? "good" : "starting";
    snprintf(ret_reason, FIGURES_REASON_MAX, "%zu of %zu instruments bad, first %s: %s", census.bad,
             figures->instrument_count, census.first_bad->instrument->name, quality_reason(census.first_bad->quality));
    return census.silent == figures->instrument_count ? "down" : "degraded";
}

void figures_note(struct figures *figures, size_t request, uint8_t quality, bool counted, const char *fault,
                  int64_t now_ms) {
    struct figures_instrument *instrument = figures_instrument(figures, request);
    for (size_t i = 0; counted && i < FIGURES_ERROR_KINDS; i++)
        figures->errors[i] += error_qualities[i] == quality;
    if (quality == QUALITY_GOOD)
        instrument->last_good_ms = now_ms;
    if (figures->qualities[request] == quality && quality != QUALITY_NOT_CONNECTED)
        return;
    figures->qualities[request] = quality;
    judge_instrument(figures, instrument, now_ms);
    char reason[FIGURES_REASON_MAX];
    const char *state = judge_bus(figures, quality, fault, reason);
    if (strcmp(state, figures->state) != 0) {
        figures->since_ms = now_ms;
        figures->changed = true;
    }
    figures->state = state;
    memcpy(figures->reason, reason, sizeof reason);
}

static int compare_u32(const void *left_pointer, const void *right_pointer) {
    const uint32_t left = *(const uint32_t *)left_pointer;
    const uint32_t right = *(const uint32_t *)right_pointer;
    return (left > right) - (left < right);
}

static json_t *samples_json(const struct figures_samples *samples) {
    uint32_t sorted[FIGURES_SAMPLES_MAX];
    const size_t count = samples->count < FIGURES_SAMPLES_MAX ? (size_t)samples->count : FIGURES_SAMPLES_MAX;
    if (count == 0)
        return json_pack("{s:n, s:n}", "p50", "p99");
    memcpy(sorted, samples->us, count * sizeof sorted[0]);
    qsort(sorted, count, sizeof sorted[0], compare_u32);
    const size_t middle = count / 2, late = count * 99 / 100;
    return json_pack("{s:f, s:f}", "p50", sorted[middle] / 1000.0, "p99", sorted[late] / 1000.0);
}

static json_t *errors_json(const struct figures *figures) {
    json_t *errors = json_object();
    for (size_t i = 0; i < FIGURES_ERROR_KINDS; i++)
        json_object_set_new(errors, quality_reason(error_qualities[i]), json_integer((json_int_t)figures->errors[i]));
    return errors;
}

static json_t *instruments_json(const struct figures *figures) {
    json_t *list = json_array();
    for (size_t i = 0; i < figures->instrument_count && i < FIGURES_INSTRUMENTS_MAX; i++) {
        const struct figures_instrument *known = &figures->instruments[i];
        json_t *last_good = known->last_good_ms != 0 ? json_integer(known->last_good_ms) : json_null();
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I, s:o}", "name", known->instrument->name, "state",
                                              state_words[known->state], "reason",
                                              known->state == FIGURES_BAD ? quality_reason(known->quality) : "",
                                              "since_ms", (json_int_t)known->since_ms, "last_good_ms", last_good));
    }
    return list;
}

static double load_percent(struct figures *figures, uint64_t now_us) {
    const uint64_t window_us = now_us > figures->window_from_us ? now_us - figures->window_from_us : 1;
    const double percent = 100.0 * (double)figures->busy_us / (double)window_us;
    figures->busy_us = 0;
    figures->window_from_us = now_us;
    return (double)(int64_t)(percent * 10.0 + 0.5) / 10.0;
}

char *figures_json(struct figures *figures, uint64_t overruns, uint64_t now_us) {
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:f, s:I, s:o, s:o, s:o, s:o}", "name", figures->bus->name, "state",
                  figures->state, "reason", figures->reason, "since_ms", (json_int_t)figures->since_ms, "requests",
                  (json_int_t)figures->requests, "load_percent", load_percent(figures, now_us), "overruns",
                  (json_int_t)overruns, "errors", errors_json(figures), "lateness_ms", samples_json(&figures->lateness),
                  "response_ms", samples_json(&figures->response), "instruments", instruments_json(figures));
    char *text = json != NULL ? json_memory_text(json, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(json);
    return text;
}
