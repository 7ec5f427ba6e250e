/* forebay-field: polls the instruments, one worker process a bus, and keeps their readings until core has them on
 * disk. Started by `forebay run` or systemd. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "drivers/ask.h"
#include "drivers/core_peer.h"
#include "drivers/json_memory.h"
#include "drivers/ring.h"
#include "drivers/workers.h"
#include "gateway/common/log.h"
#include "gateway/common/resident.h"

/* Readings that arrive within this time go to core in one message. */
#define GATHER_MS 50
/* After SIGTERM: to take what the workers had sent and pass it on. */
#define STOP_MS 1000

static const char help[] = "Usage: forebay-field --run FOLDER\n"
                           "\n"
                           "Polls the instruments for Forebay, a process a bus; `forebay run` starts it.\n"
                           "\n"
                           "  --run FOLDER  the folder with core's sockets\n"
                           "  --help        show this\n"
                           "  --version     show the version\n"
                           "\n"
                           "SIGTERM and SIGINT end it; what was read is passed on first.\n";

struct field {
    sd_event *event;
    sd_event_source *gather; /* runs while a message of the ring is open */
    sd_event_source *deadline;
    struct ring ring;
    struct workers *workers;
    struct core_peer *core;
    bool stopping;
};

static void on_readings(const struct reading *readings, size_t units, void *user) {
    struct field *field = user;
    const bool was_open = ring_is_open(&field->ring);
    ring_add(&field->ring, readings, units);
    if (was_open)
        return;
    sd_event_source_set_time_relative(field->gather, GATHER_MS * 1000);
    sd_event_source_set_enabled(field->gather, SD_EVENT_ONESHOT);
}

static void on_lost(uint64_t readings, int64_t from_ms, int64_t to_ms, void *user) {
    struct field *field = user;
    ring_add_loss(&field->ring, readings, from_ms, to_ms);
    core_peer_flush(field->core);
}

static int on_gathered(sd_event_source *source, uint64_t time_us, void *user) {
    (void)source;
    (void)time_us;
    struct field *field = user;
    ring_seal(&field->ring);
    core_peer_flush(field->core);
    return 0;
}

static void on_status(const char *text, void *user) {
    struct field *field = user;
    core_peer_send_status(field->core, text);
}

static void on_told(uint64_t id, const char *text, size_t length, void *user) {
    struct field *field = user;
    core_peer_tell(field->core, id, text, length);
}

static int end_when_flushed(sd_event_source *source, void *user) {
    (void)source;
    struct field *field = user;
    return field->stopping && core_peer_flushed(field->core) ? sd_event_exit(field->event, EXIT_SUCCESS) : 0;
}

static void on_stopped(void *user) {
    struct field *field = user;
    ring_seal(&field->ring);
    core_peer_flush(field->core);
    field->stopping = true;
}

static const struct workers_handlers workers_handlers = {
    .readings = on_readings, .lost = on_lost, .status = on_status, .told = on_told, .stopped = on_stopped};

static void on_plant(struct plant *plant, void *user) {
    struct field *field = user;
    workers_apply(field->workers, plant);
    /* Core forgets its buses with each plant; those that go on untouched would not speak up by themselves. */
    workers_repeat_status(field->workers);
}

static void on_ready(void *user) {
    struct field *field = user;
    workers_repeat_status(field->workers);
}

static void tell(struct field *field, uint64_t id, char *answer) {
    if (answer == NULL)
        abort(); /* out of memory: the supervisor starts us anew */
    core_peer_tell(field->core, id, answer, strlen(answer));
    free(answer);
}

static void on_ask(uint64_t id, const char *text, size_t length, void *user) {
    struct field *field = user;
    struct ask ask;
    struct fb_cause cause;
    enum fb_error error = ask_read(text, length, &ask, &cause);
    const struct recorder *recorder = error == FB_OK ? workers_recorder(field->workers, ask.bus) : NULL;
    if (error == FB_OK && recorder == NULL)
        error = fb_fail(&cause, FB_NOT_FOUND, "there is no bus %s", ask.bus);
    if (error == FB_OK && ask.call != ASK_TRACE)
        error = workers_ask(field->workers, ask.bus, id, text, length, &cause);
    else if (error == FB_OK)
        tell(field, id, ask_answer(ask_trace(recorder, ask.after)));
    if (error != FB_OK)
        tell(field, id, ask_failure(error, cause.text));
}

static const struct core_peer_handlers core_peer_handlers = {.plant = on_plant, .ask = on_ask, .ready = on_ready};

static int on_deadline(sd_event_source *source, uint64_t time_us, void *user) {
    (void)source;
    (void)time_us;
    struct field *field = user;
    return sd_event_exit(field->event, EXIT_SUCCESS);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *information, void *user) {
    (void)source;
    (void)information;
    struct field *field = user;
    if (field->deadline != NULL)
        return 0;
    sd_event_add_time_relative(field->event, &field->deadline, CLOCK_MONOTONIC, STOP_MS * 1000, 1000, on_deadline,
                               field);
    workers_stop(field->workers);
    return 0;
}

static void block_signals(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);
}

static enum fb_error prepare_loop(struct field *field, struct fb_cause *cause) {
    block_signals();
    int error = sd_event_default(&field->event);
    if (error >= 0)
        error = sd_event_add_signal(field->event, NULL, SIGTERM, on_signal, field);
    if (error >= 0)
        error = sd_event_add_signal(field->event, NULL, SIGINT, on_signal, field);
    if (error >= 0)
        error = sd_event_add_post(field->event, NULL, end_when_flushed, field);
    if (error >= 0)
        error = sd_event_add_time_relative(field->event, &field->gather, CLOCK_MONOTONIC, 0, 5000, on_gathered, field);
    if (error >= 0)
        error = resident_release_later(field->event);
    if (error >= 0)
        error = sd_event_set_watchdog(field->event, true);
    return error < 0 ? fb_fail_errno(cause, FB_IO, -error, "event loop") : FB_OK;
}

static enum fb_error prepare(struct field *field, const char *run, struct fb_cause *cause) {
    ring_init(&field->ring, RING_CHUNKS_MAX);
    enum fb_error error = prepare_loop(field, cause);
    if (error == FB_OK)
        error = workers_new(field->event, &workers_handlers, field, &field->workers);
    if (error == FB_OK)
        error = core_peer_new(field->event, run, &field->ring, &core_peer_handlers, field, &field->core, cause);
    return error;
}

static void end(struct field *field) {
    workers_free(field->workers);
    core_peer_free(field->core);
    sd_event_source_disable_unref(field->gather);
    sd_event_source_disable_unref(field->deadline);
    sd_event_unref(field->event);
    ring_done(&field->ring);
}

static int serve(const char *run) {
    struct field field = {0};
    struct fb_cause cause = {.text = "out of memory"};
    int status = EXIT_FAILURE;
    if (prepare(&field, run, &cause) == FB_OK)
        status = sd_event_loop(field.event);
    else
        log_event(LOG_LEVEL_ERROR, "start-failed", "%s", cause.text);
    end(&field);
    return status < 0 ? EXIT_FAILURE : status;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"run", required_argument, NULL, 'r'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'V'},
                                            {0}};
    const char *run = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "r:hV", options, NULL)) != -1) {
        if (option == 'h')
            return fputs(help, stdout) < 0;
        if (option == 'V')
            return puts("forebay-field " FOREBAY_VERSION) < 0;
        if (option != 'r')
            return 2;
        run = optarg;
    }
    if (run == NULL || optind != argc) {
        fputs(help, stderr);
        return 2;
    }
    log_open("forebay-field");
    json_memory_use();
    return serve(run);
}
