/* plot.h - the history of one tag, resampled for a picture of it: what GET /api/history answers (docs/api.md). The
 * store is read between core's other work, in slices of at most PLOT_SLICE_MS. */
#ifndef FB_CORE_PLOT_H
#define FB_CORE_PLOT_H

#include <systemd/sd-event.h>

#include "gateway/common/error.h"
#include "gateway/core/text.h"
#include "store/history.h"

/* One batch takes up to 3 ms more. */
#define PLOT_SLICE_MS 5
/* What takes longer than this is made coarse: of its batches only each so-many-th is read. */
#define PLOT_AIM_MS 6000
/* nginx waits 10 s for an answer. */
#define PLOT_LIMIT_MS 8000
#define PLOT_BUCKETS_DEFAULT 500

struct plot_request {
    uint32_t tag;
    int64_t from_ms, to_ms; /* UTC, from_ms < to_ms */
    size_t buckets;         /* 1 to HISTORY_BUCKETS_MAX */
    unsigned aim_ms;        /* at most PLOT_LIMIT_MS */
};

/* "tag=17&from=1795290000000&to=1795293600000&buckets=500", in any order; buckets may be missing. aim_ms
 * becomes PLOT_AIM_MS. Pure. FB_INVALID. */
enum fb_error plot_parse(const char *query, struct plot_request *ret_request, struct fb_cause *cause) FB_MUST_USE;

/* One of how many batches to read when so many are left, for so long, after so many were read in so long. 1: all. Pure.
 */
size_t plot_stride(size_t left, int64_t left_us, size_t read, int64_t took_us);

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
