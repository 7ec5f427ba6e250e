#include "store/batch_columns.h"

#include <string.h>

#include "store/batch_series.h"
#include "store/batch_shape.h"
#include "store/batch_text.h"
#include "store/batch_value.h"

/* The most that one reading can cost: a series of its own (tag 5, group 3, encoding 1, shape 1), a group of its own
 * (size 3, time 7), runs of its own (quality 1 + 3, detail 3 + 3), a value of 10 and a begun byte of low bits, or what
 * a text needs beside its bytes, which have room in the units behind it; and slack for the counts and the writer's
 * margin. */
#define READING_ROOM (31 + BATCH_TEXT_ROOM)
#define COLUMNS_ROOM 64

size_t batch_columns_room(size_t units) {
    return units * READING_ROOM + COLUMNS_ROOM;
}

static void put_series(const struct batch_work *work, struct batch_writer *writer) {
    batch_put_varint(writer, work->group_count);
    batch_put_varint(writer, work->series_count);
    for (size_t i = 0; i < work->group_count; i++)
        batch_put_varint(writer, work->series[work->groups[i]].count);
    uint32_t tag = 0;
    for (size_t i = 0; i < work->series_count; tag = work->series[i++].tag)
        batch_put_varint(writer, work->series[i].tag - tag);
    uint64_t group = 0;
    for (size_t i = 0; i < work->series_count; group = work->series[i++].group)
        batch_put_zigzag(writer, work->series[i].group - group);
    for (size_t i = 0; i < work->series_count; i++)
        batch_put_byte(writer, work->series[i].encoding);
    for (size_t i = 0; i < work->series_count; i++)
        batch_put_byte(writer, work->series[i].shape);
}

static void put_time_steps(const int64_t *times, size_t count, struct batch_writer *writer) {
    int64_t interval = 0;
    for (size_t i = 1; i < count; i++) {
        const int64_t next = times[i] - times[i - 1];
        batch_put_zigzag(writer, (uint64_t)(next - interval));
        interval = next;
    }
}

static void put_times(const struct batch_work *work, struct batch_writer *writer) {
    int64_t before = 0;
    for (size_t i = 0; i < work->group_count; i++) {
        const int64_t first = work->times[work->series[work->groups[i]].first];
        batch_put_zigzag(writer, (uint64_t)(first - before));
        before = first;
    }
    for (size_t i = 0; i < work->group_count; i++) {
        const struct batch_series *series = &work->series[work->groups[i]];
        put_time_steps(work->times + series->first, series->count, writer);
    }
}

static size_t run_length(const uint32_t *marks, size_t from, size_t count, unsigned shift, uint32_t mask) {
    size_t end = from + 1;
    while (end < count && (marks[end] >> shift & mask) == (marks[from] >> shift & mask))
        end++;
    return end - from;
}

static void put_runs(const struct batch_work *work, unsigned shift, uint32_t mask, struct batch_writer *writer) {
    const uint32_t *marks = work->marks;
    size_t runs = 0;
    for (size_t i = 0; i < work->count; i += run_length(marks, i, work->count, shift, mask))
        runs++;
    batch_put_varint(writer, runs);
    for (size_t i = 0; i < work->count; i += run_length(marks, i, work->count, shift, mask)) {
        if (mask == UINT8_MAX)
            batch_put_byte(writer, (uint8_t)(marks[i] >> shift & mask));
        else
            batch_put_varint(writer, marks[i] >> shift & mask);
    }
    for (size_t i = 0, length; i < work->count; i += length) {
        length = run_length(marks, i, work->count, shift, mask);
        batch_put_varint(writer, length);
    }
}

static bool has_numbers(const struct batch_series *series) {
    return series->encoding != READING_TEXT && series->value_count > 0;
}

static void fold(const struct batch_work *work) {
    for (size_t i = 0; i < work->series_count; i++) {
        struct batch_series *series = &work->series[i];
        uint64_t *values = work->values + series->first_value;
        series->encoding = batch_value_fold((enum reading_kind)series->kind, values, series->value_count);
        if (has_numbers(series))
            series->shape = batch_shape_fold(values, series->value_count);
    }
}

static void put_low_bits(const struct batch_work *work, struct batch_writer *writer) {
    const struct batch_series *end = work->series + work->series_count;
    size_t total = 0;
    for (const struct batch_series *series = work->series; series < end; series++)
        total += (size_t)series->value_count * batch_shape_width(series->shape);
    struct batch_bits_writer bits = {.next = batch_put_room(writer, batch_bits_bytes(total))};
    if (bits.next == NULL)
        return;
    for (const struct batch_series *series = work->series; series < end; series++)
        for (size_t i = 0; series->shape != 0 && i < series->value_count; i++)
            batch_put_bits(&bits, work->values[series->first_value + i], batch_shape_width(series->shape));
    batch_end_bits(&bits);
}

static void put_high_bits(const struct batch_work *work, struct batch_writer *writer) {
    const struct batch_series *end = work->series + work->series_count;
    for (const struct batch_series *series = work->series; series < end; series++)
        if (has_numbers(series))
            batch_put_varint(writer, work->values[series->first_value] >> batch_shape_width(series->shape));
    for (const struct batch_series *series = work->series; series < end; series++) {
        const uint64_t *values = work->values + series->first_value;
        for (size_t i = 1; has_numbers(series) && i < series->value_count; i++)
            batch_put_varint(writer, values[i] >> batch_shape_width(series->shape));
    }
}

static enum fb_error put_texts(const struct batch_work *work, const struct reading *readings,
                               struct batch_writer *writer) {
    enum fb_error error = FB_OK;
    for (size_t i = 0; error == FB_OK && i < work->series_count; i++) {
        const struct batch_series *series = &work->series[i];
        if (series->encoding == READING_TEXT && series->value_count > 0)
            error = batch_text_put(readings, work->values + series->first_value, series->value_count, writer);
    }
    return error;
}

enum fb_error batch_columns_encode(const struct reading *readings, size_t units, struct batch_writer *writer) {
    struct batch_work work;
    enum fb_error error = batch_series_make(readings, units, &work);
    if (error != FB_OK)
        return error;
    fold(&work);
    put_series(&work, writer);
    put_times(&work, writer);
    put_runs(&work, 0, UINT8_MAX, writer);
    put_runs(&work, 8, UINT16_MAX, writer);
    put_low_bits(&work, writer);
    put_high_bits(&work, writer);
    error = put_texts(&work, readings, writer);
    batch_series_done(&work);
    return error == FB_OK && writer->overflow ? FB_LIMIT : error;
}
