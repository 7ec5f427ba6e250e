#include "drivers/worker.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "drivers/ask.h"
#include "drivers/connection.h"
#include "drivers/decode.h"
#include "drivers/figures.h"
#include "drivers/outbox.h"
#include "drivers/plan.h"
#include "drivers/probe.h"
#include "drivers/recorder.h"
#include "drivers/schedule.h"
#include "drivers/subject.h"
#include "drivers/write.h"
#include "gateway/common/clock.h"
#include "gateway/common/error.h"
#include "gateway/common/log.h"
#include "gateway/common/protocol.h"
#include "gateway/common/quality.h"
#include "gateway/common/resident.h"

#define STATUS_INTERVAL_MS 2000
#define STATUS_CHANGE_INTERVAL_MS 1000
#define CLOCK_LOOK_INTERVAL_MS 1000
/* The longest wait without a sign of life: far less than WORKERS_SILENT_MS. */
#define TURN_INTERVAL_US UINT64_C(10000000)
/* A bus that is never idle still looks for a question so often. */
#define ASK_LOOK_INTERVAL_US 200000
/* A flickering state makes one line in this time, not one a change. */
#define LOG_INTERVAL_MS 10000

/* What was logged of an instrument last. */
struct logged {
    enum figures_state state;
    int64_t ms; /* monotonic */
};

struct worker {
    const struct plant *plant;
    const struct plant_bus *bus;
    struct plan plan;
    struct schedule schedule;
    struct connection connection;
    struct figures figures;
    struct subject *subjects; /* one for each of figures.instruments */
    struct logged *logged;    /* the same */
    struct health_budget budget;
    struct reading *readings; /* room for the request with the most */
    struct outbox outbox;
    int parent;        /* socket, borrowed; -1: it asks nothing any more */
    uint64_t asked_us; /* monotonic: when it was last looked at while the bus was not idle */
    enum clock_state clock;
    int64_t clock_looked_ms;
    int64_t status_ms; /* when the last was sent */
    const char *logged_state;
    int64_t logged_ms;
    uint64_t release_us; /* when what only the start needed is given back; 0: done */
    bool shared;         /* more than one instrument on the bus */
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

/* The instrument lacks what the request asks for: go on with its parts, which are due at once, if there are any. */
static bool split(struct worker *worker, size_t index) {
    if (!plan_split(&worker->plan, index))
        return false;
    schedule_split(&worker->schedule, index);
    figures_split(&worker->figures, index);
    return true;
}

static void ask(struct worker *worker, struct subject *subject, struct plan_request *request, uint64_t due_us,
                struct connection_result *ret_result) {
    struct subject_times times = {.due_us = due_us, .began_us = (uint64_t)clock_monotonic_us()};
    request->timeout_ms = subject_timeout_ms(subject, worker->bus, worker->shared);
    connection_read(&worker->connection, request, ret_result);
    times.ended_us = (uint64_t)clock_monotonic_us();
    subject_note(subject, ret_result, worker->bus, worker->shared, times);
    const bool answered = ret_result->quality == QUALITY_GOOD || ret_result->quality == QUALITY_EXCEPTION;
    if (ret_result->sent)
        figures_sent(&worker->figures, times.began_us - due_us, times.ended_us - times.began_us, answered);
}

/* Every due tag gives a reading. Returns the quality of the request as a whole. */
static uint8_t tell_readings(struct worker *worker, const struct plan_request *request, struct subject *subject,
                             const struct connection_result *result) {
    const int64_t time_ms = clock_utc_ms();
    size_t units = request->tag_count;
    if (result->quality == QUALITY_GOOD)
        units = worker->connection.driver->decode(request, result->data, time_ms,
                                                  look_at_clock(worker, clock_monotonic_ms()), worker->readings);
    else
        decode_failure(request, result->quality, result->detail, time_ms, worker->readings);
    units = pulse_judge(&subject->pulse, worker->readings, units);
    if (units > 0)
        outbox_send_readings(&worker->outbox, worker->readings, units);
    const bool stopped = result->quality == QUALITY_GOOD && pulse_stopped(&subject->pulse);
    return stopped ? QUALITY_STALE_HEARTBEAT : result->quality;
}

static void serve(struct worker *worker, size_t index) {
    struct plan_request *request = &worker->plan.requests[index];
    struct subject *subject = subject_of(worker, index);
    struct connection_result result = subject_spared(subject);
    const bool tried = health_advice(&subject->health, clock_monotonic_ms()) == HEALTH_ASK;
    if (tried)
        ask(worker, subject, request, worker->schedule.slots[index].due_us, &result);
    if (tried && subject_lacks_registers(request, &result) && split(worker, index))
        return;
    if (tried)
        subject_watch(subject, request, result.quality, result.quality == QUALITY_GOOD ? result.data : NULL);
    const uint8_t quality = tell_readings(worker, request, subject, &result);
    figures_note(&worker->figures, index, quality, tried, worker->connection.reason, clock_utc_ms());
    schedule_served(&worker->schedule, index, (uint64_t)clock_monotonic_us());
}

/* When the next dead instrument may be probed; UINT64_MAX when none is dead. */
static uint64_t probe_time_us(const struct worker *worker) {
    const struct subject *subject = subject_next_probe(worker->subjects, worker->figures.instrument_count);
    if (subject == NULL)
        return UINT64_MAX;
    const int64_t wanted_us = subject->health.probe_at_ms * 1000;
    const int64_t ready_us = health_budget_ready_us(&worker->budget);
    return (uint64_t)(wanted_us > ready_us ? wanted_us : ready_us);
}

/* due_us: when the next of the others has its turn; until then waiting costs nobody. */
static void probe_dead(struct worker *worker, uint64_t due_us) {
    struct subject *subject = subject_next_probe(worker->subjects, worker->figures.instrument_count);
    const uint64_t began_us = (uint64_t)clock_monotonic_us();
    if (!health_budget_allows(&worker->budget, (int64_t)began_us))
        return;
    const size_t first = worker->figures.instruments[subject - worker->subjects].first_request;
    struct plan_request light = plan_light_request(&worker->plan.requests[first]);
    const uint64_t gap_ms = due_us > began_us ? (due_us - began_us) / 1000 : 0;
    light.timeout_ms = subject_probe_ms(subject, worker->bus, gap_ms < UINT32_MAX ? (uint32_t)gap_ms : UINT32_MAX);
    struct connection_result result;
    connection_read(&worker->connection, &light, &result);
    const struct subject_times times = {began_us, began_us, (uint64_t)clock_monotonic_us()};
    subject_note(subject, &result, worker->bus, worker->shared, times);
    health_budget_spend(&worker->budget, times.ended_us - began_us);
    if (result.sent)
        figures_probed(&worker->figures, times.ended_us - began_us);
    else
        health_put_off(&subject->health, (int64_t)(times.ended_us / 1000));
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
        struct logged *logged = &worker->logged[i];
        if (known->state == logged->state || now_ms - logged->ms < LOG_INTERVAL_MS)
            continue;
        const bool good = known->state == FIGURES_GOOD;
        /* The first good answer is no news; the end of a fault is. */
        if (!good)
            log_event(LOG_LEVEL_WARNING, "instrument-down", "bus=%s instrument=%s unit=%u reason=%s", worker->bus->name,
                      known->instrument->name, known->instrument->unit, quality_reason(known->quality));
        else if (logged->state == FIGURES_BAD)
            log_event(LOG_LEVEL_NOTICE, "instrument-up", "bus=%s instrument=%s unit=%u", worker->bus->name,
                      known->instrument->name, known->instrument->unit);
        logged->state = known->state;
        logged->ms = now_ms;
    }
}

