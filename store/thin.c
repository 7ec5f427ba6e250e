#include "store/thin.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* One run, by the places of its readings in the array. */
struct run {
    size_t first, last, least, greatest;
    bool has_value; /* least and greatest are meant */
};

static int64_t minute_of(const struct reading *reading) {
    const int64_t time_ms = reading->time_ms;
    return time_ms / THIN_BUCKET_MS;
}

static bool same_run(const struct reading *a, const struct reading *b) {
    return a->tag == b->tag && a->kind == b->kind && minute_of(a) == minute_of(b);
}

static bool less(const struct reading *a, const struct reading *b) {
    if (a->kind == READING_INTEGER) /* a double does not tell all of them apart */
        return a->value.integer < b->value.integer;
    return reading_number(a) < reading_number(b);
}

/* Takes the run that begins at place into account; returns the place behind it. */
static size_t find_run(const struct reading *readings, size_t units, size_t at, struct run *ret_run) {
    struct run run = {.first = at, .last = at};
    const size_t begin = at;
    for (; at < units && same_run(&readings[begin], &readings[at]); at += reading_units(&readings[at])) {
        run.last = at;
        if (!reading_has_value(&readings[at]))
            continue;
        if (!run.has_value || less(&readings[at], &readings[run.least]))
            run.least = at;
        if (!run.has_value || less(&readings[run.greatest], &readings[at]))
            run.greatest = at;
        run.has_value = true;
    }
    *ret_run = run;
    return at;
}

static bool stays(const struct run *run, size_t at) {
    return at == run->first || at == run->last || (run->has_value && (at == run->least || at == run->greatest));
}

size_t thin_readings(struct reading *readings, size_t units) {
    size_t left = 0;
    for (size_t at = 0; at < units;) {
        struct run run;
        const size_t behind = find_run(readings, units, at, &run);
        while (at < behind) {
            const size_t step = reading_units(&readings[at]);
            if (stays(&run, at)) {
                memmove(&readings[left], &readings[at], step * sizeof *readings);
                left += step;
            }
            at += step;
        }
    }
    return left;
}

enum fb_error thin_batch(const uint8_t *bytes, size_t length, uint8_t *ret_bytes, size_t *ret_length,
                         struct thin_result *ret_result, struct fb_cause *cause) {
    struct reading *readings = NULL;
    size_t units = 0;
    enum fb_error error = batch_decode(bytes, length, &ret_result->info, &readings, &units, cause);
    if (error != FB_OK)
        return error;
    ret_result->before = readings_count(readings, units);
    units = thin_readings(readings, units);
    ret_result->after = readings_count(readings, units);
    const size_t losses = ret_result->info.loss_count;
    ret_result->info.loss_count = 0;
    error = batch_encode(&ret_result->info, readings, units, ret_bytes, ret_length, cause);
    ret_result->info.loss_count = losses;
    free(readings);
    return error;
}
