/* run.c - forebay-run, which `forebay run` becomes: starts core, field, cloud and nginx, keeps them running, ends them
 * in order. A program of its own because it runs for years and needs few of the other commands' libraries. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "gateway/cli/client.h"
#include "gateway/cli/command.h"
#include "gateway/cli/nginx.h"
#include "gateway/cli/options.h"
#include "gateway/cli/page_files.h"
#include "gateway/cli/supervisor.h"
#include "gateway/common/clock.h"
#include "gateway/common/file.h"
#include "gateway/common/log.h"
#include "gateway/common/resident.h"

/* What the user is promised after SIGTERM is 3 s. */
#define STOP_LIMIT_MS 2500
/* Core may wait this long for another one to close the store, and must read the tail. */
#define CORE_START_LIMIT_MS 15000
#define CORE_LOOK_US 20000

static const char help[] = "Usage: forebay run [-c FILE]\n"
                           "\n"
                           "Runs the gateway in the foreground: forebay-core, forebay-field, forebay-cloud and nginx.\n"
                           "What dies or hangs is started again. SIGINT (Ctrl-C) and SIGTERM end it within 3 s with\n"
                           "the store closed cleanly; SIGHUP applies a changed configuration, as\n"
                           "`forebay reload` does.\n"
                           "\n"
                           "  -c, --config FILE  the configuration (default " COMMAND_CONFIG_DEFAULT ")\n"
                           "  --help             show this\n"
                           "  --version          show the version\n";

struct run {
    sd_event *event;
    struct supervisor *supervisor;
    struct config config;
    sd_event_source *look; /* for core to be there */
    int64_t look_until_ms;
    bool core_ready;
    bool failed;
    char own_folder[PATH_MAX];
    char config_file[PATH_MAX];
    char core_path[PATH_MAX + 32], field_path[PATH_MAX + 32], cloud_path[PATH_MAX + 32];
    char core_alive[PATH_MAX + 16], field_alive[PATH_MAX + 16], cloud_alive[PATH_MAX + 16];
    char pages[PATH_MAX];
    char nginx_prefix[PATH_MAX + 4], nginx_file[PATH_MAX];
    const char *nginx_path;
    struct page_files *page_files; /* NULL while there is no page */
};

static void fail(struct run *run, const char *why) {
    log_event(LOG_LEVEL_ERROR, "cannot-start", "%s", why);
    run->failed = true;
    supervisor_stop(run->supervisor, STOP_LIMIT_MS);
}

static void on_ended(const char *name, int status, bool will_restart, void *user) {
    struct run *run = user;
    if (!run->core_ready && strcmp(name, "forebay-core") == 0 && will_restart) {
        fail(run, "forebay-core ended before it was ready; its reason stands above");
        return;
    }
    if (will_restart)
        log_event(LOG_LEVEL_WARNING, "program-died", "program=%s status=%d; it is started again", name, status);
}

static void on_stopped(void *user) {
    struct run *run = user;
    sd_event_exit(run->event, run->failed ? EXIT_FAILURE : EXIT_SUCCESS);
}

static const struct supervisor_handlers handlers = {.ended = on_ended, .stopped = on_stopped};

/* nginx reads its certificate and key again; it keeps the old ones when those cannot be used. */
static void renew_page(const struct run *run) {
    const pid_t nginx = supervisor_pid(run->supervisor, "nginx");
    if (nginx != 0)
        kill(nginx, SIGHUP);
}

static void on_page_files_changed(void *user) {
    const struct run *run = user;
    log_event(LOG_LEVEL_NOTICE, "page-files-changed", "certificate=%s key=%s", run->config.page.certificate,
              run->config.page.key);
    renew_page(run);
}

