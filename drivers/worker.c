#include "drivers/worker.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "drivers/connection.h"
#include "drivers/decode.h"
#include "drivers/figures.h"
#include "drivers/health.h"
#include "drivers/outbox.h"
#include "drivers/plan.h"
#include "drivers/schedule.h"
#include "gateway/common/clock.h"
#include "gateway/common/error.h"
#include "gateway/common/log.h"
#include "gateway/common/quality.h"

#define STATUS_INTERVAL_MS 2000
#define STATUS_CHANGE_INTERVAL_MS 1000
#define CLOCK_LOOK_INTERVAL_MS 1000
/* A flickering state makes one line in this time, not one a change. */
#define LOG_INTERVAL_MS 10000
/* Gateway target device failed to respond: as silent as a time-out (application protocol V1.1b3, section 7). */
#define EXCEPTION_GATEWAY_TARGET 11

/* What the worker keeps of each instrument beside its figures. */
struct subject {
    struct health health;
    uint8_t failed_quality; /* of the readings while it is spared */
    uint16_t failed_detail;
    enum figures_state logged;
    int64_t logged_ms; /* monotonic */
};

struct worker {
    const struct plant_bus *bus;
    struct plan plan;
    struct schedule schedule;
    struct connection connection;
    struct figures figures;
    struct subject *subjects; /* one for each of figures.instruments */
    struct reading *readings; /* room for the request with the most tags */
    struct outbox outbox;
    enum clock_state clock;
    int64_t clock_looked_ms;
    int64_t status_ms; /* when the last was sent */
    const char *logged_state;
    int64_t logged_ms;
    bool shared; /* more than one instrument on the bus */
};

static enum clock_state look_at_clock(struct worker *worker, int64_t now_ms) {
    if (worker->clock_looked_ms == 0 || now_ms - worker->clock_looked_ms >= CLOCK_LOOK_INTERVAL_MS) {
        worker->clock = clock_state();
        worker->clock_looked_ms = now_ms;
    }
    return worker->clock;
}

static struct subject *subject_of(struct worker *worker, size_t request) {
    return &worker->subjects[figures_instrument(&worker->figures, request) - worker->figures.instruments];
}

static bool unit_is_silent(const struct connection_result *result) {
    return result->quality == QUALITY_TIMEOUT ||
           (result->quality == QUALITY_EXCEPTION && result->detail == EXCEPTION_GATEWAY_TARGET);
}

static void note_health(struct worker *worker, struct subject *subject, uint64_t due_us,
                        const struct connection_result *result) {
    subject->failed_quality = result->quality;
    subject->failed_detail = result->detail;
    if (!result->sent)
        return;
    if (unit_is_silent(result))
        health_failed(&subject->health, due_us, worker->bus->timeout_ms, worker->shared, clock_monotonic_ms());
    else if (result->quality == QUALITY_GOOD || result->quality == QUALITY_EXCEPTION)
        health_answered(&subject->health);
    else if (result->quality == QUALITY_BAD_REPLY)
        health_failed(&subject->health, due_us, 0, worker->shared, clock_monotonic_ms());
}

/* The least that tells whether the instrument is back: the first tag alone. */
static struct plan_request light_request(const struct plan_request *request) {
    struct plan_request light = *request;
    const bool bits = request->table == PLANT_COIL || request->table == PLANT_DISCRETE;
    light.count = bits ? 1 : (uint16_t)plant_type_registers(request->tags[0]->type);
    light.tag_count = 1;
    return light;
}

/* Ask, or find a reason not to. Returns whether it was tried. */
static bool ask(struct worker *worker, size_t index, uint64_t due_us, struct connection_result *ret_result) {
    const struct plan_request *request = &worker->plan.requests[index];
    struct subject *subject = subject_of(worker, index);
    const enum health_advice advice = health_advice(&subject->health, clock_monotonic_ms());
    if (advice == HEALTH_SPARE) {
        *ret_result = (struct connection_result){.quality = subject->failed_quality, .detail = subject->failed_detail};
        return false;
    }
    if (advice == HEALTH_PROBE) {
        const struct plan_request light = light_request(request);
        connection_read(&worker->connection, &light, ret_result);
        note_health(worker, subject, due_us, ret_result);
        if (health_advice(&subject->health, clock_monotonic_ms()) != HEALTH_ASK)
            return true;
    }
    connection_read(&worker->connection, request, ret_result);
    note_health(worker, subject, due_us, ret_result);
    return true;
}

static void serve(struct worker *worker, size_t index) {
    const struct plan_request *request = &worker->plan.requests[index];
    const uint64_t due_us = worker->schedule.slots[index].due_us;
    const uint64_t began_us = (uint64_t)clock_monotonic_us();
    struct connection_result result;
    const bool tried = ask(worker, index, due_us, &result);
    const uint64_t ended_us = (uint64_t)clock_monotonic_us();
    const int64_t time_ms = clock_utc_ms();
    if (result.quality == QUALITY_GOOD)
        decode_reply(request, result.data, time_ms, look_at_clock(worker, (int64_t)(ended_us / 1000)),
                     worker->readings);
    else
        decode_failure(request, result.quality, result.detail, time_ms, worker->readings);
    outbox_send_readings(&worker->outbox, worker->readings, request->tag_count);
    if (result.sent)
        figures_sent(&worker->figures, began_us - due_us, ended_us - began_us);
    figures_note(&worker->figures, index, result.quality, tried, worker->connection.reason, time_ms);
    schedule_served(&worker->schedule, index, ended_us);
}

