#include "store/batch_text.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The readings of a series, run by run. */
struct run {
    const struct reading *first;
    uint32_t length; /* readings */
    uint32_t number; /* of its text in the dictionary */
};

static bool same_text(const struct reading *a, const struct reading *b) {
    return a->value.text_length == b->value.text_length &&
           memcmp(reading_text(a), reading_text(b), (size_t)a->value.text_length) == 0;
}

static size_t make_runs(const struct reading *readings, const uint64_t *values, size_t count, struct run *runs) {
    size_t made = 0;
    for (size_t i = 0; i < count; i++) {
        const struct reading *reading = &readings[values[i]];
        if (made == 0 || !same_text(runs[made - 1].first, reading))
            runs[made++] = (struct run){.first = reading};
        runs[made - 1].length++;
    }
    return made;
}

/* By text, then by place: the first run of each text comes first. */
static int compare(const void *a, const void *b) {
    const struct run *x = *(struct run *const *)a, *y = *(struct run *const *)b;
    if (x->first->value.text_length != y->first->value.text_length)
        return x->first->value.text_length < y->first->value.text_length ? -1 : 1;
    const int order = memcmp(reading_text(x->first), reading_text(y->first), (size_t)x->first->value.text_length);
    return order != 0 ? order : (x > y) - (x < y);
}

/* Number the texts in the order in which they first come. A sort, since a table of hashes would leave it to the
 * instruments how long this takes. Returns how many there are. */
static size_t number_texts(struct run *runs, size_t count, struct run **order) {
    for (size_t i = 0; i < count; i++)
        order[i] = &runs[i];
    qsort(order, count, sizeof *order, compare);
    /* For each run the index of the first one with its text. */
    for (size_t i = 0; i < count; i++) {
        const bool again = i > 0 && same_text(order[i]->first, order[i - 1]->first);
        order[i]->number = again ? order[i - 1]->number : (uint32_t)(order[i] - runs);
    }
    size_t texts = 0;
    for (size_t i = 0; i < count; i++)
        runs[i].number = runs[i].number == i ? (uint32_t)texts++ : runs[runs[i].number].number;
    return texts;
}

static void put_dictionary(const struct run *runs, size_t count, size_t texts, struct batch_writer *writer) {
    batch_put_varint(writer, texts);
    for (size_t i = 0, next = 0; i < count; i++)
        if (runs[i].number == next) {
            batch_put_varint(writer, runs[i].first->value.text_length);
            next++;
        }
    for (size_t i = 0, next = 0; i < count; i++)
        if (runs[i].number == next) {
            const size_t length = (size_t)runs[i].first->value.text_length;
            uint8_t *room = batch_put_room(writer, length);
            if (room != NULL)
                memcpy(room, reading_text(runs[i].first), length);
            next++;
        }
}

enum fb_error batch_text_put(const struct reading *readings, const uint64_t *values, size_t count,
                             struct batch_writer *writer) {
    struct run *runs = malloc(count * (sizeof *runs + sizeof(struct run *)));
    if (runs == NULL)
        return FB_MEMORY;
    const size_t run_count = make_runs(readings, values, count, runs);
    const size_t texts = number_texts(runs, run_count, (struct run **)(runs + count));
    put_dictionary(runs, run_count, texts, writer);
    batch_put_varint(writer, run_count);
    for (size_t i = 0; i < run_count; i++)
        batch_put_varint(writer, runs[i].number);
    for (size_t i = 0; i < run_count; i++)
        batch_put_varint(writer, runs[i].length);
    free(runs);
    return FB_OK;
}

/* Where the bytes of a text stand in the columns, until all readings are known and the texts can take their places. */
static uint64_t place_of(size_t offset, size_t length) {
    return (uint64_t)offset << 8 | length;
}

/* The places of all texts; false when one is cut off, too long or no text. */
static bool get_dictionary(struct batch_reader *reader, const uint8_t *columns, uint64_t *places, size_t texts) {
    size_t bytes = 0;
    for (size_t i = 0; i < texts; i++)
        bytes += places[i] = batch_get_limited(reader, 0, READING_TEXT_MAX);
    const uint8_t *text = batch_get_bytes(reader, bytes);
    for (size_t i = 0; text != NULL && i < texts; i++) {
        const size_t length = (size_t)places[i];
        if (!reading_text_valid(text, length))
            return false;
        places[i] = place_of((size_t)(text - columns), length);
        text += length;
    }
    return text != NULL;
}

/* Index and length of run after run, through two readers. Texts must be used in the order of the dictionary, each at
 * least once. */
static bool get_runs(struct batch_reader *reader, const uint64_t *places, size_t texts, struct reading *readings,
                     size_t values) {
    const size_t runs = batch_get_limited(reader, 1, values);
    struct batch_reader indexes = *reader;
    for (size_t i = 0; i < runs && !reader->bad; i++)
        batch_get_varint(reader);
    size_t used = 0;
    for (size_t i = 0; i < runs && !reader->bad; i++) {
        const uint64_t index = batch_get_limited(&indexes, 0, used < texts ? used : texts - 1);
        const size_t length = batch_get_limited(reader, 1, values);
        if (indexes.bad || reader->bad)
            return false;
        used += index == used;
        values -= length;
        for (size_t left = length; left > 0; readings++)
            if (reading_has_value(readings)) {
                readings->value.bits = places[index];
                left--;
            }
    }
    return !reader->bad && values == 0 && used == texts;
}

enum fb_error batch_text_get(struct batch_reader *reader, const uint8_t *columns, struct reading *readings,
                             size_t count) {
    size_t values = 0;
    for (size_t i = 0; i < count; i++)
        values += reading_has_value(&readings[i]);
    if (values == 0)
        return FB_OK;
    const size_t texts = batch_get_limited(reader, 1, values);
    if (reader->bad || texts > reader->left) /* each has at least the byte of its length */
        return FB_INVALID;
    uint64_t *places = malloc(texts * sizeof *places);
    if (places == NULL)
        return FB_MEMORY;
    const bool good =
        get_dictionary(reader, columns, places, texts) && get_runs(reader, places, texts, readings, values);
    free(places);
    return good ? FB_OK : FB_INVALID;
}

static bool has_text(const struct reading *reading) {
    return reading->kind == READING_TEXT && reading_has_value(reading);
}

enum fb_error batch_text_expand(const uint8_t *columns, struct reading **readings, size_t count, size_t *ret_units) {
    const struct reading *from = *readings;
    size_t units = count;
    for (size_t i = 0; i < count; i++)
        if (has_text(&from[i]))
            units += ((from[i].value.bits & UINT8_MAX) + sizeof *from - 1) / sizeof *from;
    assert(units > 0); /* there is a series, and no series is empty */
    struct reading *all = calloc(units, sizeof *all), *to = all;
    if (all == NULL)
        return FB_MEMORY;
    for (size_t i = 0; i < count; i++, to += reading_units(to)) {
        *to = from[i];
        if (!has_text(to))
            continue;
        to->value.text_length = from[i].value.bits & UINT8_MAX;
        memcpy(to + 1, columns + (from[i].value.bits >> 8), (size_t)to->value.text_length);
    }
    free(*readings);
    *readings = all;
    *ret_units = units;
    return FB_OK;
}