static enum fb_error add_nginx(struct run *run, struct fb_cause *cause) {
    enum fb_error error = nginx_find_pages(run->own_folder, run->pages, sizeof run->pages, cause);
    if (error == FB_OK)
        error = nginx_write(&run->config, run->pages, run->nginx_file, sizeof run->nginx_file, cause);
    if (error != FB_OK)
        return fb_context(cause, error, "page");
    snprintf(run->nginx_prefix, sizeof run->nginx_prefix, "%s/", run->config.run);
    const struct supervisor_child nginx = {
        .name = "nginx",
        .arguments = {run->nginx_path, "-p", run->nginx_prefix, "-c", run->nginx_file, "-e", "stderr"}};
    error = supervisor_add(run->supervisor, &nginx, cause);
    if (error == FB_OK)
        error = page_files_watch(run->event, run->config.page.certificate, run->config.page.key, on_page_files_changed,
                                 run, &run->page_files, cause);
    return error;
}

static enum fb_error add_others(struct run *run, struct fb_cause *cause) {
    const struct supervisor_child field = {
        .name = "forebay-field", .arguments = {run->field_path, "--run", run->config.run}, .alive = run->field_alive};
    const struct supervisor_child cloud = {
        .name = "forebay-cloud", .arguments = {run->cloud_path, "--run", run->config.run}, .alive = run->cloud_alive};
    enum fb_error error = supervisor_add(run->supervisor, &field, cause);
    if (error == FB_OK)
        error = supervisor_add(run->supervisor, &cloud, cause);
    if (error == FB_OK && run->config.has_page)
        error = add_nginx(run, cause);
    return error;
}

/* The others start once core listens, so that one which cannot start is known before anything else runs. */
static int on_look(sd_event_source *source, uint64_t time_us, void *user) {
    (void)time_us;
    struct run *run = user;
    json_t *status;
    struct fb_cause cause;
    if (client_call(run->config.run, "status", 1000, &status, &cause) == FB_OK) {
        json_decref(status);
        run->core_ready = true;
        run->look = sd_event_source_disable_unref(source);
        if (add_others(run, &cause) != FB_OK)
            fail(run, cause.text);
        else
            log_event(LOG_LEVEL_NOTICE, "running", "gateway=%s", run->config.name);
        return 0;
    }
    if (clock_monotonic_ms() > run->look_until_ms) {
        run->look = sd_event_source_disable_unref(source);
        fail(run, cause.text);
        return 0;
    }
    sd_event_source_set_time_relative(source, CORE_LOOK_US);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_end(sd_event_source *source, const struct signalfd_siginfo *signal, void *user) {
    (void)source;
    (void)signal;
    struct run *run = user;
    run->look = sd_event_source_disable_unref(run->look);
    supervisor_stop(run->supervisor, STOP_LIMIT_MS);
    return 0;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *signal, void *user) {
    (void)source;
    (void)signal;
    const struct run *run = user;
    const pid_t core = supervisor_pid(run->supervisor, "forebay-core");
    if (core != 0)
        kill(core, SIGHUP);
    renew_page(run);
    return 0;
}

static int watch_signals(struct run *run) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int error = sd_event_add_signal(run->event, NULL, SIGTERM, on_end, run);
    if (error >= 0)
        error = sd_event_add_signal(run->event, NULL, SIGINT, on_end, run);
    if (error >= 0)
        error = sd_event_add_signal(run->event, NULL, SIGHUP, on_reload, run);
    return error;
}

/* Two gateways in one run directory would fight over its sockets. The lock lives as long as the process. */
static bool lock_run_directory(const char *folder) {
    struct fb_cause cause;
    char path[PATH_MAX];
    if (file_make_folder(folder, &cause) != FB_OK ||
        file_join(folder, "forebay.lock", path, sizeof path, &cause) != FB_OK) {
        fprintf(stderr, "forebay run: %s\n", cause.text);
        return false;
    }
    const int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (descriptor < 0 || flock(descriptor, LOCK_EX | LOCK_NB) < 0) {
        fprintf(stderr, "forebay run: %s: %s\n", path,
                errno == EWOULDBLOCK ? "another forebay run uses this folder" : strerror(errno));
        return false;
    }
    return true;
}

