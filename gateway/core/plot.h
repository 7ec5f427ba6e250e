/* plot.h - the history of one tag, resampled for a picture of it: what GET /api/history answers (docs/api.md). The
 * store is read between core's other work, in slices of at most PLOT_SLICE_MS. */
#ifndef FB_CORE_PLOT_H
#define FB_CORE_PLOT_H

#include <systemd/sd-event.h>

#include "gateway/common/error.h"
#include "gateway/core/text.h"
#include "store/history.h"

/* One batch takes up to 3 ms more. */
#define PLOT_SLICE_MS 10
/* nginx waits 10 s for an answer. */
#define PLOT_LIMIT_MS 8000
#define PLOT_BUCKETS_DEFAULT 500

struct plot_request {
    uint32_t tag;
    int64_t from_ms, to_ms; /* UTC, from_ms < to_ms */
    size_t buckets;         /* 1 to HISTORY_BUCKETS_MAX */
};

/* "tag=17&from=1795290000000&to=1795293600000&buckets=500", in any order; buckets may be missing. Pure. FB_INVALID,
 * FB_LIMIT. */
enum fb_error plot_parse(const char *query, struct plot_request *ret_request, struct fb_cause *cause) FB_MUST_USE;

struct plot;

/* Begin. store and user are borrowed. done: called once from the loop, with the answer to send or with an error and its
 * cause; it may call plot_free(). ret_plot: yours, end it with plot_free(). FB_MEMORY, FB_IO. */
enum fb_error plot_start(sd_event *event, struct store *store, const struct plot_request *request,
                         void (*done)(enum fb_error error, const struct text *answer, const struct fb_cause *cause,
                                      void *user),
                         void *user, struct plot **ret_plot, struct fb_cause *cause) FB_MUST_USE;
/* Before it is done, too. NULL is fine. */
void plot_free(struct plot *plot);

#endif