static void tell_status(struct worker *worker, uint64_t now_us) {
    const int64_t age_ms = (int64_t)(now_us / 1000) - worker->status_ms;
    if (age_ms < STATUS_CHANGE_INTERVAL_MS || (age_ms < STATUS_INTERVAL_MS && !worker->figures.changed))
        return;
    char *text = figures_json(&worker->figures, worker->schedule.overruns, now_us);
    if (text != NULL)
        outbox_send_status(&worker->outbox, text);
    free(text);
    worker->figures.changed = false;
    worker->status_ms = (int64_t)(now_us / 1000);
}

static void log_bus(struct worker *worker, int64_t now_ms) {
    const struct figures *figures = &worker->figures;
    if (figures->state == worker->logged_state || now_ms - worker->logged_ms < LOG_INTERVAL_MS)
        return;
    const bool good = strcmp(figures->state, "good") == 0;
    log_event(good ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, "bus-state", "bus=%s state=%s%s%s", worker->bus->name,
              figures->state, figures->reason[0] != '\0' ? " reason=" : "", figures->reason);
    worker->logged_state = figures->state;
    worker->logged_ms = now_ms;
}

static void log_instruments(struct worker *worker, int64_t now_ms) {
    for (size_t i = 0; i < worker->figures.instrument_count; i++) {
        const struct figures_instrument *known = &worker->figures.instruments[i];
        struct subject *subject = &worker->subjects[i];
        if (known->state == subject->logged || now_ms - subject->logged_ms < LOG_INTERVAL_MS)
            continue;
        const bool good = known->state == FIGURES_GOOD;
        /* The first good answer is no news; the end of a fault is. */
        if (!good)
            log_event(LOG_LEVEL_WARNING, "instrument-down", "bus=%s instrument=%s unit=%u reason=%s", worker->bus->name,
                      known->instrument->name, known->instrument->unit, quality_reason(known->quality));
        else if (subject->logged == FIGURES_BAD)
            log_event(LOG_LEVEL_NOTICE, "instrument-up", "bus=%s instrument=%s unit=%u", worker->bus->name,
                      known->instrument->name, known->instrument->unit);
        subject->logged = known->state;
        subject->logged_ms = now_ms;
    }
}

static void wait_until(uint64_t due_us) {
    const struct timespec due = {.tv_sec = (time_t)(due_us / 1000000), .tv_nsec = (long)(due_us % 1000000 * 1000)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

/* Between two bursts of requests there is time for what is not urgent. */
static void idle_until(struct worker *worker, uint64_t due_us) {
    const uint64_t now_us = (uint64_t)clock_monotonic_us();
    tell_status(worker, now_us);
    if (now_us >= due_us)
        return;
    log_bus(worker, (int64_t)(now_us / 1000));
    log_instruments(worker, (int64_t)(now_us / 1000));
    wait_until(due_us);
}

static size_t most_tags(const struct plan *plan) {
    size_t most = 0;
    for (size_t i = 0; i < plan->request_count; i++)
        most = plan->requests[i].tag_count > most ? plan->requests[i].tag_count : most;
    return most;
}

static enum fb_error prepare(struct worker *worker, const struct plant *plant, size_t bus, int parent) {
    const uint64_t now_us = (uint64_t)clock_monotonic_us();
    worker->bus = &plant->buses[bus];
    outbox_init(&worker->outbox, parent);
    connection_init(&worker->connection, worker->bus);
    enum fb_error error = plan_bus(plant, bus, &worker->plan);
    if (error == FB_OK)
        error = schedule_make(&worker->plan, now_us, &worker->schedule);
    if (error == FB_OK)
        error = figures_make(plant, bus, &worker->plan, clock_utc_ms(), now_us, &worker->figures);
    if (error != FB_OK)
        return error;
    worker->shared = worker->figures.instrument_count > 1;
    worker->logged_ms = -LOG_INTERVAL_MS;
    worker->logged_state = worker->figures.state;
    worker->status_ms = -STATUS_INTERVAL_MS;
    worker->subjects = calloc(worker->figures.instrument_count + 1, sizeof *worker->subjects);
    worker->readings = calloc(most_tags(&worker->plan) + 1, sizeof *worker->readings);
    if (worker->subjects == NULL || worker->readings == NULL)
        return FB_MEMORY;
    for (size_t i = 0; i < worker->figures.instrument_count; i++)
        worker->subjects[i].logged_ms = -LOG_INTERVAL_MS;
    return FB_OK;
}

int worker_run(const struct plant *plant, size_t bus, int parent) {
    static struct worker worker;
    /* An unknown host name must not hold up the bus's other duties for half a minute. */
    setenv("RES_OPTIONS", "timeout:1 attempts:1", 0);
    const enum fb_error error = prepare(&worker, plant, bus, parent);
    if (error != FB_OK) {
        log_event(LOG_LEVEL_ERROR, "bus-refused", "bus=%s its requests cannot be planned: %s", plant->buses[bus].name,
                  fb_error_word(error));
        return EXIT_FAILURE;
    }
    for (;;) {
        if (worker.schedule.count == 0) {
            tell_status(&worker, (uint64_t)clock_monotonic_us());
            pause();
            continue;
        }
        const size_t next = schedule_first(&worker.schedule);
        idle_until(&worker, worker.schedule.slots[next].due_us);
        serve(&worker, next);
    }
}
