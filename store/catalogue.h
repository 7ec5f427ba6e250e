/* catalogue.h - the message that gives the tags' numbers their names; docs/batch.md defines it. Pure.
 * Sent before the first batch that was made under it, in each session of the link. */
#ifndef FB_STORE_CATALOGUE_H
#define FB_STORE_CATALOGUE_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/common/plant.h"
#include "store/batch.h"

#define CATALOGUE_BYTES_MAX (128 * 1024) /* as sealed: CBOR in zstd */
#define CATALOGUE_PLAIN_BYTES_MAX (2 * 1024 * 1024)

struct catalogue_tag {
    uint32_t number;
    char instrument[PLANT_NAME_MAX];
    char name[PLANT_NAME_MAX];
    char unit[PLANT_UNIT_MAX];
    enum reading_kind kind;
};

struct catalogue {
    char gateway[BATCH_GATEWAY_MAX];
    uint8_t store_id[BATCH_STORE_ID_BYTES];
    uint64_t revision;          /* 1, 2, 3 ... within the store */
    int64_t made_ms;            /* UTC */
    struct catalogue_tag *tags; /* tag_count of them, ordered by number, malloc */
    size_t tag_count;
};

void catalogue_done(struct catalogue *catalogue);

/* ret_bytes: CATALOGUE_BYTES_MAX bytes of room. */
enum fb_error catalogue_encode(const struct catalogue *catalogue, uint8_t *ret_bytes, size_t *ret_length,
                               struct fb_cause *cause) FB_MUST_USE;
/* ret_catalogue: yours on success, end it with catalogue_done(); untouched otherwise. */
enum fb_error catalogue_decode(const uint8_t *bytes, size_t length, struct catalogue *ret_catalogue,
                               struct fb_cause *cause) FB_MUST_USE;

/* True when both name the same tags in the same way, whatever their revision and time. */
bool catalogue_same_tags(const struct catalogue *a, const struct catalogue *b);

#endif
