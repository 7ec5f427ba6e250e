/* demo.c - `forebay demo`: a gateway with simulated instruments and a receiver on this machine, real in every other
 * part. */
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/cli/client.h"
#include "gateway/cli/command.h"
#include "gateway/cli/demo_scene.h"
#include "gateway/cli/options.h"
#include "gateway/cli/supervisor.h"
#include "gateway/common/clock.h"
#include "gateway/common/file.h"
#include "gateway/common/log.h"

#define LOOK_US 1000000
#define STOP_LIMIT_MS 6000
/* After polling has ended, the rest must be at the receiver within this. */
#define DRAIN_LIMIT_MS 20000
#define STATE_BYTES_MAX (16u * 1024 * 1024)
#define DURATION_MOST_S 86400

static const char help[] =
    "Usage: forebay demo [--duration SECONDS] [--page-port PORT] [--keep]\n"
    "\n"
    "Runs a gateway on this machine with two simulated controllers on Modbus TCP and three units\n"
    "on one RTU line (one of them flaky), and a receiver. Prints the page's address and a line on\n"
    "what is polled, stored, forwarded and received. Ctrl-C ends it.\n"
    "\n"
    "  --duration SECONDS  end by itself, and exit with 0 only if nothing was lost or repeated\n"
    "  --page-port PORT    of the page; default 8443, 0 for any\n"
    "  --keep              do not remove the scratch folder (configuration, store, readings, logs)\n"
    "  --help              show this\n";

enum demo_phase { DEMO_POLLING, DEMO_DRAINING, DEMO_STOPPING };

struct received {
    int64_t readings, batches, missing, lost, repeated;
};

struct demo {
    sd_event *event;
    struct supervisor *supervisor;
    struct demo_scene scene;
    enum demo_phase phase;
    int64_t phase_until_ms; /* monotonic; INT64_MAX: until Ctrl-C */
    int64_t stored;         /* readings that core has kept, in all */
    int64_t refused;        /* readings that core knows as lost */
    struct received received;
    bool good;
    bool page_told;
    char run[PATH_MAX + 8], log[PATH_MAX + 16];
};

