#include "gateway/cli/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/cli/alive.h"
#include "gateway/common/backoff.h"
#include "gateway/common/clock.h"
#include "gateway/common/log.h"

#define RESTART_FIRST_MS 100
#define RESTART_MOST_MS 5000
/* Having run so long, a child counts as well again. */
#define RUN_WELL_MS 2000

struct kept {
    struct supervisor *supervisor;
    struct supervisor_child child;
    sd_event_source *watch; /* of the process */
    sd_event_source *timer; /* of the restart */
    struct backoff backoff;
    struct alive alive;
    pid_t pid; /* 0: not running */
    int64_t started_ms;
};

struct supervisor {
    sd_event *event;
    const struct supervisor_handlers *handlers;
    void *user;
    sd_event_source *limit;
    sd_event_source *look; /* whether they are alive */
    bool stopping;
    bool last_told;
    bool stopped; /* that was told */
    size_t count;
    struct kept kept[SUPERVISOR_CHILDREN_MAX];
};

static void become(const struct kept *kept, pid_t parent) {
    const struct supervisor_child *child = &kept->child;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1); /* it died before we asked to be told */
    const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nothing >= 0)
        dup2(nothing, STDIN_FILENO);
    const int output =
        child->output != NULL ? open(child->output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640) : -1;
    if (output >= 0) {
        dup2(output, STDOUT_FILENO);
        dup2(output, STDERR_FILENO);
    }
    alive_set_environment(&kept->alive);
    char *arguments[SUPERVISOR_ARGUMENTS_MAX]; /* execv() takes them without const and changes nothing */
    memcpy(arguments, child->arguments, sizeof arguments);
    execv(arguments[0], arguments);
    log_event(LOG_LEVEL_ERROR, "start-failed", "program=%s %s", child->arguments[0], strerror(errno));
    _exit(127);
}

static int on_ended(sd_event_source *source, const siginfo_t *info, void *user);

static enum fb_error start(struct kept *kept, struct fb_cause *cause) {
    const pid_t parent = getpid();
    kept->started_ms = clock_monotonic_ms();
    const pid_t pid = fork();
    if (pid < 0)
        return fb_fail_errno(cause, FB_IO, errno, "fork");
    if (pid == 0)
        become(kept, parent);
    const int error = sd_event_add_child(kept->supervisor->event, &kept->watch, pid, WEXITED, on_ended, kept);
    if (error < 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return fb_fail_errno(cause, FB_IO, -error, "event loop");
    }
    kept->pid = pid;
    alive_started(&kept->alive);
    return FB_OK;
}

static int on_restart(sd_event_source *source, uint64_t time_us, void *user);

static void plan_restart(struct kept *kept) {
    if (clock_monotonic_ms() - kept->started_ms > RUN_WELL_MS)
        kept->backoff.failures = 0;
    const uint32_t wait_ms = backoff_next_ms(&kept->backoff, backoff_random());
    sd_event_add_time_relative(kept->supervisor->event, &kept->timer, CLOCK_MONOTONIC, (uint64_t)wait_ms * 1000, 1000,
                               on_restart, kept);
}

static int on_restart(sd_event_source *source, uint64_t time_us, void *user) {
    (void)time_us;
    struct kept *kept = user;
    sd_event_source_disable_unref(source);
    kept->timer = NULL;
    struct fb_cause cause;
    if (start(kept, &cause) != FB_OK) {
        log_event(LOG_LEVEL_ERROR, "start-failed", "program=%s %s", kept->child.name, cause.text);
        plan_restart(kept);
    }
    return 0;
}

static void look_at(struct kept *kept) {
    if (kept->pid == 0 || !alive_look(&kept->alive, kept->pid))
        return;
    log_event(LOG_LEVEL_ERROR, "program-hangs", "program=%s pid=%d; silent for %d s, it is killed", kept->child.name,
              (int)kept->pid, ALIVE_LOOKS_MAX * ALIVE_LOOK_MS / 1000);
    kill(kept->pid, SIGKILL); /* which a stopped process heeds, too */
}

