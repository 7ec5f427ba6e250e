/* figures.h - what a bus worker knows of its bus and instruments: states, counters, lateness; and their JSON for
 * docs/api.md "bus". Pure: times are arguments, UTC milliseconds unless they say otherwise. */
#ifndef FB_DRIVERS_FIGURES_H
#define FB_DRIVERS_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/plan.h"
#include "gateway/common/error.h"
#include "gateway/common/plant.h"

#define FIGURES_SAMPLES_MAX 256     /* the last requests, for the percentiles */
#define FIGURES_INSTRUMENTS_MAX 512 /* reported; so many fit into one message */
#define FIGURES_REASON_MAX 192      /* bytes with NUL */
#define FIGURES_ERROR_KINDS 4

enum figures_state { FIGURES_UNKNOWN = 0, FIGURES_GOOD, FIGURES_BAD };

struct figures_instrument {
    const struct plant_instrument *instrument; /* borrowed */
    enum figures_state state;
    uint8_t quality; /* the reason, while bad */
    int64_t since_ms;
    int64_t last_good_ms; /* 0: never */
    size_t first_request, request_count;
};

struct figures_samples {
    uint32_t us[FIGURES_SAMPLES_MAX];
    uint64_t count; /* ever taken */
};

struct figures {
    const struct plant_bus *bus;            /* borrowed */
    struct figures_instrument *instruments; /* instrument_count of them, malloc */
    size_t instrument_count;
    uint8_t *qualities; /* of each request's last reading; FIGURES_NEVER_ASKED; room for request_most; malloc */
    size_t request_count;
    const char *state; /* "starting", "good", "degraded", "down" */
    char reason[FIGURES_REASON_MAX];
    int64_t since_ms;
    uint64_t requests;
    uint64_t errors[FIGURES_ERROR_KINDS];
    uint64_t busy_us, window_from_us; /* monotonic; for the load */
    struct figures_samples lateness, response;
    bool changed; /* a state is not the one that was told last; for the caller to clear */
};

#define FIGURES_NEVER_ASKED 0xff

/* The plan's requests of one instrument must stand side by side. ret_figures: yours, end it with figures_done(); plant
 * and plan are borrowed. FB_MEMORY. */
enum fb_error figures_make(const struct plant *plant, size_t bus, const struct plan *plan, int64_t now_ms,
                           uint64_t now_us, struct figures *ret_figures) FB_MUST_USE;
void figures_done(struct figures *figures);

/* Which of figures->instruments the request belongs to. */
struct figures_instrument *figures_instrument(struct figures *figures, size_t request);

/* The plan has split the request: the one behind it is new. */
void figures_split(struct figures *figures, size_t request);

/* A request went out, late by so much, and kept the bus busy; answered: by a reply or an exception. */
void figures_sent(struct figures *figures, uint64_t lateness_us, uint64_t busy_us, bool answered);
/* A dead instrument was probed beside the schedule. */
void figures_probed(struct figures *figures, uint64_t busy_us);

/* The request's readings have this quality now. counted: it was tried, so that an error counts. fault: the
 * connection's own words, for "not connected". */
void figures_note(struct figures *figures, size_t request, uint8_t quality, bool counted, const char *fault,
                  int64_t now_ms);

/* malloc, free() it; NULL when out of memory. Starts a new window for the load. overruns: from the schedule. */
char *figures_json(struct figures *figures, uint64_t overruns, uint64_t now_us);

#endif
