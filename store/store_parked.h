/* store_parked.h - batches that the peer will not take: what becomes of a refused one, and those that are parked. Used
 * by forebay-core only.
 *
 * A parked batch stays where it is, counts as unsent, and is not handed out until it is released. Like any unsent batch
 * it goes only when the quota needs its place, and then as a loss record. */
#ifndef FB_STORE_STORE_PARKED_H
#define FB_STORE_STORE_PARKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "store/store.h"

/* Rejections that count, after which a batch is parked. */
#define STORE_REJECTIONS_MOST 5

struct store_refusal {
    const char *reason; /* STORE_REASON_MAX bytes of it are kept */
    bool rejection;     /* counts against the batch itself */
    int64_t now_ms;     /* UTC */
};

struct store_refused {
    uint32_t attempts;   /* how often it was not accepted, so far */
    uint32_t rejections; /* of those, how many counted */
    bool parked;
};

/* The peer did not accept it: count that, keep the reason, park it when it is the last rejection. (fsync)
 * ret_refused: all 0 for a batch that is not unsent, and on failure. */
enum fb_error store_mark_refused(struct store *store, uint64_t number, const struct store_refusal *refusal,
                                 struct store_refused *ret_refused, struct fb_cause *cause) FB_MUST_USE;

/* It has bytes bytes, more than the peer takes. (fsync) */
enum fb_error store_park_too_large(struct store *store, uint64_t number, size_t bytes, const char *reason,
                                   int64_t now_ms, struct fb_cause *cause) FB_MUST_USE;

struct store_parked {
    uint64_t number;
    uint64_t readings;
    int64_t first_ms, last_ms; /* UTC, of its readings */
    int64_t since_ms;          /* UTC */
    uint32_t rejections;
    uint64_t bytes; /* its size when that is why, else 0 */
    char reason[STORE_REASON_MAX];
};

/* The next parked batch behind a number. FB_NOT_FOUND: no more. */
enum fb_error store_next_parked(struct store *store, uint64_t after, struct store_parked *ret_parked,
                                struct fb_cause *cause) FB_MUST_USE;

/* Hand them out again, their rejections forgotten: those in [first, last], or those that were too large and have no
 * more than bytes_most bytes. (fsync when there are any) ret_released: how many. */
enum fb_error store_release(struct store *store, uint64_t first, uint64_t last, size_t *ret_released,
                            struct fb_cause *cause) FB_MUST_USE;
enum fb_error store_release_fitting(struct store *store, size_t bytes_most, size_t *ret_released,
                                    struct fb_cause *cause) FB_MUST_USE;

#endif
