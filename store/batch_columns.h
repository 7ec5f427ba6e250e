/* batch_columns.h - the string of columns inside a batch, docs/batch.md "Columns". Pure. Used by batch.c alone. */
#ifndef FB_STORE_BATCH_COLUMNS_H
#define FB_STORE_BATCH_COLUMNS_H

#include <stddef.h>

#include "gateway/common/error.h"
#include "gateway/common/reading.h"
#include "store/batch_bytes.h"

/* Room that the columns of readings in so many units can need at most. */
size_t batch_columns_room(size_t units);

/* Append the columns to the writer. FB_LIMIT: no room. FB_MEMORY. */
enum fb_error batch_columns_encode(const struct reading *readings, size_t units,
                                   struct batch_writer *writer) FB_MUST_USE;

/* Take the columns apart; they must hold exactly count readings, at most BATCH_READINGS_MAX.
 * ret_readings: ret_units long, yours, free(); NULL when there are none; both untouched on failure.
 * FB_INVALID: the cause names the part. FB_MEMORY. */
enum fb_error batch_columns_decode(const uint8_t *bytes, size_t length, size_t count, struct reading **ret_readings,
                                   size_t *ret_units, struct fb_cause *cause) FB_MUST_USE;

#endif
