#include "store/history.h"

#include "store/batch_correct.h"
#include "store/store_internal.h"

struct history_place history_begin(int64_t from_ms) {
    return (struct history_place){.last_ms = from_ms, .first_ms = INT64_MIN};
}

/* Damage is the business of those who work on the store; here it only ends the walk. */
static enum fb_error walk_result(struct store *store, int code, struct fb_cause *cause) {
    if (code == SQLITE_DONE)
        return FB_NOT_FOUND;
    if (code == SQLITE_ROW)
        return FB_OK;
    const enum fb_error error = store_result(store->db, code, cause, "history");
    return error == FB_CORRUPT ? FB_IO : error;
}

static struct history_place place_of(struct store *store) {
    return (struct history_place){
        .last_ms = store_integer(store, STORE_NEXT_IN_TIME, 0),
        .first_ms = store_integer(store, STORE_NEXT_IN_TIME, 1),
        .number = (uint64_t)store_integer(store, STORE_NEXT_IN_TIME, 2),
    };
}

/* Batches are ordered by their last times, and none of those that follow need begin in time: the end may be far. */
static enum fb_error find_next(struct store *store, struct history_place *place, int64_t to_ms,
                               struct fb_cause *cause) {
    int code = store_step(store, STORE_NEXT_IN_TIME, "iii", place->last_ms, place->first_ms, place->number);
    int looked = 1;
    for (; code == SQLITE_ROW; looked++) {
        *place = place_of(store);
        if (place->first_ms <= to_ms || looked == HISTORY_LOOK_MOST)
            break;
        code = store_step(store, STORE_NEXT_IN_TIME, "");
    }
    store_reset(store, STORE_NEXT_IN_TIME);
    return code == SQLITE_ROW && place->first_ms > to_ms ? FB_AGAIN : walk_result(store, code, cause);
}

enum fb_error history_next(struct store *store, struct history_place *place, int64_t to_ms,
                           struct store_batch *ret_batch, struct fb_cause *cause) {
    const enum fb_error error = find_next(store, place, to_ms, cause);
    ret_batch->number = place->number;
    return error == FB_OK ? store_read_batch(store, ret_batch, cause) : error;
}

enum fb_error history_pass(struct store *store, struct history_place *place, int64_t to_ms, size_t most,
                           size_t *ret_passed, struct fb_cause *cause) {
    size_t passed = 0;
    int code = store_step(store, STORE_NEXT_IN_TIME, "iii", place->last_ms, place->first_ms, place->number);
    for (int looked = 1; code == SQLITE_ROW; looked++) {
        *place = place_of(store);
        passed += place->first_ms <= to_ms;
        if (passed == most || looked == HISTORY_LOOK_MOST)
            break;
        code = store_step(store, STORE_NEXT_IN_TIME, "");
    }
    store_reset(store, STORE_NEXT_IN_TIME);
    *ret_passed = passed;
    return walk_result(store, code, cause);
}

enum fb_error history_after(struct store *store, uint64_t number, struct store_batch *ret_batch,
                            struct fb_cause *cause) {
    const uint64_t behind = number < (uint64_t)INT64_MAX ? number : (uint64_t)INT64_MAX;
    const int code = store_step(store, STORE_NEXT_NUMBER, "i", behind);
    if (code == SQLITE_ROW)
        ret_batch->number = (uint64_t)store_integer(store, STORE_NEXT_NUMBER, 0);
    store_reset(store, STORE_NEXT_NUMBER);
    const enum fb_error error = walk_result(store, code, cause);
    return error == FB_OK ? store_read_batch(store, ret_batch, cause) : error;
}

uint64_t history_evicted_to(const struct store *store) {
    return store->state.evicted_to;
}

/* The quotient of the ranges is exact enough in double: 2^53 ms are longer than any plot. */
static struct history_bucket *bucket_of(struct history_plot *plot, int64_t time_ms) {
    const double share = (double)(time_ms - plot->from_ms) / (double)(plot->to_ms - plot->from_ms);
    const size_t bucket = (size_t)(share * (double)plot->bucket_count);
    return &plot->buckets[bucket < plot->bucket_count ? bucket : plot->bucket_count - 1];
}

static void add(struct history_bucket *bucket, int64_t time_ms, double number) {
    const bool is_first = bucket->readings == 0;
    if (is_first || time_ms < bucket->first_ms) {
        bucket->first_ms = time_ms;
        bucket->first = number;
    }
    if (is_first || time_ms >= bucket->last_ms) {
        bucket->last_ms = time_ms;
        bucket->last = number;
    }
    if (is_first || number < bucket->least)
        bucket->least = number;
    if (is_first || number > bucket->greatest)
        bucket->greatest = number;
    bucket->sum += number;
    bucket->readings++;
}

static void add_reading(struct history_plot *plot, const struct reading *reading, int64_t time_ms) {
    if (reading->tag != plot->tag || time_ms < plot->from_ms || time_ms >= plot->to_ms)
        return;
    struct history_bucket *bucket = bucket_of(plot, time_ms);
    if (reading_has_value(reading))
        add(bucket, time_ms, reading_number(reading));
    else
        bucket->bad++;
}

void history_plot_add(struct history_plot *plot, const struct reading *readings, size_t units) {
    for (size_t i = 0; i < units; i += reading_units(&readings[i]))
        add_reading(plot, &readings[i], readings[i].time_ms);
}

void history_plot_add_tail(struct history_plot *plot, const struct store *store) {
    struct batch_correction corrections[STORE_CORRECTIONS_MAX];
    const size_t count = store_corrections(store, corrections);
    struct batch_place place = {store->id, store_last_number(store) + 1, 0}; /* of the batch that it will be */
    for (size_t i = 0; i < store->tail_count; i += reading_units(&store->tail[i])) {
        place.time_ms = store->tail[i].time_ms;
        add_reading(plot, &store->tail[i], batch_true_ms(corrections, count, &place));
    }
}
