#include "drivers/workers.h"

#include <fcntl.h>
#include <jansson.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/ask.h"
#include "drivers/fixed_plant.h"
#include "drivers/inbox.h"
#include "drivers/json_memory.h"
#include "drivers/recorder.h"
#include "drivers/worker.h"
#include "gateway/common/backoff.h"
#include "gateway/common/channel.h"
#include "gateway/common/clock.h"
#include "gateway/common/log.h"
#include "gateway/common/protocol.h"

#define RESTART_FIRST_MS 1000
#define RESTART_MOST_MS 30000
/* A worker that ran so long is healthy: its next death starts the back-off anew. */
#define HEALTHY_MS 60000
#define LOOK_MS 5000

struct process {
    struct process *next;
    struct workers *workers;
    char name[PLANT_NAME_MAX];
    pid_t pid;                 /* 0: not running */
    struct channel *channel;   /* NULL: read to its end */
    sd_event_source *child;    /* NULL: has ended */
    sd_event_source *restart;  /* NULL: none is planned */
    struct recorder *recorder; /* outlives the worker: its last frames explain its end */
    struct backoff backoff;
    int64_t started_ms; /* monotonic */
    uint32_t turns;     /* it had at the last look */
    unsigned silent;    /* looks without one more */
    bool hung;          /* and was killed for it */
    bool stopping;      /* has been told to end */
    bool wanted;        /* the plant has this bus */
    char *status;       /* the last it sent; malloc */
    char why[64];       /* it ended */
};

struct workers {
    sd_event *event;
    const struct workers_handlers *handlers;
    void *user;
    sd_event_source *look; /* whether they have turns */
    struct fixed_plant fixed;
    struct process *first;
    bool stopping;
};

static void start(struct process *process);

static void free_process(struct workers *workers, struct process *process) {
    struct process **at = &workers->first;
    while (*at != process)
        at = &(*at)->next;
    *at = process->next;
    const bool runs = process->child != NULL;
    sd_event_source_disable_unref(process->child);
    if (runs && kill(process->pid, SIGKILL) == 0)
        waitpid(process->pid, NULL, 0);
    sd_event_source_disable_unref(process->restart);
    channel_free(process->channel);
    recorder_free(process->recorder);
    free(process->status);
    free(process);
}

static void hand_on_status(struct process *process) {
    if (process->status != NULL)
        process->workers->handlers->status(process->status, process->workers->user);
}

/* The worker cannot say itself that it is gone. */
static void report_down(struct process *process) {
    json_t *json = json_pack("{s:s, s:s, s:s, s:I, s:i, s:f, s:i, s:{}, s:{s:n, s:n}, s:{s:n, s:n}, s:[]}", "name",
                             process->name, "state", "down", "reason", process->why, "since_ms",
                             (json_int_t)clock_utc_ms(), "requests", 0, "load_percent", 0.0, "overruns", 0, "errors",
                             "lateness_ms", "p50", "p99", "response_ms", "p50", "p99", "instruments");
    free(process->status);
    process->status = json != NULL ? json_memory_text(json, JSON_COMPACT) : NULL;
    json_decref(json);
    hand_on_status(process);
}

static int on_restart(sd_event_source *source, uint64_t time_us, void *user) {
    (void)source;
    (void)time_us;
    struct process *process = user;
    process->restart = sd_event_source_disable_unref(process->restart);
    start(process);
    return 0;
}

static void plan_restart(struct process *process) {
    if (clock_monotonic_ms() - process->started_ms >= HEALTHY_MS)
        process->backoff.failures = 0;
    const uint32_t wait_ms = backoff_next_ms(&process->backoff, backoff_random());
    log_event(LOG_LEVEL_ERROR, "worker-ended", "bus=%s reason=\"%s\" restart_in_ms=%u", process->name, process->why,
              wait_ms);
    report_down(process);
    if (sd_event_add_time_relative(process->workers->event, &process->restart, CLOCK_MONOTONIC,
                                   (uint64_t)wait_ms * 1000, 1000, on_restart, process) < 0)
        abort(); /* out of memory for 100 bytes: the supervisor starts us anew */
}

/* Both the process and the messages it left must have ended before anything follows. */
static void on_ended(struct process *process) {
    struct workers *workers = process->workers;
    if (process->child != NULL || process->channel != NULL)
        return;
    process->pid = 0;
    const bool on_purpose = process->stopping;
    process->stopping = false;
    if (workers->stopping || !process->wanted) {
        free_process(workers, process);
        if (workers->stopping && workers->first == NULL)
            workers->handlers->stopped(workers->user);
    } else if (on_purpose) {
        start(process);
    } else {
        plan_restart(process);
    }
}

static int on_child(sd_event_source *source, const siginfo_t *information, void *user) {
    struct process *process = user;
    if (process->hung)
        snprintf(process->why, sizeof process->why, "worker hung and was killed");
    else if (information->si_code == CLD_EXITED)
        snprintf(process->why, sizeof process->why, "worker ended with status %d", information->si_status);
    else
        snprintf(process->why, sizeof process->why, "worker ended by signal %d", information->si_status);
    process->child = sd_event_source_disable_unref(source);
    on_ended(process);
    return 0;
}

