/* main.c - forebay-cloud: holds the link and the device's private key. Takes batches from core, has them accepted by
 * the peer, and tells core what became of each. */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <systemd/sd-daemon.h>

#include "gateway/cloud/core_side.h"
#include "gateway/common/confine.h"
#include "gateway/common/log.h"
#include "gateway/common/resident.h"

/* Batches and their encoded copies come and go: mapped on their own, they leave no holes in the heap behind. */
#define OWN_MAPPING_BYTES (32 * 1024)

static const char help[] = "Usage: forebay-cloud --run FOLDER\n"
                           "\n"
                           "Forebay's connection to the cloud; `forebay run` starts it.\n"
                           "\n"
                           "  --run FOLDER  the folder with core's sockets\n"
                           "  --help        show this\n"
                           "  --version     show the version\n"
                           "\n"
                           "SIGTERM and SIGINT close the link and end it.\n";

static int on_end(sd_event_source *source, const struct signalfd_siginfo *signal, void *user) {
    (void)source, (void)signal;
    core_side_stop(user);
    return 0;
}

static enum fb_error watch_signals(sd_event *event, struct core_side *side, struct fb_cause *cause) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (sd_event_add_signal(event, NULL, SIGTERM, on_end, side) < 0 ||
        sd_event_add_signal(event, NULL, SIGINT, on_end, side) < 0 || resident_release_later(event) < 0 ||
        sd_event_set_watchdog(event, true) < 0)
        return fb_fail(cause, FB_IO, "signals");
    return FB_OK;
}

static enum fb_error start(const char *run, sd_event **ret_event, struct core_side **ret_side, struct fb_cause *cause) {
    enum fb_error error = confine_self(cause);
    if (error != FB_OK)
        return error;
    const int made = sd_event_new(ret_event);
    if (made < 0)
        return fb_fail_errno(cause, FB_IO, -made, "event loop");
    error = core_side_start(*ret_event, run, ret_side, cause);
    return error == FB_OK ? watch_signals(*ret_event, *ret_side, cause) : error;
}

static int serve(const char *run) {
    sd_event *event = NULL;
    struct core_side *side = NULL;
    struct fb_cause cause = {0};
    enum fb_error error = start(run, &event, &side, &cause);
    if (error == FB_OK) {
        log_event(LOG_LEVEL_NOTICE, "started", "version=%s run=%s", FOREBAY_VERSION, run);
        sd_notify(0, "READY=1");
        const int ended = sd_event_loop(event);
        if (ended < 0)
            error = fb_fail_errno(&cause, FB_IO, -ended, "event loop");
    }
    if (error != FB_OK)
        log_event(LOG_LEVEL_ERROR, "failed", "%s", cause.text);
    core_side_free(side);
    sd_event_unref(event);
    return error == FB_OK ? EXIT_SUCCESS : EXIT_FAILURE;
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
            return puts("forebay-cloud " FOREBAY_VERSION) < 0;
        if (option != 'r')
            return 2;
        run = optarg;
    }
    if (run == NULL || optind != argc) {
        fputs(help, stderr);
        return 2;
    }
    log_open("forebay-cloud");
    prctl(PR_SET_DUMPABLE, 0); /* the private key must not reach a core dump */
    mallopt(M_MMAP_THRESHOLD, OWN_MAPPING_BYTES);
    mallopt(M_TRIM_THRESHOLD, OWN_MAPPING_BYTES);
    return serve(run);
}
