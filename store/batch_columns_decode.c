#include "store/batch_columns.h"

#include <stdlib.h>
#include <string.h>

#include "store/batch_shape.h"
#include "store/batch_text.h"
#include "store/batch_value.h"

struct group {
    uint32_t first; /* index into times */
    uint32_t count;
    bool used; /* by a series */
};

struct series {
    uint32_t tag;
    uint32_t group;
    uint32_t value_count;
    uint8_t encoding;
    uint8_t shape;
    uint64_t high_bits; /* of its first distance */
};

/* What is known so far; one allocation holds it all but the readings. */
struct columns {
    struct batch_reader reader;
    struct batch_bits_reader low_bits; /* of all distances */
    const uint8_t *bytes;              /* where they begin */
    size_t count;                      /* readings */
    size_t units;                      /* of them, with their texts */
    bool has_texts;
    struct group *groups;
    size_t group_count;
    struct series *series;
    size_t series_count;
    int64_t *times; /* of the groups, one after the other */
    struct reading *readings;
    void *memory;
};

static enum fb_error bad(struct fb_cause *cause, const char *part) {
    return fb_fail(cause, FB_INVALID, "columns: %s: cut off or against the rules", part);
}

static enum fb_error get_counts(struct columns *columns, struct fb_cause *cause) {
    columns->group_count = batch_get_limited(&columns->reader, 0, columns->count);
    columns->series_count = batch_get_limited(&columns->reader, columns->group_count, columns->count);
    /* Each group and each series takes bytes of the string: a few bytes cannot claim much memory. */
    if (columns->reader.bad || columns->group_count + columns->series_count > columns->reader.left + 2)
        return bad(cause, "counts");
    const size_t series_bytes = columns->series_count * sizeof *columns->series;
    const size_t times_bytes = columns->count * sizeof *columns->times;
    uint8_t *memory = malloc(series_bytes + times_bytes + columns->group_count * sizeof *columns->groups + 1);
    columns->memory = memory;
    columns->readings = calloc(columns->count + 1, sizeof *columns->readings);
    if (memory == NULL || columns->readings == NULL)
        return fb_fail(cause, FB_MEMORY, "columns: out of memory");
    columns->series = (struct series *)memory;
    columns->times = (int64_t *)(memory + series_bytes);
    columns->groups = (struct group *)(memory + series_bytes + times_bytes);
    return FB_OK;
}

static enum fb_error get_groups(struct columns *columns, struct fb_cause *cause) {
    size_t first = 0;
    for (size_t i = 0; i < columns->group_count; i++) {
        const size_t count = batch_get_limited(&columns->reader, 1, columns->count - first);
        columns->groups[i] = (struct group){.first = (uint32_t)first, .count = (uint32_t)count, .used = false};
        first += count;
    }
    return columns->reader.bad ? bad(cause, "group sizes") : FB_OK;
}

static bool get_tags(struct columns *columns) {
    uint64_t tag = 0;
    for (size_t i = 0; i < columns->series_count; i++) {
        tag += batch_get_limited(&columns->reader, i == 0 ? 1 : 0, UINT32_MAX - tag);
        columns->series[i] = (struct series){.tag = (uint32_t)tag};
    }
    return !columns->reader.bad;
}

static bool get_group_indexes(struct columns *columns) {
    uint64_t group = 0;
    size_t readings = 0, used = 0;
    for (size_t i = 0; i < columns->series_count; i++) {
        group += batch_get_zigzag(&columns->reader);
        if (columns->reader.bad || group >= columns->group_count)
            return false;
        columns->series[i].group = (uint32_t)group;
        readings += columns->groups[group].count;
        used += !columns->groups[group].used;
        columns->groups[group].used = true;
    }
    return readings == columns->count && used == columns->group_count;
}

static bool get_encodings(struct columns *columns) {
    const uint8_t *encodings = batch_get_bytes(&columns->reader, columns->series_count);
    enum reading_kind kind;
    for (size_t i = 0; encodings != NULL && i < columns->series_count; i++) {
        if (!batch_value_kind(encodings[i], &kind))
            return false;
        columns->series[i].encoding = encodings[i];
    }
    return encodings != NULL;
}

