/* field.h - a simulated field and store: makes one gateway's catalogue and its batches with the real encoders. Used by
 * fleet_cores. Every failure ends the program. */
#ifndef FB_TESTS_FIELD_H
#define FB_TESTS_FIELD_H

#include <stdint.h>

#include "store/batch.h"
#include "store/catalogue.h"

#define FIELD_TAGS_MAX 1000
#define FIELD_ROUNDS_MAX 60

struct field {
    char gateway[BATCH_GATEWAY_MAX];
    uint8_t store_id[BATCH_STORE_ID_BYTES];
    uint8_t previous[BATCH_HASH_BYTES];
    uint8_t catalogue[BATCH_HASH_BYTES];
    uint64_t number; /* of the last batch */
    uint32_t tags;
    uint32_t noise; /* state of the generator */
};

/* ret_bytes: CATALOGUE_BYTES_MAX of room; gets the catalogue that all batches are made under, revision 1.
 * tags: 1 .. FIELD_TAGS_MAX. */
void field_open(struct field *field, const char *gateway, uint32_t tags, uint8_t *ret_bytes, size_t *ret_length);

/* The next batch: each tag's readings of the last rounds (1 .. FIELD_ROUNDS_MAX) seconds up to now_ms (UTC): a slow
 * wave with noise, as 32-bit reals. ret_bytes: BATCH_BYTES_MAX of room. Returns its length. */
size_t field_seal(struct field *field, int64_t now_ms, uint32_t rounds, uint8_t *ret_bytes);

#endif