static char *answer_ask(struct worker *worker, const char *text, size_t length) {
    struct ask ask;
    struct fb_cause cause;
    json_t *result = NULL;
    enum fb_error error = ask_read(text, length, &ask, &cause);
    if (error == FB_OK && ask.call == ASK_PROBE)
        result = probe_read(&worker->connection, &ask);
    else if (error == FB_OK && ask.call == ASK_PROBE_TAG)
        error = probe_tag(&worker->connection, worker->plant, &ask, &result, &cause);
    else if (error == FB_OK && ask.call == ASK_WRITE)
        error = write_granted(&worker->connection, worker->plant, &ask, &result, &cause);
    else if (error == FB_OK)
        error = fb_fail(&cause, FB_INVALID, "call: not for a worker");
    return error == FB_OK ? ask_answer(result) : ask_failure(error, cause.text);
}

/* Answer one question of the parent, if there is one. */
static void look_for_ask(struct worker *worker) {
    uint8_t packet[MESSAGE_HEADER_BYTES + sizeof(uint64_t) + ASK_BYTES_MAX];
    struct message_reader reader;
    const ssize_t got = worker->parent >= 0 ? recv(worker->parent, packet, sizeof packet, MSG_DONTWAIT) : -1;
    if (got < 0)
        return;
    if (message_open(packet, (size_t)got, &reader) != FB_OK || reader.type != PROTOCOL_ASK) {
        worker->parent = -1; /* gone, or not to be understood */
        return;
    }
    size_t length;
    const uint64_t id = message_get_u64(&reader);
    const uint8_t *text = message_get_rest(&reader, &length);
    char *answer = message_done(&reader) ? answer_ask(worker, (const char *)text, length) : NULL;
    if (answer != NULL)
        outbox_send_tell(&worker->outbox, id, answer);
    free(answer);
}

