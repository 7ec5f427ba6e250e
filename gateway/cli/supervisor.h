/* supervisor.h - keeps child processes running: starts them, starts what dies or hangs again with back-off, ends them
 * in order. */
#ifndef FB_CLI_SUPERVISOR_H
#define FB_CLI_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "gateway/common/error.h"

#define SUPERVISOR_CHILDREN_MAX 8
#define SUPERVISOR_ARGUMENTS_MAX 16

struct supervisor;

struct supervisor_child {
    const char *name;                                /* for the log */
    const char *arguments[SUPERVISOR_ARGUMENTS_MAX]; /* ends with NULL; [0] is the path; borrowed */
    bool once;                                       /* not started again; ended() decides what follows */
    bool last;                                       /* when all ends, it is told only after the others are gone */
    const char *output; /* a file that its standard output and error are added to; NULL: ours */
    const char *alive; /* where it says that it is alive (alive.h); killed when it hangs; borrowed; NULL: nobody asks */
};

struct supervisor_handlers {
    /* A child has ended; will_restart: it is started again after the back-off. May be NULL. */
    void (*ended)(const char *name, int status, bool will_restart, void *user);
    /* All have ended after supervisor_stop(), from which it may be called; once. */
    void (*stopped)(void *user);
};

/* event must have SIGCHLD blocked in the process. ret_supervisor: yours, end it with supervisor_free(). */
enum fb_error supervisor_new(sd_event *event, const struct supervisor_handlers *handlers, void *user,
                             struct supervisor **ret_supervisor, struct fb_cause *cause) FB_MUST_USE;
/* Kills what is left. NULL is fine. */
void supervisor_free(struct supervisor *supervisor);

/* Start a child and keep it running. Its end with us (PR_SET_PDEATHSIG) and its own process group (so that Ctrl-C in
 * the terminal reaches us alone) are seen to; what is left of the group when it ends is killed. */
enum fb_error supervisor_add(struct supervisor *supervisor, const struct supervisor_child *child,
                             struct fb_cause *cause) FB_MUST_USE;

/* End all: SIGTERM to all but the last ones, then to those, SIGKILL to what is left after limit_ms; then stopped(). */
void supervisor_stop(struct supervisor *supervisor, unsigned limit_ms);

/* Its process, 0 while it is not running. */
pid_t supervisor_pid(const struct supervisor *supervisor, const char *name);

#endif