static int on_look(sd_event_source *source, uint64_t time_us, void *user) {
    (void)time_us;
    struct supervisor *supervisor = user;
    for (size_t i = 0; i < supervisor->count; i++)
        look_at(&supervisor->kept[i]);
    /* From now, not from when it was due: looks that we had no turn for are not made up for. */
    sd_event_source_set_time_relative(source, ALIVE_LOOK_MS * 1000);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static bool running(const struct supervisor *supervisor, bool last) {
    for (size_t i = 0; i < supervisor->count; i++)
        if (supervisor->kept[i].pid != 0 && supervisor->kept[i].child.last == last)
            return true;
    return false;
}

static void tell(const struct supervisor *supervisor, bool last, int signal) {
    for (size_t i = 0; i < supervisor->count; i++)
        if (supervisor->kept[i].pid != 0 && supervisor->kept[i].child.last == last)
            kill(supervisor->kept[i].pid, signal);
}

static void go_on_stopping(struct supervisor *supervisor) {
    if (running(supervisor, false))
        return;
    if (!supervisor->last_told) {
        supervisor->last_told = true;
        tell(supervisor, true, SIGTERM);
    }
    if (running(supervisor, true) || supervisor->stopped)
        return;
    supervisor->stopped = true;
    supervisor->limit = sd_event_source_disable_unref(supervisor->limit);
    supervisor->handlers->stopped(supervisor->user);
}

static int on_ended(sd_event_source *source, const siginfo_t *info, void *user) {
    struct kept *kept = user;
    struct supervisor *supervisor = kept->supervisor;
    /* What it leaves behind, such as nginx's workers with their port, would be in the next one's way. It is not reaped
     * yet, so the group is still its own. */
    kill(-kept->pid, SIGKILL);
    sd_event_source_disable_unref(source);
    kept->watch = NULL;
    kept->pid = 0;
    const bool restart = !supervisor->stopping && !kept->child.once;
    if (supervisor->handlers->ended != NULL)
        supervisor->handlers->ended(kept->child.name,
                                    info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status, restart,
                                    supervisor->user);
    /* The handler may have called for the stop. */
    if (supervisor->stopping)
        go_on_stopping(supervisor);
    else if (restart)
        plan_restart(kept);
    return 0;
}

enum fb_error supervisor_new(sd_event *event, const struct supervisor_handlers *handlers, void *user,
                             struct supervisor **ret_supervisor, struct fb_cause *cause) {
    struct supervisor *supervisor = calloc(1, sizeof *supervisor);
    if (supervisor == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    supervisor->event = event;
    supervisor->handlers = handlers;
    supervisor->user = user;
    *ret_supervisor = supervisor;
    return FB_OK;
}

void supervisor_free(struct supervisor *supervisor) {
    if (supervisor == NULL)
        return;
    for (size_t i = 0; i < supervisor->count; i++) {
        struct kept *kept = &supervisor->kept[i];
        sd_event_source_disable_unref(kept->watch);
        sd_event_source_disable_unref(kept->timer);
        if (kept->pid != 0) {
            kill(kept->pid, SIGKILL);
            kill(-kept->pid, SIGKILL);
            waitpid(kept->pid, NULL, 0);
        }
        alive_close(&kept->alive);
    }
    sd_event_source_disable_unref(supervisor->limit);
    sd_event_source_disable_unref(supervisor->look);
    free(supervisor);
}

/* Looking begins with the first that is to be looked at. */
static enum fb_error watch_alive(struct supervisor *supervisor, struct kept *kept, struct fb_cause *cause) {
    const enum fb_error error = alive_open(&kept->alive, kept->child.alive, cause);
    if (error != FB_OK || kept->child.alive == NULL || supervisor->look != NULL)
        return error;
    const int added = sd_event_add_time_relative(supervisor->event, &supervisor->look, CLOCK_MONOTONIC,
                                                 ALIVE_LOOK_MS * 1000, 0, on_look, supervisor);
    return added < 0 ? fb_fail_errno(cause, FB_IO, -added, "event loop") : FB_OK;
}

enum fb_error supervisor_add(struct supervisor *supervisor, const struct supervisor_child *child,
                             struct fb_cause *cause) {
    if (supervisor->count == SUPERVISOR_CHILDREN_MAX)
        return fb_fail(cause, FB_LIMIT, "too many programs");
    struct kept *kept = &supervisor->kept[supervisor->count++];
    *kept = (struct kept){.supervisor = supervisor,
                          .child = *child,
                          .backoff = {.first_ms = RESTART_FIRST_MS, .most_ms = RESTART_MOST_MS}};
    const enum fb_error error = watch_alive(supervisor, kept, cause);
    return error == FB_OK ? start(kept, cause) : error;
}

static int on_limit(sd_event_source *source, uint64_t time_us, void *user) {
    (void)source;
    (void)time_us;
    struct supervisor *supervisor = user;
    log_event(LOG_LEVEL_WARNING, "stop-late", "killing what has not ended");
    supervisor->last_told = true;
    tell(supervisor, false, SIGKILL);
    tell(supervisor, true, SIGKILL);
    return 0;
}

void supervisor_stop(struct supervisor *supervisor, unsigned limit_ms) {
    if (supervisor->stopping)
        return;
    supervisor->stopping = true;
    supervisor->look = sd_event_source_disable_unref(supervisor->look);
    for (size_t i = 0; i < supervisor->count; i++)
        supervisor->kept[i].timer = sd_event_source_disable_unref(supervisor->kept[i].timer);
    sd_event_add_time_relative(supervisor->event, &supervisor->limit, CLOCK_MONOTONIC, (uint64_t)limit_ms * 1000, 1000,
                               on_limit, supervisor);
    tell(supervisor, false, SIGTERM);
    go_on_stopping(supervisor);
}

pid_t supervisor_pid(const struct supervisor *supervisor, const char *name) {
    for (size_t i = 0; i < supervisor->count; i++)
        if (strcmp(supervisor->kept[i].child.name, name) == 0)
            return supervisor->kept[i].pid;
    return 0;
}
