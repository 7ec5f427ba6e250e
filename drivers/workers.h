/* workers.h - the worker processes, one a bus: started, watched, started again with back-off when they die or hang,
 * exchanged when their bus's configuration changes. Part of forebay-field's parent; lives on its sd-event loop. SIGCHLD
 * must be blocked. */
#ifndef FB_DRIVERS_WORKERS_H
#define FB_DRIVERS_WORKERS_H

#include <stdint.h>
#include <systemd/sd-event.h>

#include "drivers/recorder.h"
#include "gateway/common/error.h"
#include "gateway/common/plant.h"
#include "gateway/common/reading.h"

/* A worker without a turn of its own for so long, and so many of its bus's time-outs, hangs: one request may have to
 * close a serial port that takes nothing more, which the kernel gives 30 s, and to connect to several addresses.
 * Counted in the parent's own turns: who sleeps with the whole machine does not hang. */
#define WORKERS_SILENT_MS 60000
#define WORKERS_SILENT_TIMEOUTS 10

struct workers;

struct workers_handlers {
    /* count: 1..OUTBOX_READINGS_MAX, all valid. */
    void (*readings)(const struct reading *readings, size_t units, void *user);
    /* A worker had to drop readings: its socket was full. */
    void (*lost)(uint64_t readings, int64_t from_ms, int64_t to_ms, void *user);
    /* text: JSON of docs/api.md "bus", borrowed. */
    void (*status)(const char *text, void *user);
    /* A worker's answer to workers_ask(): JSON, length bytes, borrowed. */
    void (*told)(uint64_t id, const char *text, size_t length, void *user);
    /* After workers_stop(): the last worker has ended and all that it had sent has been handed on. */
    void (*stopped)(void *user);
};

/* handlers and user are borrowed. ret_workers: yours, end it with workers_free(). */
enum fb_error workers_new(sd_event *event, const struct workers_handlers *handlers, void *user,
                          struct workers **ret_workers) FB_MUST_USE;
/* Ends the workers that are left at once, losing what they had sent; call workers_stop() first. NULL is fine. */
void workers_free(struct workers *workers);

/* Follow this plant, which is taken and left empty. Workers whose bus has not changed, instruments and tags included,
 * go on untouched. The others are stopped, what they had sent is taken, then the new ones start. */
void workers_apply(struct workers *workers, struct plant *plant);

/* The last frames of a bus, NULL when there is no such bus. Borrowed until the next workers_apply(). */
const struct recorder *workers_recorder(const struct workers *workers, const char *bus);

/* Put a question (ask.h) to the worker of a bus; text: length bytes, at most ASK_BYTES_MAX. told() follows, unless the
 * worker dies. FB_NOT_FOUND, FB_AGAIN: nothing was asked. */
enum fb_error workers_ask(struct workers *workers, const char *bus, uint64_t id, const char *text, size_t length,
                          struct fb_cause *cause) FB_MUST_USE;

/* Hand out the last status of each bus again. */
void workers_repeat_status(struct workers *workers);

/* End all workers; stopped() follows from the loop. */
void workers_stop(struct workers *workers);

#endif
