#include "store/batch_series.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS 256
#define NO_GROUP UINT32_MAX

/* Memory of the sort and of the search for groups, over before the columns are written. */
struct scratch {
    uint32_t *order; /* units at which the readings begin, ordered by tag */
    uint32_t *other;
    uint32_t *slots;   /* hash table of groups */
    size_t slot_count; /* a power of two, at least twice the series */
};

/* One pass of a stable radix sort by eight bits of the tag. False when all tags agree in them: nothing was moved. */
static bool sort_pass(const struct reading *readings, size_t count, unsigned shift, const uint32_t *from,
                      uint32_t *to) {
    uint32_t starts[DIGITS] = {0};
    for (size_t i = 0; i < count; i++)
        starts[readings[from[i]].tag >> shift & 255]++;
    if (starts[readings[0].tag >> shift & 255] == count)
        return false;
    uint32_t total = 0;
    for (size_t digit = 0; digit < DIGITS; digit++) {
        const uint32_t here = starts[digit];
        starts[digit] = total;
        total += here;
    }
    for (size_t i = 0; i < count; i++)
        to[starts[readings[from[i]].tag >> shift & 255]++] = from[i];
    return true;
}

static void sort_by_tag(const struct reading *readings, size_t count, struct scratch *scratch) {
    for (size_t i = 0, unit = 0; i < count; i++, unit += reading_units(&readings[unit]))
        scratch->order[i] = (uint32_t)unit;
    for (unsigned shift = 0; count > 0 && shift < 32; shift += 8) {
        if (!sort_pass(readings, count, shift, scratch->order, scratch->other))
            continue;
        uint32_t *sorted = scratch->other;
        scratch->other = scratch->order;
        scratch->order = sorted;
    }
}

static void gather(const struct reading *readings, const uint32_t *order, struct batch_work *work) {
    struct batch_series *series = NULL;
    size_t values = 0;
    for (size_t i = 0; i < work->count; i++) {
        const struct reading *reading = &readings[order[i]];
        if (series == NULL || series->tag != reading->tag || series->kind != reading->kind) {
            series = &work->series[work->series_count++];
            *series = (struct batch_series){
                .tag = reading->tag, .first = (uint32_t)i, .first_value = (uint32_t)values, .kind = reading->kind};
        }
        series->count++;
        work->times[i] = reading->time_ms;
        work->marks[i] = reading->quality | (uint32_t)reading->detail << 8;
        if (reading_has_value(reading)) {
            series->value_count++;
            work->values[values++] = reading->kind == READING_TEXT ? order[i] : reading->value.bits;
        }
    }
}

static bool same_times(const struct batch_work *work, const struct batch_series *a, const struct batch_series *b) {
    return a->count == b->count &&
           memcmp(work->times + a->first, work->times + b->first, a->count * sizeof *work->times) == 0;
}

static size_t hash_times(const int64_t *times, size_t count) {
    uint64_t hash = count;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ (uint64_t)times[i]) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(hash >> 32);
}

static uint32_t find_group(struct batch_work *work, const struct scratch *scratch, uint32_t index) {
    const struct batch_series *series = &work->series[index];
    size_t slot = hash_times(work->times + series->first, series->count) & (scratch->slot_count - 1);
    for (; scratch->slots[slot] != NO_GROUP; slot = (slot + 1) & (scratch->slot_count - 1))
        if (same_times(work, series, &work->series[work->groups[scratch->slots[slot]]]))
            return scratch->slots[slot];
    scratch->slots[slot] = (uint32_t)work->group_count;
    work->groups[work->group_count] = index;
    return (uint32_t)work->group_count++;
}

static size_t slots_for(size_t series) {
    size_t slots = 16;
    while (slots < 2 * series)
        slots *= 2;
    return slots;
}

static void group(struct batch_work *work, struct scratch *scratch) {
    scratch->slot_count = slots_for(work->series_count);
    memset(scratch->slots, 0xff, scratch->slot_count * sizeof *scratch->slots);
    for (uint32_t i = 0; i < work->series_count; i++) {
        /* Tags that are read together mostly have neighbouring numbers. */
        const bool as_before = i > 0 && same_times(work, &work->series[i], &work->series[i - 1]);
        work->series[i].group = as_before ? work->series[i - 1].group : find_group(work, scratch, i);
    }
}

/* The members with the widest elements come first, so that all are aligned. */
static bool allocate(size_t count, struct batch_work *work, struct scratch *scratch) {
    const size_t wide = sizeof *work->times + sizeof *work->values;
    const size_t narrow = sizeof *work->marks + sizeof *work->groups + 2 * sizeof *scratch->order;
    uint8_t *memory =
        malloc(count * (wide + sizeof *work->series + narrow) + slots_for(count) * sizeof *scratch->slots);
    if (memory == NULL)
        return false;
    work->memory = memory;
    work->count = count;
    work->times = (int64_t *)memory;
    work->values = (uint64_t *)(work->times + count);
    work->series = (struct batch_series *)(work->values + count);
    work->marks = (uint32_t *)(work->series + count);
    work->groups = work->marks + count;
    scratch->order = work->groups + count;
    scratch->other = scratch->order + count;
    scratch->slots = scratch->other + count;
    return true;
}

enum fb_error batch_series_make(const struct reading *readings, size_t units, struct batch_work *ret_work) {
    const size_t count = readings_count(readings, units);
    struct batch_work work = {0};
    struct scratch scratch;
    if (!allocate(count, &work, &scratch))
        return FB_MEMORY;
    sort_by_tag(readings, count, &scratch);
    gather(readings, scratch.order, &work);
    group(&work, &scratch);
    *ret_work = work;
    return FB_OK;
}

void batch_series_done(struct batch_work *work) {
    free(work->memory);
    *work = (struct batch_work){0};
}