static bool get_shapes(struct columns *columns) {
    const uint8_t *shapes = batch_get_bytes(&columns->reader, columns->series_count);
    for (size_t i = 0; shapes != NULL && i < columns->series_count; i++) {
        if (!batch_shape_valid(shapes[i]))
            return false;
        columns->series[i].shape = shapes[i];
    }
    return shapes != NULL;
}

static enum fb_error get_series(struct columns *columns, struct fb_cause *cause) {
    if (!get_tags(columns))
        return bad(cause, "series tags");
    if (!get_group_indexes(columns))
        return bad(cause, "series groups");
    if (!get_encodings(columns))
        return bad(cause, "series encodings");
    return get_shapes(columns) ? FB_OK : bad(cause, "series shapes");
}

static bool time_valid(int64_t time_ms) {
    return time_ms >= READING_TIME_MIN_MS && time_ms <= READING_TIME_MAX_MS;
}

static enum fb_error get_times(struct columns *columns, struct fb_cause *cause) {
    uint64_t first = 0;
    bool valid = true;
    for (size_t i = 0; i < columns->group_count; i++) {
        first += batch_get_zigzag(&columns->reader);
        columns->times[columns->groups[i].first] = (int64_t)first;
        valid = valid && time_valid((int64_t)first);
    }
    for (size_t i = 0; i < columns->group_count; i++) {
        int64_t *times = columns->times + columns->groups[i].first;
        uint64_t interval = 0;
        for (size_t k = 1; k < columns->groups[i].count; k++) {
            interval += batch_get_zigzag(&columns->reader);
            times[k] = (int64_t)((uint64_t)times[k - 1] + interval);
            valid = valid && time_valid(times[k]);
        }
    }
    return valid && !columns->reader.bad ? FB_OK : bad(cause, "times");
}

/* A column of runs: the caller asks for the lengths and the values one after the other through two readers. */
struct runs {
    struct batch_reader values;
    struct batch_reader lengths;
    size_t count;
};

static uint16_t get_run_value(struct batch_reader *reader, bool is_byte) {
    if (!is_byte)
        return (uint16_t)batch_get_limited(reader, 0, UINT16_MAX);
    const uint8_t *byte = batch_get_bytes(reader, 1);
    return byte != NULL ? *byte : 0;
}

static struct runs begin_runs(struct columns *columns, bool is_byte) {
    struct runs runs = {.count = batch_get_limited(&columns->reader, 0, columns->count)};
    runs.values = columns->reader;
    for (size_t i = 0; i < runs.count && !columns->reader.bad; i++)
        get_run_value(&columns->reader, is_byte);
    return runs;
}

/* Fill the qualities (one byte each) or the details of all readings. */
static bool get_runs(struct columns *columns, bool is_quality) {
    struct runs runs = begin_runs(columns, is_quality);
    size_t at = 0;
    for (size_t i = 0; i < runs.count && !columns->reader.bad; i++) {
        const uint16_t value = get_run_value(&runs.values, is_quality);
        const size_t end = at + batch_get_limited(&columns->reader, 1, columns->count - at);
        for (; at < end; at++) {
            if (is_quality)
                columns->readings[at].quality = (uint8_t)value;
            else
                columns->readings[at].detail = value;
        }
    }
    return !columns->reader.bad && at == columns->count;
}

static bool has_numbers(const struct series *series) {
    return series->encoding != READING_TEXT && series->value_count > 0;
}

/* Tags, kinds and times are copied once the qualities stand, since those say which readings have a value. False when a
 * series without numbers has a shape. */
static bool fill(struct columns *columns) {
    struct reading *reading = columns->readings;
    bool valid = true;
    for (size_t i = 0; i < columns->series_count; i++) {
        struct series *series = &columns->series[i];
        const struct group *group = &columns->groups[series->group];
        enum reading_kind kind = READING_REAL64;
        batch_value_kind(series->encoding, &kind);
        for (size_t k = 0; k < group->count; k++, reading++) {
            reading->tag = series->tag;
            reading->kind = (uint8_t)kind;
            reading->time_ms = columns->times[group->first + k];
            series->value_count += reading_has_value(reading);
        }
        valid = valid && (series->shape == 0 || has_numbers(series));
    }
    return valid;
}

