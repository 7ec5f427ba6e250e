/* main.c - forebay-core: holds the encrypted store and its key, the configuration, and every decision. Speaks over Unix
 * sockets only. */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <systemd/sd-daemon.h>

#include "gateway/common/confine.h"
#include "gateway/common/log.h"
#include "gateway/common/resident.h"
#include "gateway/core/core.h"

static const char help[] = "Usage: forebay-core --config FILE\n"
                           "\n"
                           "The keeper of Forebay's store and configuration; `forebay run` starts it.\n"
                           "\n"
                           "  --config FILE  the configuration (YAML, see forebay.yaml(5))\n"
                           "  --help         show this\n"
                           "  --version      show the version\n"
                           "\n"
                           "SIGHUP reads the configuration again; SIGTERM and SIGINT end it with the store closed.\n";

static int on_end(sd_event_source *source, const struct signalfd_siginfo *signal, void *user) {
    (void)signal;
    (void)user;
    return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *signal, void *user) {
    (void)source;
    (void)signal;
    json_t *changed;
    struct fb_cause cause;
    if (core_reload(user, "SIGHUP", "", &changed, &cause) == FB_OK)
        json_decref(changed);
    return 0;
}

static enum fb_error watch_signals(struct core *core, struct fb_cause *cause) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (sd_event_add_signal(core->event, NULL, SIGTERM, on_end, NULL) < 0 ||
        sd_event_add_signal(core->event, NULL, SIGINT, on_end, NULL) < 0 ||
        sd_event_add_signal(core->event, NULL, SIGHUP, on_reload, core) < 0 ||
        resident_release_later(core->event) < 0 || sd_event_set_watchdog(core->event, true) < 0)
        return fb_fail(cause, FB_IO, "signals");
    return FB_OK;
}

static int serve(const char *config_file) {
    struct core core = {0};
    struct fb_cause cause = {0};
    enum fb_error error = confine_self(&cause);
    if (error == FB_OK)
        error = core_start(&core, config_file, &cause);
    if (error == FB_OK)
        error = watch_signals(&core, &cause);
    if (error == FB_OK) {
        log_event(LOG_LEVEL_NOTICE, "started", "version=%s configuration=%s", FOREBAY_VERSION, config_file);
        sd_notify(0, "READY=1");
        const int ended = sd_event_loop(core.event);
        if (ended < 0)
            error = fb_fail_errno(&cause, FB_IO, -ended, "event loop");
        else if (ended > 0)
            error = fb_fail(&cause, FB_CORRUPT, "the store is damaged");
    }
    if (error != FB_OK)
        log_event(LOG_LEVEL_ERROR, "failed", "%s", cause.text);
    core_stop(&core);
    if (error == FB_OK)
        log_event(LOG_LEVEL_NOTICE, "stopped", "the store is closed");
    return error == FB_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'V'},
                                            {0}};
    const char *config_file = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
        if (option == 'h')
            return fputs(help, stdout) < 0;
        if (option == 'V')
            return puts("forebay-core " FOREBAY_VERSION) < 0;
        if (option != 'c')
            return 2;
        config_file = optarg;
    }
    if (config_file == NULL || optind != argc) {
        fputs(help, stderr);
        return 2;
    }
    log_open("forebay-core");
    /* What a seal or an answer took for a moment goes back to the system; the default would keep it for good. */
    mallopt(M_MMAP_THRESHOLD, 64 * 1024);
    mallopt(M_TRIM_THRESHOLD, 128 * 1024);
    prctl(PR_SET_DUMPABLE, 0); /* the key must not reach a core dump */
    return serve(config_file);
}