static void look_now_and_then(struct worker *worker, uint64_t now_us) {
    if (now_us - worker->asked_us < ASK_LOOK_INTERVAL_US)
        return;
    worker->asked_us = now_us;
    look_for_ask(worker);
}

/* Until a request is due; questions are answered meanwhile, one at a time, and may make the request late. */
static void wait_until(struct worker *worker, uint64_t due_us) {
    for (uint64_t now_us; (now_us = (uint64_t)clock_monotonic_us()) < due_us;) {
        recorder_turn();
        const uint64_t left_us = due_us - now_us < TURN_INTERVAL_US ? due_us - now_us : TURN_INTERVAL_US;
        const struct timespec left = {.tv_sec = (time_t)(left_us / 1000000),
                                      .tv_nsec = (long)(left_us % 1000000 * 1000)};
        const bool waits = outbox_waits(&worker->outbox);
        struct pollfd parent = {.fd = worker->parent, .events = waits ? POLLIN | POLLOUT : POLLIN};
        if (ppoll(&parent, 1, &left, NULL) <= 0)
            continue;
        if (waits && (parent.revents & POLLOUT) != 0)
            outbox_flush(&worker->outbox);
        if ((parent.revents & ~POLLOUT) != 0)
            look_for_ask(worker);
    }
}

/* Between two bursts of requests there is time for what is not urgent. */
static void idle_until(struct worker *worker, uint64_t due_us) {
    const uint64_t now_us = (uint64_t)clock_monotonic_us();
    tell_status(worker, now_us);
    if (now_us >= due_us) {
        look_now_and_then(worker, now_us);
        if (probe_time_us(worker) <= now_us)
            probe_dead(worker, due_us);
        return;
    }
    log_bus(worker, (int64_t)(now_us / 1000));
    log_instruments(worker, (int64_t)(now_us / 1000));
    /* A probe begins with the pause, which is the longest it can have, or where the pause is long enough for all of it.
     */
    if (probe_time_us(worker) <= now_us)
        probe_dead(worker, due_us);
    const uint64_t whole_us = worker->bus->timeout_ms * UINT64_C(1000);
    for (uint64_t probe_us; (probe_us = probe_time_us(worker)) < due_us && due_us - probe_us > whole_us;) {
        wait_until(worker, probe_us);
        probe_dead(worker, due_us);
    }
    wait_until(worker, due_us);
}

static size_t most_units(const struct plan *plan) {
    size_t most = 0;
    for (size_t i = 0; i < plan->request_count; i++) {
        const size_t units = decode_units(&plan->requests[i]);
        most = units > most ? units : most;
    }
    return most;
}

static enum fb_error prepare(struct worker *worker, const struct plant *plant, size_t bus, int parent) {
    const uint64_t now_us = (uint64_t)clock_monotonic_us();
    worker->plant = plant;
    worker->bus = &plant->buses[bus];
    worker->parent = parent;
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
    worker->logged = calloc(worker->figures.instrument_count + 1, sizeof *worker->logged);
    worker->readings = calloc(most_units(&worker->plan) + 1, sizeof *worker->readings);
    if (worker->subjects == NULL || worker->logged == NULL || worker->readings == NULL)
        return FB_MEMORY;
    for (size_t i = 0; i < worker->figures.instrument_count; i++)
        worker->logged[i].ms = -LOG_INTERVAL_MS;
    return FB_OK;
}

/* After every request was made at least a few times, as a rule. */
static void release_when_settled(struct worker *worker) {
    if (worker->release_us == 0 || (uint64_t)clock_monotonic_us() < worker->release_us)
        return;
    resident_release();
    worker->release_us = 0;
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
    worker.release_us = (uint64_t)clock_monotonic_us() + RESIDENT_SETTLED_US;
    for (;;) {
        recorder_turn();
        release_when_settled(&worker);
        if (worker.schedule.count == 0) {
            tell_status(&worker, (uint64_t)clock_monotonic_us());
            wait_until(&worker, (uint64_t)clock_monotonic_us() + STATUS_INTERVAL_MS * 1000);
            continue;
        }
        const size_t next = schedule_first(&worker.schedule);
        idle_until(&worker, worker.schedule.slots[next].due_us);
        serve(&worker, next);
    }
}