static bool keep_status(struct process *process, const struct inbox_message *message) {
    char *text = strndup(message->status, message->status_length);
    if (text == NULL)
        return false;
    free(process->status);
    process->status = text;
    hand_on_status(process);
    return true;
}

static bool on_message(struct channel *channel, struct message_reader *reader, void *user) {
    (void)channel;
    static struct inbox_message message;
    struct process *process = user;
    const struct workers *workers = process->workers;
    if (inbox_take(reader, &message) != FB_OK)
        return false;
    if (message.type == PROTOCOL_BUS_STATUS)
        return keep_status(process, &message);
    if (message.type == PROTOCOL_TELL)
        workers->handlers->told(message.id, message.status, message.status_length, workers->user);
    else if (message.type == PROTOCOL_READINGS)
        workers->handlers->readings(message.readings, message.units, workers->user);
    else
        workers->handlers->lost(message.lost, message.lost_from_ms, message.lost_to_ms, workers->user);
    return true;
}

static void on_closed(struct channel *channel, const char *reason, void *user) {
    (void)reason;
    struct process *process = user;
    channel_free(channel);
    process->channel = NULL;
    /* A worker that said something wrong still runs; without its parent's ear it is of no use. */
    if (process->child != NULL)
        kill(process->pid, SIGKILL);
    on_ended(process);
}

static const struct channel_handlers channel_handlers = {.message = on_message, .closed = on_closed};

static size_t find_bus(const struct plant *plant, const char *name) {
    size_t bus = 0;
    while (bus < plant->bus_count && strcmp(plant->buses[bus].name, name) != 0)
        bus++;
    return bus;
}

/* In the child: nothing of the parent's is left but memory, standard error and the socket. */
static void become_worker(const struct process *process, int socket, pid_t parent) {
    const struct plant *plant = &process->workers->fixed.plant;
    const int kept = STDERR_FILENO + 1;
    if (dup3(socket, kept, O_CLOEXEC) < 0 && socket != kept)
        _exit(EXIT_FAILURE);
    close_range((unsigned)kept + 1, ~0u, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    json_memory_forget();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    recorder_use(process->recorder);
    _exit(worker_run(plant, find_bus(plant, process->name), kept));
}

/* Returns false when the system gives no process or socket. */
static bool spawn(struct process *process) {
    struct workers *workers = process->workers;
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) < 0)
        return false;
    const pid_t parent = getpid();
    recorder_share(process->recorder, true);
    const pid_t pid = fork();
    if (pid == 0)
        become_worker(process, sockets[1], parent);
    recorder_share(process->recorder, false);
    close(sockets[1]);
    if (pid < 0) {
        close(sockets[0]);
        return false;
    }
    process->pid = pid;
    struct fb_cause cause;
    if (channel_adopt(workers->event, sockets[0], &channel_handlers, process, &process->channel, &cause) != FB_OK ||
        sd_event_add_child(workers->event, &process->child, pid, WEXITED, on_child, process) < 0)
        abort(); /* out of memory or descriptors for a process that runs: the supervisor starts us anew */
    return true;
}

static void start(struct process *process) {
    process->started_ms = clock_monotonic_ms();
    process->turns = recorder_turns(process->recorder);
    process->silent = 0;
    process->hung = false;
    if (spawn(process))
        return;
    snprintf(process->why, sizeof process->why, "no process: %m");
    plan_restart(process);
}

static void stop(struct process *process) {
    process->stopping = true;
    process->restart = sd_event_source_disable_unref(process->restart);
    if (process->child != NULL)
        kill(process->pid, SIGTERM);
    else if (process->channel == NULL)
        on_ended(process);
}

static unsigned silent_most(const struct process *process) {
    const struct plant *plant = &process->workers->fixed.plant;
    const size_t bus = find_bus(plant, process->name);
    const uint32_t timeout_ms = bus < plant->bus_count ? plant->buses[bus].timeout_ms : 0;
    return (WORKERS_SILENT_MS + WORKERS_SILENT_TIMEOUTS * timeout_ms) / LOOK_MS;
}

/* One that was told to end is looked at, too: its bus waits for that. */
static void look_at(struct process *process) {
    const uint32_t turns = recorder_turns(process->recorder);
    if (turns != process->turns)
        process->silent = 0;
    process->turns = turns;
    if (process->child == NULL || process->hung || process->silent++ < silent_most(process))
        return;
    log_event(LOG_LEVEL_ERROR, "worker-hangs", "bus=%s pid=%d; silent for %u s, it is killed", process->name,
              (int)process->pid, silent_most(process) * LOOK_MS / 1000);
    process->hung = true;
    kill(process->pid, SIGKILL);
}