static int64_t integer(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

/* What the receiver has committed; zeros before there is anything. */
static void look_at_receiver(struct demo *demo) {
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/received/state.json", demo->scene.folder);
    FB_CLEANUP(file_free) char *text = NULL;
    size_t length;
    if (file_read(path, STATE_BYTES_MAX, &text, &length, NULL) != FB_OK)
        return;
    json_t *state = json_loadb(text, length, 0, NULL);
    const json_t *totals = json_object_get(state, "totals");
    demo->received = (struct received){.readings = integer(totals, "readings"),
                                       .batches = integer(totals, "batches"),
                                       .missing = integer(totals, "missing_batches"),
                                       .lost = integer(totals, "lost_readings"),
                                       .repeated = integer(totals, "repeated_batches")};
    json_decref(state);
}

static void print_line(const struct demo *demo, const json_t *status) {
    const json_t *store = json_object_get(status, "store");
    const json_t *link = json_object_get(status, "link");
    const char *state = json_string_value(json_object_get(link, "state"));
    printf("%s%5.1f readings/s polled, %" PRId64 " stored (%" PRId64 " unsent), link %s, %" PRId64
           " batches forwarded, %" PRId64 " readings received%s",
           isatty(STDOUT_FILENO) ? "\r\033[K" : "", json_real_value(json_object_get(status, "readings_per_s")),
           demo->stored, integer(store, "unsent_readings"), state != NULL ? state : "-", integer(link, "accepted"),
           demo->received.readings, isatty(STDOUT_FILENO) ? "" : "\n");
    fflush(stdout);
}

static void look_at_gateway(struct demo *demo) {
    json_t *status;
    if (client_call(demo->run, "status", 1000, &status, NULL) != FB_OK)
        return;
    if (!demo->page_told)
        printf("The page: https://127.0.0.1:%u/ (a throw-away certificate: the browser will warn)\n"
               "The folder: %s\n",
               demo->scene.page_port, demo->scene.folder);
    demo->page_told = true;
    const json_t *store = json_object_get(status, "store");
    demo->stored = integer(store, "readings");
    demo->refused = integer(store, "lost_readings");
    print_line(demo, status);
    json_decref(status);
}

static void begin_stopping(struct demo *demo) {
    demo->phase = DEMO_STOPPING;
    supervisor_stop(demo->supervisor, STOP_LIMIT_MS);
}

/* A configuration without instruments ends the polling and seals what is there: all that was read is then to arrive. */
static void begin_draining(struct demo *demo) {
    demo->phase = DEMO_DRAINING;
    demo->phase_until_ms = clock_monotonic_ms() + DRAIN_LIMIT_MS;
    struct fb_cause cause = {0};
    json_t *changed = NULL;
    enum fb_error error = demo_scene_configure(&demo->scene, false, &cause);
    if (error == FB_OK)
        error = client_call(demo->run, "reload", 5000, &changed, &cause);
    json_decref(changed);
    if (error == FB_OK)
        return;
    fprintf(stderr, "\nforebay demo: %s\n", cause.text);
    begin_stopping(demo);
}

static bool all_arrived(const struct demo *demo) {
    const struct received *received = &demo->received;
    return demo->stored > 0 && received->readings == demo->stored && received->missing == 0;
}

static int on_look(sd_event_source *source, uint64_t time_us, void *user) {
    (void)time_us;
    struct demo *demo = user;
    look_at_receiver(demo);
    look_at_gateway(demo);
    const bool late = clock_monotonic_ms() >= demo->phase_until_ms;
    if (demo->phase == DEMO_POLLING && late)
        begin_draining(demo);
    else if (demo->phase == DEMO_DRAINING && (late || all_arrived(demo))) {
        demo->good =
            all_arrived(demo) && demo->refused == 0 && demo->received.lost == 0 && demo->received.repeated == 0;
        begin_stopping(demo);
    }
    sd_event_source_set_time_relative(source, LOOK_US);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_end(sd_event_source *source, const struct signalfd_siginfo *signal, void *user) {
    (void)source;
    (void)signal;
    struct demo *demo = user;
    demo->good = demo->phase_until_ms == INT64_MAX; /* the user's wish; with a duration it is too early */
    begin_stopping(demo);
    return 0;
}

static void on_ended(const char *name, int status, bool will_restart, void *user) {
    struct demo *demo = user;
    if (demo->phase == DEMO_STOPPING)
        return;
    fprintf(stderr, "\nforebay demo: %s ended with status %d%s\n", name, status,
            will_restart ? "; it is started again" : "; see the logs in the folder");
    if (will_restart)
        return;
    demo->good = false;
    begin_stopping(demo);
}

static void on_stopped(void *user) {
    struct demo *demo = user;
    sd_event_exit(demo->event, 0);
}

static const struct supervisor_handlers handlers = {.ended = on_ended, .stopped = on_stopped};

struct paths {
    char own[PATH_MAX], forebay[PATH_MAX + 16], simulator[PATH_MAX + 16], plant[PATH_MAX + 16], config[PATH_MAX + 16];
    char ca[PATH_MAX + 16], certificate[PATH_MAX + 32], key[PATH_MAX + 32], state[PATH_MAX + 16], output[PATH_MAX + 32];
    char listen[32];
};

static void name_paths(const struct demo *demo, struct paths *paths) {
    const char *folder = demo->scene.folder;
    snprintf(paths->forebay, sizeof paths->forebay, "%s/forebay", paths->own);
    snprintf(paths->simulator, sizeof paths->simulator, "%s/sim/sim.py", demo->scene.tests);
    snprintf(paths->plant, sizeof paths->plant, "%s/plant.json", folder);
    snprintf(paths->config, sizeof paths->config, "%s/forebay.yaml", folder);
    snprintf(paths->ca, sizeof paths->ca, "%s/pki/ca.pem", folder);
    snprintf(paths->certificate, sizeof paths->certificate, "%s/pki/receiver.pem", folder);
    snprintf(paths->key, sizeof paths->key, "%s/pki/receiver.key", folder);
    snprintf(paths->state, sizeof paths->state, "%s/received", folder);
    snprintf(paths->output, sizeof paths->output, "%s/readings.ndjson", folder);
    snprintf(paths->listen, sizeof paths->listen, "127.0.0.1:%u", demo->scene.receiver_port);
}

static enum fb_error start_all(struct demo *demo, const struct paths *paths, struct fb_cause *cause) {
    const struct supervisor_child children[] = {
        {.name = "the simulated plant",
         .arguments = {"/usr/bin/python3", "-B", paths->simulator, paths->plant},
         .once = true,
         .last = true,
         .output = demo->log},
        {.name = "forebay receive",
         .arguments = {paths->forebay, "receive", "--listen", paths->listen, "--ca", paths->ca, "--certificate",
                       paths->certificate, "--key", paths->key, "--state", paths->state, "--output", paths->output},
         .last = true,
         .output = demo->log},
        {.name = "forebay run",
         .arguments = {paths->forebay, "run", "-c", paths->config},
         .once = true,
         .output = demo->log},
    };
    enum fb_error error = FB_OK;
    for (size_t i = 0; i < sizeof children / sizeof children[0] && error == FB_OK; i++)
        error = supervisor_add(demo->supervisor, &children[i], cause);
    return error;
}

static enum fb_error start(struct demo *demo, const struct paths *paths, struct fb_cause *cause) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (sd_event_default(&demo->event) < 0 || sd_event_add_signal(demo->event, NULL, SIGTERM, on_end, demo) < 0 ||
        sd_event_add_signal(demo->event, NULL, SIGINT, on_end, demo) < 0 ||
        sd_event_add_time_relative(demo->event, NULL, CLOCK_MONOTONIC, LOOK_US, 1000, on_look, demo) < 0)
        return fb_fail(cause, FB_IO, "event loop");
    enum fb_error error = supervisor_new(demo->event, &handlers, demo, &demo->supervisor, cause);
    if (error == FB_OK)
        error = start_all(demo, paths, cause);
    return error;
}

static void print_outcome(const struct demo *demo, int64_t duration_s) {
    const struct received *received = &demo->received;
    if (isatty(STDOUT_FILENO))
        putchar('\n');
    if (duration_s == 0)
        return;
    int64_t lost = demo->stored - received->readings + demo->refused;
    if (received->lost > lost)
        lost = received->lost;
    printf("received %" PRId64 " readings in %" PRId64 " batches, %" PRId64 " lost, %" PRId64 " repeated\n",
           received->readings, received->batches, lost < 0 ? -lost : lost, received->repeated);
}

static int serve(int64_t duration_s, uint16_t page_port, bool keep) {
    static struct demo demo;
    static struct paths paths;
    const char *scratch = getenv("TMPDIR");
    snprintf(demo.scene.folder, sizeof demo.scene.folder, "%.60s/forebay-demo-XXXXXX",
             scratch != NULL ? scratch : "/tmp");
    if (!options_own_folder(paths.own, sizeof paths.own) || mkdtemp(demo.scene.folder) == NULL)
        return EXIT_FAILURE;
    demo.scene.page_port = page_port;
    demo.phase_until_ms = duration_s > 0 ? clock_monotonic_ms() + duration_s * 1000 : INT64_MAX;
    snprintf(demo.run, sizeof demo.run, "%s/run", demo.scene.folder);
    snprintf(demo.log, sizeof demo.log, "%s/demo.log", demo.scene.folder);
    puts("Making keys and certificates, starting two simulated controllers, an RTU line, a receiver and the gateway "
         "...");
    struct fb_cause cause;
    enum fb_error error = demo_scene_make(&demo.scene, paths.own, &cause);
    name_paths(&demo, &paths);
    if (error == FB_OK)
        error = start(&demo, &paths, &cause);
    if (error != FB_OK)
        fprintf(stderr, "forebay demo: %s\n", cause.text);
    else
        sd_event_loop(demo.event);
    supervisor_free(demo.supervisor);
    sd_event_unref(demo.event);
    demo_scene_release(&demo.scene);
    if (error == FB_OK)
        print_outcome(&demo, duration_s);
    const bool good = error == FB_OK && demo.good;
    if (keep || !good)
        printf("The folder is kept: %s (demo.log tells what happened)\n", demo.scene.folder);
    else
        demo_scene_remove(&demo.scene);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* False when text is no whole number of [0, most]. */
static bool read_number(const char *text, long most, long *ret_number) {
    char *end;
    *ret_number = strtol(text, &end, 10);
    return end != text && *end == '\0' && *ret_number >= 0 && *ret_number <= most;
}

int demo_main(int argc, char **argv) {
    static const struct option options[] = {{"duration", required_argument, NULL, 'd'},
                                            {"page-port", required_argument, NULL, 'p'},
                                            {"keep", no_argument, NULL, 'k'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    long duration_s = 0, page_port = 8443;
    bool keep = false, good = true;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h')
            return fputs(help, stdout) < 0;
        if (option == 'k')
            keep = true;
        else if (option == 'd')
            good = good && read_number(optarg, DURATION_MOST_S, &duration_s);
        else if (option == 'p')
            good = good && read_number(optarg, UINT16_MAX, &page_port);
        else
            good = false;
    }
    if (!good || optind != argc) {
        fputs(help, stderr);
        return 2;
    }
    log_open("forebay demo");
    return serve(duration_s, (uint16_t)page_port, keep);
}
