/* batch.h - the batch: an immutable, numbered set of readings as docs/batch.md defines it byte for byte. Pure: encodes
 * and decodes memory. Used by the store, by `forebay receive`, and by tests. */
#ifndef FB_STORE_BATCH_H
#define FB_STORE_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/common/clock.h"
#include "gateway/common/error.h"
#include "gateway/common/reading.h"

#define BATCH_BYTES_MAX (128 * 1024)            /* sealed, as stored and forwarded */
#define BATCH_PLAIN_BYTES_MAX (2 * 1024 * 1024) /* after decompression */
#define BATCH_READINGS_MAX 65536
#define BATCH_LOSSES_MAX 256
#define BATCH_CORRECTIONS_MAX 16
#define BATCH_STORE_ID_BYTES 16
#define BATCH_HASH_BYTES 32
#define BATCH_GATEWAY_MAX 64 /* bytes with NUL */

/* Why readings are missing; numbers are part of docs/batch.md. */
enum batch_loss_reason {
    BATCH_LOSS_QUOTA = 1,      /* unsent readings gave way to newer ones */
    BATCH_LOSS_STORE_FULL = 2, /* the disk took no more */
    BATCH_LOSS_CORE_AWAY = 3,  /* forebay-field's ring overflowed while core was away */
    BATCH_LOSS_DAMAGED = 4,    /* the stored batch could no longer be read */
    BATCH_LOSS_THINNED = 5,    /* unsent readings gave way, but for first, last, least and greatest of each minute;
                                  the batches named are still there under their numbers, with the rest */
};

/* Readings that are known to be missing. */
struct batch_loss {
    enum batch_loss_reason reason;
    uint64_t readings; /* how many; 0: not known */
    int64_t from_ms;   /* first and last time that is affected, UTC */
    int64_t to_ms;
    uint64_t first_batch; /* the batches that are gone, 0 and 0 when the readings never were in one */
    uint64_t last_batch;
};

/* Readings whose times were taken from a clock that was not set, and by how much they are wrong. */
struct batch_correction {
    uint64_t first_batch; /* the readings stand in these batches; the last may be the one that carries this record, if
                             they are its own store's */
    uint64_t last_batch;
    int64_t from_ms; /* their times as they stand there */
    int64_t to_ms;
    int64_t right_ms; /* what from_ms is in truth; the times up to to_ms are wrong by the same difference */
    /* Whose batches they are. All 0, for encoding: those of the store whose batch carries this record. */
    uint8_t store_id[BATCH_STORE_ID_BYTES];
};

struct batch_info {
    char gateway[BATCH_GATEWAY_MAX];
    uint8_t store_id[BATCH_STORE_ID_BYTES];     /* made when the store was created */
    uint64_t number;                            /* 1, 2, 3 ... without a gap within the store */
    uint8_t previous[BATCH_HASH_BYTES];         /* SHA-256 of the batch before it, as sealed; all 0 for number 1 */
    uint8_t catalogue[BATCH_HASH_BYTES];        /* SHA-256 of the catalogue message it was made under */
    int64_t sealed_ms;                          /* UTC */
    enum clock_state clock;                     /* when it was sealed */
    struct batch_loss losses[BATCH_LOSSES_MAX]; /* loss_count of them, since the batch before */
    size_t loss_count;
    struct batch_correction corrections[BATCH_CORRECTIONS_MAX]; /* correction_count of them */
    size_t correction_count;
};

/* Seal readings (valid, in the order of arrival; any tags, kinds, qualities) into ret_bytes.
 * units: of the array, see reading.h; BATCH_READINGS_MAX counts readings.
 * ret_bytes: BATCH_BYTES_MAX bytes of room. FB_LIMIT: more than one batch holds; seal fewer. */
enum fb_error batch_encode(const struct batch_info *info, const struct reading *readings, size_t units,
                           uint8_t *ret_bytes, size_t *ret_length, struct fb_cause *cause) FB_MUST_USE;

/* Take a batch apart. Every limit is checked before anything is allocated. The readings come ordered by tag, then as
 * they were in time; values bit for bit.
 * ret_info: filled. ret_readings: yours, free(); NULL when there are none. ret_units: of the array, which may be more
 * than the readings in it, see readings_count(). On failure all are untouched. */
enum fb_error batch_decode(const uint8_t *bytes, size_t length, struct batch_info *ret_info,
                           struct reading **ret_readings, size_t *ret_units, struct fb_cause *cause) FB_MUST_USE;

/* SHA-256 of the bytes as sealed: what the next batch carries as previous. */
void batch_hash(const uint8_t *bytes, size_t length, uint8_t ret_hash[static BATCH_HASH_BYTES]);

#endif
