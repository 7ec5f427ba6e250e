/* batch_text.h - the texts of one series: a dictionary and runs of indexes into it, docs/batch.md "Texts". Pure.
 * Used by the batch's files alone. */
#ifndef FB_STORE_BATCH_TEXT_H
#define FB_STORE_BATCH_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/common/reading.h"
#include "store/batch_bytes.h"

/* The most bytes that a text adds to the columns beside its own: its length (1), index and length of a run (3 + 3), and
 * the two counts (3 + 3) when it is alone in its series. */
#define BATCH_TEXT_ROOM 13

/* Append the texts of a series. values: count of them, 1 or more: the unit in readings at which each stands. FB_MEMORY.
 */
enum fb_error batch_text_put(const struct reading *readings, const uint64_t *values, size_t count,
                             struct batch_writer *writer) FB_MUST_USE;

/* Take the texts of a series. readings: count of one series; those with a value get the place of their text in the
 * columns as bits, for batch_text_expand(). FB_INVALID, FB_MEMORY. */
enum fb_error batch_text_get(struct batch_reader *reader, const uint8_t *columns, struct reading *readings,
                             size_t count) FB_MUST_USE;

/* Once all readings are known: replace them (count of them, 1 or more, malloc, freed on success) by an array in which
 * the texts stand behind theirs. FB_MEMORY: nothing was done. */
enum fb_error batch_text_expand(const uint8_t *columns, struct reading **readings, size_t count,
                                size_t *ret_units) FB_MUST_USE;

#endif