static const char *find_nginx(void) {
    static const char *const places[] = {"/usr/sbin/nginx", "/usr/local/sbin/nginx"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

static bool prepare(struct run *run, const char *config_file) {
    if (realpath(config_file, run->config_file) == NULL)
        snprintf(run->config_file, sizeof run->config_file, "%s", config_file);
    if (!options_load_config(run->config_file, &run->config))
        return false;
    /* The plant is core's matter; what thousands of tags took goes back to the system. */
    plant_done(&run->config.plant);
    malloc_trim(0);
    run->nginx_path = find_nginx();
    if (run->config.has_page && run->nginx_path == NULL) {
        fputs("forebay run: the configuration has a page, but nginx is not installed\n", stderr);
        return false;
    }
    if (!options_own_folder(run->own_folder, sizeof run->own_folder))
        return false;
    snprintf(run->core_path, sizeof run->core_path, "%s/forebay-core", run->own_folder);
    snprintf(run->field_path, sizeof run->field_path, "%s/forebay-field", run->own_folder);
    snprintf(run->cloud_path, sizeof run->cloud_path, "%s/forebay-cloud", run->own_folder);
    snprintf(run->core_alive, sizeof run->core_alive, "%s/core.alive", run->config.run);
    snprintf(run->field_alive, sizeof run->field_alive, "%s/field.alive", run->config.run);
    snprintf(run->cloud_alive, sizeof run->cloud_alive, "%s/cloud.alive", run->config.run);
    return lock_run_directory(run->config.run);
}

static enum fb_error start(struct run *run, struct fb_cause *cause) {
    int error = sd_event_default(&run->event);
    if (error >= 0)
        error = watch_signals(run);
    if (error >= 0)
        error = sd_event_set_watchdog(run->event, true); /* systemd's, where that has started us */
    if (error < 0)
        return fb_fail_errno(cause, FB_IO, -error, "event loop");
    enum fb_error failed = supervisor_new(run->event, &handlers, run, &run->supervisor, cause);
    const struct supervisor_child core = {.name = "forebay-core",
                                          .arguments = {run->core_path, "--config", run->config_file},
                                          .last = true,
                                          .alive = run->core_alive};
    if (failed == FB_OK)
        failed = supervisor_add(run->supervisor, &core, cause);
    run->look_until_ms = clock_monotonic_ms() + CORE_START_LIMIT_MS;
    if (failed == FB_OK &&
        sd_event_add_time_relative(run->event, &run->look, CLOCK_MONOTONIC, CORE_LOOK_US, 1000, on_look, run) < 0)
        failed = fb_fail(cause, FB_IO, "event loop");
    if (failed == FB_OK && resident_release_later(run->event) < 0)
        failed = fb_fail(cause, FB_IO, "event loop");
    return failed;
}

static int serve(const char *config_file) {
    static struct run run;
    if (!prepare(&run, config_file))
        return EXIT_FAILURE;
    struct fb_cause cause;
    int status = EXIT_FAILURE;
    if (start(&run, &cause) == FB_OK)
        status = sd_event_loop(run.event);
    else
        log_event(LOG_LEVEL_ERROR, "cannot-start", "%s", cause.text);
    page_files_free(run.page_files);
    supervisor_free(run.supervisor);
    sd_event_unref(run.event);
    config_done(&run.config);
    return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'V'},
                                            {0}};
    const char *config_file = COMMAND_CONFIG_DEFAULT;
    int option;
    while ((option = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
        if (option == 'h')
            return fputs(help, stdout) < 0;
        if (option == 'V')
            return puts("forebay-run " FOREBAY_VERSION) < 0;
        if (option != 'c')
            return 2;
        config_file = optarg;
    }
    if (optind != argc) {
        fputs(help, stderr);
        return 2;
    }
    log_open("forebay");
    return serve(config_file);
}
