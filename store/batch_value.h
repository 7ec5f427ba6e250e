/* batch_value.h - values as the whole numbers of docs/batch.md "Encodings", and back, bit for bit. Pure.
 * Used by the batch's files alone. */
#ifndef FB_STORE_BATCH_VALUE_H
#define FB_STORE_BATCH_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/reading.h"

#define BATCH_DECIMAL_REAL64 16 /* + exponent */
#define BATCH_DECIMAL_REAL32 32 /* + exponent */
#define BATCH_EXPONENT_MAX 12

/* False for bytes that are no encoding; otherwise the kind of its readings. */
bool batch_value_kind(uint8_t encoding, enum reading_kind *ret_kind);

/* Turn the values of one series in place from struct reading's bits into numbers; the encoding is returned. Those of
 * texts stay as they are. */
uint8_t batch_value_fold(enum reading_kind kind, uint64_t *values, size_t count);

/* One number back into struct reading's bits. False when the encoding cannot have that number. */
bool batch_value_unfold(uint8_t encoding, uint64_t number, uint64_t *ret_bits);

#endif
