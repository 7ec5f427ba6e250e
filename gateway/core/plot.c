#include "gateway/core/plot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/clock.h"
#include "store/batch_walk.h"

_Static_assert(STORE_CORRECTIONS_MAX == BATCH_WALK_CORRECTIONS_MAX, "a walk has room for all corrections");

/* What a batch costs is known after so many. */
#define READ_FIRST 16

struct plot {
    sd_event_source *slice;
    struct store *store;
    void (*done)(enum fb_error error, const struct text *answer, const struct fb_cause *cause, void *user);
    void *user;
    struct history_plot history;
    struct batch_walk walk;
    struct history_place place;
    bool counted;                    /* all that is there; until then nothing is read */
    struct history_place counted_to; /* where that ended, in the last round */
    size_t left;                     /* counted, and neither read nor left out yet */
    size_t read;
    int64_t read_since_us, aim_us, until_us; /* monotonic */
    uint64_t left_out;
    uint64_t unreadable;
    struct store_batch batch;
};

/* The words of the query, and where their numbers go. */
enum word { WORD_TAG, WORD_FROM, WORD_TO, WORD_BUCKETS, WORDS };

static const struct {
    const char *name;
    int64_t least, most;
} words[WORDS] = {
    [WORD_TAG] = {"tag", 1, UINT32_MAX},
    [WORD_FROM] = {"from", READING_TIME_MIN_MS, READING_TIME_MAX_MS},
    [WORD_TO] = {"to", READING_TIME_MIN_MS + 1, READING_TIME_MAX_MS},
    [WORD_BUCKETS] = {"buckets", 1, HISTORY_BUCKETS_MAX},
};

/* name=number at text, up to length. */
static bool parse_word(const char *text, size_t length, int64_t numbers[WORDS]) {
    for (size_t i = 0; i < WORDS; i++) {
        const size_t name = strlen(words[i].name);
        if (length < name + 2 || strncmp(text, words[i].name, name) != 0 || text[name] != '=' || text[name + 1] < '0' ||
            text[name + 1] > '9')
            continue;
        char *end;
        errno = 0;
        const long long number = strtoll(text + name + 1, &end, 10);
        if (errno != 0 || end != text + length || number < words[i].least || number > words[i].most)
            return false;
        numbers[i] = number;
        return true;
    }
    return false;
}

enum fb_error plot_parse(const char *query, struct plot_request *ret_request, struct fb_cause *cause) {
    int64_t numbers[WORDS] = {[WORD_TAG] = -1, [WORD_FROM] = -1, [WORD_TO] = -1, [WORD_BUCKETS] = PLOT_BUCKETS_DEFAULT};
    for (const char *at = query; *at != '\0';) {
        const size_t length = strcspn(at, "&");
        if (!parse_word(at, length, numbers))
            return fb_fail(cause, FB_INVALID,
                           "\"%.*s\": expected are tag (its number), from and to (ms since 1970), buckets (1 to %d)",
                           (int)length, at, HISTORY_BUCKETS_MAX);
        at += length;
        at += *at == '&';
    }
    for (size_t i = 0; i < WORDS; i++)
        if (numbers[i] < 0)
            return fb_fail(cause, FB_INVALID, "\"%s\" is missing", words[i].name);
    if (numbers[WORD_FROM] >= numbers[WORD_TO])
        return fb_fail(cause, FB_INVALID, "\"from\" must lie before \"to\"");
    *ret_request = (struct plot_request){.tag = (uint32_t)numbers[WORD_TAG],
                                         .from_ms = numbers[WORD_FROM],
                                         .to_ms = numbers[WORD_TO],
                                         .buckets = (size_t)numbers[WORD_BUCKETS],
                                         .aim_ms = PLOT_AIM_MS};
    return FB_OK;
}

static void add_bucket(struct text *answer, const struct history_plot *history, size_t i) {
    const struct history_bucket *bucket = &history->buckets[i];
    const double width_ms = (double)(history->to_ms - history->from_ms) / (double)history->bucket_count;
    const long long begin_ms = history->from_ms + (int64_t)((double)i * width_ms);
    text_add_format(answer, "[%lld,%llu,%llu", begin_ms, (unsigned long long)bucket->readings,
                    (unsigned long long)bucket->bad);
    if (bucket->readings == 0)
        text_add_string(answer, ",null,null,null,null,null]");
    else
        text_add_format(answer, ",%.15g,%.15g,%.15g,%.15g,%.15g]", bucket->first, bucket->last, bucket->least,
                        bucket->greatest, bucket->sum / (double)bucket->readings);
}