static int on_look(sd_event_source *source, uint64_t time_us, void *user) {
    (void)time_us;
    const struct workers *workers = user;
    for (struct process *process = workers->first; process != NULL; process = process->next)
        look_at(process);
    sd_event_source_set_time_relative(source, LOOK_MS * 1000);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

enum fb_error workers_new(sd_event *event, const struct workers_handlers *handlers, void *user,
                          struct workers **ret_workers) {
    struct workers *workers = calloc(1, sizeof *workers);
    if (workers == NULL)
        return FB_MEMORY;
    *workers = (struct workers){.event = event, .handlers = handlers, .user = user};
    if (sd_event_add_time_relative(event, &workers->look, CLOCK_MONOTONIC, LOOK_MS * 1000, 0, on_look, workers) < 0) {
        free(workers);
        return FB_MEMORY;
    }
    *ret_workers = workers;
    return FB_OK;
}

void workers_free(struct workers *workers) {
    if (workers == NULL)
        return;
    while (workers->first != NULL)
        free_process(workers, workers->first);
    sd_event_source_disable_unref(workers->look);
    fixed_plant_done(&workers->fixed);
    free(workers);
}

/* All that the worker of a bus is told, for comparing; NULL when there is no such bus. */
static json_t *bus_description(const struct plant *plant, const char *name) {
    const size_t bus = find_bus(plant, name);
    if (bus == plant->bus_count)
        return NULL;
    json_t *description = json_array();
    json_array_append_new(description, plant_bus_to_json(&plant->buses[bus]));
    for (size_t i = 0; i < plant->instrument_count; i++) {
        const struct plant_instrument *instrument = &plant->instruments[i];
        if (instrument->bus == bus)
            json_array_append_new(description, plant_instrument_to_json(plant, instrument, 0, instrument->tag_count));
    }
    return description;
}

static bool bus_changed(const struct plant *old, const struct plant *fresh, const char *name) {
    json_t *before = bus_description(old, name);
    json_t *after = bus_description(fresh, name);
    const bool changed = !json_equal(before, after);
    json_decref(before);
    json_decref(after);
    return changed;
}

static struct process *find_process(const struct workers *workers, const char *name) {
    struct process *process = workers->first;
    while (process != NULL && strcmp(process->name, name) != 0)
        process = process->next;
    return process;
}

static void add_process(struct workers *workers, const char *name) {
    struct process *process = calloc(1, sizeof *process);
    if (process == NULL)
        abort(); /* out of memory: the supervisor starts us anew */
    *process = (struct process){
        .next = workers->first,
        .workers = workers,
        .backoff = {.first_ms = RESTART_FIRST_MS, .most_ms = RESTART_MOST_MS},
        .wanted = true,
    };
    snprintf(process->name, sizeof process->name, "%s", name);
    if (recorder_new(&process->recorder) != FB_OK)
        abort(); /* as above */
    workers->first = process;
    start(process);
}

void workers_apply(struct workers *workers, struct plant *plant) {
    struct fixed_plant old = workers->fixed;
    if (fixed_plant_make(plant, &workers->fixed) != FB_OK)
        abort(); /* out of memory: the supervisor starts us anew */
    plant_done(plant);
    const struct plant *fresh = &workers->fixed.plant;
    struct process *next;
    for (struct process *process = workers->first; process != NULL; process = next) {
        next = process->next;
        process->wanted = find_bus(fresh, process->name) < fresh->bus_count;
        if (!process->stopping && bus_changed(&old.plant, fresh, process->name)) {
            log_event(LOG_LEVEL_NOTICE, "bus-changed", "bus=%s", process->name);
            stop(process);
        }
    }
    fixed_plant_done(&old);
    /* The workers to come inherit this heap: give back what the messages and comparisons took. */
    malloc_trim(0);
    for (size_t i = 0; i < fresh->bus_count && !workers->stopping; i++)
        if (find_process(workers, fresh->buses[i].name) == NULL)
            add_process(workers, fresh->buses[i].name);
}

const struct recorder *workers_recorder(const struct workers *workers, const char *bus) {
    const struct process *process = find_process(workers, bus);
    return process != NULL ? process->recorder : NULL;
}

enum fb_error workers_ask(struct workers *workers, const char *bus, uint64_t id, const char *text, size_t length,
                          struct fb_cause *cause) {
    uint8_t packet[MESSAGE_HEADER_BYTES + sizeof id + ASK_BYTES_MAX];
    const struct process *process = find_process(workers, bus);
    if (process == NULL)
        return fb_fail(cause, FB_NOT_FOUND, "there is no bus %s", bus);
    if (process->channel == NULL || process->stopping)
        return fb_fail(cause, FB_AGAIN, "bus %s: its worker is being started; try again", bus);
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_ASK, 0);
    message_put_u64(&writer, id);
    message_put_bytes(&writer, text, length);
    channel_send(process->channel, &writer);
    return FB_OK;
}

void workers_repeat_status(struct workers *workers) {
    for (struct process *process = workers->first; process != NULL; process = process->next)
        hand_on_status(process);
}

void workers_stop(struct workers *workers) {
    workers->stopping = true;
    if (workers->first == NULL)
        workers->handlers->stopped(workers->user);
    struct process *next;
    for (struct process *process = workers->first; process != NULL; process = next) {
        next = process->next;
        stop(process);
    }
}