static bool get_low_bits(struct columns *columns) {
    size_t total = 0;
    for (size_t i = 0; i < columns->series_count; i++)
        total += (size_t)columns->series[i].value_count * batch_shape_width(columns->series[i].shape);
    columns->low_bits.next = batch_get_bytes(&columns->reader, batch_bits_bytes(total));
    return columns->low_bits.next != NULL;
}

/* The values of one series, which has some; count readings. */
static bool get_numbers(struct columns *columns, const struct series *series, struct reading *readings, size_t count) {
    const unsigned width = batch_shape_width(series->shape);
    uint64_t high_bits = series->high_bits, expected = 0;
    bool is_first = true;
    for (size_t i = 0; i < count; i++) {
        if (!reading_has_value(&readings[i]))
            continue;
        if (!is_first)
            high_bits = batch_get_varint(&columns->reader);
        if (high_bits > UINT64_MAX >> width)
            return false;
        const uint64_t distance = batch_unzigzag(high_bits << width | batch_get_bits(&columns->low_bits, width));
        if (!batch_value_unfold(series->encoding, expected + distance, &readings[i].value.bits))
            return false;
        expected = batch_shape_expect(expected, distance, !is_first && batch_shape_smoothed(series->shape));
        is_first = false;
    }
    return true;
}

static bool get_values(struct columns *columns) {
    if (!get_low_bits(columns))
        return false;
    struct series *end = columns->series + columns->series_count;
    for (struct series *series = columns->series; series < end; series++)
        if (has_numbers(series))
            series->high_bits = batch_get_varint(&columns->reader);
    struct reading *readings = columns->readings;
    for (struct series *series = columns->series; series < end; series++) {
        const size_t count = columns->groups[series->group].count;
        if (has_numbers(series) && !get_numbers(columns, series, readings, count))
            return false;
        readings += count;
    }
    return !columns->reader.bad && columns->low_bits.held == 0;
}

static enum fb_error get_texts(struct columns *columns, struct fb_cause *cause) {
    enum fb_error error = FB_OK;
    struct reading *readings = columns->readings;
    for (size_t i = 0; error == FB_OK && i < columns->series_count; i++) {
        const struct series *series = &columns->series[i];
        const size_t count = columns->groups[series->group].count;
        if (series->encoding == READING_TEXT) {
            error = batch_text_get(&columns->reader, columns->bytes, readings, count);
            columns->has_texts = true;
        }
        readings += count;
    }
    if (error == FB_OK && columns->has_texts)
        error = batch_text_expand(columns->bytes, &columns->readings, columns->count, &columns->units);
    if (error == FB_MEMORY)
        return fb_fail(cause, error, "columns: out of memory");
    return error == FB_OK ? FB_OK : bad(cause, "texts");
}

static enum fb_error get_all(struct columns *columns, struct fb_cause *cause) {
    enum fb_error error = get_counts(columns, cause);
    if (error == FB_OK)
        error = get_groups(columns, cause);
    if (error == FB_OK)
        error = get_series(columns, cause);
    if (error == FB_OK)
        error = get_times(columns, cause);
    if (error != FB_OK)
        return error;
    if (!get_runs(columns, true))
        return bad(cause, "qualities");
    if (!get_runs(columns, false))
        return bad(cause, "details");
    if (!fill(columns))
        return bad(cause, "series shapes");
    if (!get_values(columns))
        return bad(cause, "values");
    error = get_texts(columns, cause);
    if (error != FB_OK)
        return error;
    return columns->reader.left == 0 ? FB_OK : fb_fail(cause, FB_INVALID, "columns: bytes behind their end");
}

enum fb_error batch_columns_decode(const uint8_t *bytes, size_t length, size_t count, struct reading **ret_readings,
                                   size_t *ret_units, struct fb_cause *cause) {
    struct columns columns = {
        .reader = {.data = bytes, .left = length}, .bytes = bytes, .count = count, .units = count};
    const enum fb_error error = get_all(&columns, cause);
    free(columns.memory);
    if (error != FB_OK || count == 0) {
        free(columns.readings);
        columns.readings = NULL;
    }
    if (error == FB_OK) {
        *ret_readings = columns.readings;
        *ret_units = columns.units;
    }
    return error;
}