static void write_answer(const struct plot *plot, struct text *answer) {
    const struct history_plot *history = &plot->history;
    text_add_format(answer,
                    "{\"tag\":%u,\"from_ms\":%lld,\"to_ms\":%lld,\"unreadable_batches\":%llu,\"left_out_batches\":%llu,"
                    "\"columns\":",
                    history->tag, (long long)history->from_ms, (long long)history->to_ms,
                    (unsigned long long)plot->unreadable, (unsigned long long)plot->left_out);
    text_add_string(answer, "[\"from_ms\",\"readings\",\"bad\",\"first\",\"last\",\"min\",\"max\",\"mean\"],"
                            "\"buckets\":[");
    const char *separator = "";
    for (size_t i = 0; i < history->bucket_count; i++) {
        if (history->buckets[i].readings == 0 && history->buckets[i].bad == 0)
            continue;
        text_add_string(answer, separator);
        add_bucket(answer, history, i);
        separator = ",";
    }
    text_add_string(answer, "]}");
}

/* FB_NOT_FOUND: that was all of this round. FB_AGAIN: not yet, but there was nothing so far. */
static enum fb_error take_batch(struct plot *plot, struct fb_cause *cause) {
    enum fb_error error = history_next(plot->store, &plot->place, plot->walk.stands_to_ms, &plot->batch, cause);
    struct batch_info *info = error == FB_OK ? malloc(sizeof *info) : NULL;
    struct reading *readings = NULL;
    size_t units = 0;
    if (error == FB_OK)
        error = info != NULL ? batch_decode(plot->batch.bytes, plot->batch.length, info, &readings, &units, cause)
                             : fb_fail(cause, FB_MEMORY, "out of memory");
    if (error == FB_OK)
        history_plot_add(&plot->history, readings, batch_walk_pick(&plot->walk, info, readings, units));
    free(readings);
    free(info);
    if (error != FB_CORRUPT && error != FB_INVALID)
        return error;
    plot->unreadable += !batch_walk_repeats(&plot->walk, plot->place.first_ms, plot->place.last_ms);
    return FB_OK;
}

size_t plot_stride(size_t left, int64_t left_us, size_t read, int64_t took_us) {
    if (read < READ_FIRST)
        return 1;
    const double needed_us = (double)left * (double)took_us / (double)read;
    if (left_us <= 0 || needed_us >= (double)left_us * HISTORY_LOOK_MOST)
        return HISTORY_LOOK_MOST;
    return needed_us <= (double)left_us ? 1 : (size_t)(needed_us / (double)left_us) + 1;
}

static void begin_walk(struct plot *plot) {
    batch_walk_begin(&plot->walk, plot->history.from_ms, plot->history.to_ms - 1);
    plot->place = history_begin(plot->walk.stands_from_ms);
}

/* After a round: FB_OK if there is another one, else as it was. */
static enum fb_error next_round(struct plot *plot, enum fb_error error) {
    if (error != FB_NOT_FOUND || !batch_walk_next(&plot->walk))
        return error;
    plot->place = history_begin(plot->walk.stands_from_ms);
    return FB_OK;
}

static enum fb_error count_some(struct plot *plot, struct fb_cause *cause) {
    size_t passed;
    enum fb_error error =
        history_pass(plot->store, &plot->place, plot->walk.stands_to_ms, HISTORY_LOOK_MOST, &passed, cause);
    plot->left += passed;
    error = next_round(plot, error);
    if (error != FB_NOT_FOUND)
        return error;
    plot->counted = true;
    plot->counted_to = plot->place;
    plot->read_since_us = clock_monotonic_us();
    begin_walk(plot);
    return FB_OK;
}

