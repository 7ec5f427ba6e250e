/* resend.h - sent batches of a range of time that go out once more because the cloud has asked for them (backfill).
 * They come behind everything else, few at a time, and one that the peer refuses is counted and not tried again. Used
 * by cloud_peer.c. */
#ifndef FB_CORE_RESEND_H
#define FB_CORE_RESEND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/history.h"

#define RESEND_IN_FLIGHT_MAX 4

struct resend {
    bool active;
    int64_t from_ms, to_ms; /* UTC */
    struct history_place place;
    struct resend_flight {
        uint64_t number;
        struct history_place before; /* where to begin again when the session ends */
    } flights[RESEND_IN_FLIGHT_MAX]; /* flight_count of them, oldest first */
    size_t flight_count;
    uint64_t sent, refused; /* of this walk */
};

/* Begin a walk; from_ms < to_ms. */
void resend_begin(struct resend *resend, int64_t from_ms, int64_t to_ms);

/* The next batch that may go out now. FB_AGAIN: wait for an outcome. FB_NOT_FOUND: there are no more, or no walk goes
 * on. ret_batch is undefined on failure. Reads up to a few batches. */
enum fb_error resend_next(struct resend *resend, struct store *store, struct store_batch *ret_batch,
                          struct fb_cause *cause) FB_MUST_USE;
/* That batch was handed out. */
void resend_out(struct resend *resend, uint64_t number);
/* It has an outcome. False: it is none of these. */
bool resend_settle(struct resend *resend, uint64_t number, bool accepted);
/* The session has ended: what has no outcome goes again. */
void resend_rewind(struct resend *resend);

/* {"active", "from_ms", "to_ms", "sent", "refused"}. New reference. */
json_t *resend_to_json(const struct resend *resend);

#endif