static enum fb_error leave_out(struct plot *plot, struct fb_cause *cause) {
    const int64_t now_us = clock_monotonic_us();
    const size_t stride = plot_stride(plot->left, plot->aim_us - now_us, plot->read, now_us - plot->read_since_us);
    size_t passed = 0;
    if (stride == 1)
        return FB_OK;
    const enum fb_error error =
        history_pass(plot->store, &plot->place, plot->walk.stands_to_ms, stride - 1, &passed, cause);
    plot->left -= passed < plot->left ? passed : plot->left;
    plot->left_out += passed;
    return error;
}

/* Behind what was counted only batches can stand that were sealed since. */
static void pass_the_rest(struct plot *plot) {
    const bool is_last_round = plot->walk.round == plot->walk.correction_count;
    if (is_last_round && plot->left == 0 && plot->place.last_ms < plot->counted_to.last_ms)
        plot->place = plot->counted_to;
}

/* FB_NOT_FOUND: that was all. */
static enum fb_error take_next(struct plot *plot, struct fb_cause *cause) {
    if (!plot->counted)
        return count_some(plot, cause);
    enum fb_error error = leave_out(plot, cause);
    pass_the_rest(plot);
    if (error == FB_OK)
        error = take_batch(plot, cause);
    if (error == FB_AGAIN)
        return FB_OK;
    plot->read += error == FB_OK;
    plot->left -= error == FB_OK && plot->left > 0;
    return next_round(plot, error);
}

static void finish(struct plot *plot, enum fb_error error, struct fb_cause *cause) {
    struct text answer = {0};
    if (error == FB_NOT_FOUND) {
        history_plot_add_tail(&plot->history, plot->store);
        write_answer(plot, &answer);
        error = answer.failed ? fb_fail(cause, FB_MEMORY, "out of memory") : FB_OK;
    }
    plot->done(error, &answer, cause, plot->user);
    text_done(&answer);
}

static int on_slice(sd_event_source *source, void *user) {
    struct plot *plot = user;
    struct fb_cause cause = {""};
    const int64_t end_us = clock_monotonic_us() + PLOT_SLICE_MS * 1000;
    enum fb_error error = FB_OK;
    do
        error = take_next(plot, &cause);
    while (error == FB_OK && clock_monotonic_us() < end_us);
    if (error == FB_OK && clock_monotonic_us() > plot->until_us)
        error = fb_fail(&cause, FB_LIMIT, "more than can be read in %d s: choose a shorter time", PLOT_LIMIT_MS / 1000);
    if (error == FB_OK)
        sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    else
        finish(plot, error, &cause);
    return 0;
}

enum fb_error plot_start(sd_event *event, struct store *store, const struct plot_request *request,
                         void (*done)(enum fb_error error, const struct text *answer, const struct fb_cause *cause,
                                      void *user),
                         void *user, struct plot **ret_plot, struct fb_cause *cause) {
    struct plot *plot = calloc(1, sizeof *plot);
    struct history_bucket *buckets = calloc(request->buckets, sizeof *buckets);
    if (plot == NULL || buckets == NULL) {
        free(plot);
        free(buckets);
        return fb_fail(cause, FB_MEMORY, "out of memory");
    }
    plot->store = store;
    plot->done = done;
    plot->user = user;
    plot->aim_us = clock_monotonic_us() + (int64_t)request->aim_ms * 1000;
    plot->until_us = clock_monotonic_us() + (int64_t)PLOT_LIMIT_MS * 1000;
    plot->walk.correction_count = store_corrections(store, plot->walk.corrections);
    plot->history = (struct history_plot){.tag = request->tag,
                                          .from_ms = request->from_ms,
                                          .to_ms = request->to_ms,
                                          .bucket_count = request->buckets,
                                          .buckets = buckets};
    begin_walk(plot);
    int code = sd_event_add_defer(event, &plot->slice, on_slice, plot);
    if (code >= 0) /* whatever else there is to do comes first */
        code = sd_event_source_set_priority(plot->slice, SD_EVENT_PRIORITY_IDLE);
    if (code < 0) {
        plot_free(plot);
        return fb_fail_errno(cause, FB_IO, -code, "event loop");
    }
    *ret_plot = plot;
    return FB_OK;
}

void plot_free(struct plot *plot) {
    if (plot == NULL)
        return;
    sd_event_source_disable_unref(plot->slice);
    free(plot->history.buckets);
    free(plot);
}
