/* link_parcels.h - the parcels' way over the link: from core into the window, to the peer as messages, and the peer's
 * outcome back, until core has written that down. Says as well when a peer leaves them unanswered for too long. No
 * parcel outlives the connection it was taken for. Used by forebay-cloud's link; one thread, on its event loop; never
 * blocks. */
#ifndef FB_CLOUD_LINK_PARCELS_H
#define FB_CLOUD_LINK_PARCELS_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "gateway/amqp/amqp.h"
#include "gateway/cloud/cloud_message.h"
#include "gateway/common/error.h"
#include "gateway/common/link_settings.h"

struct link_parcels;

/* Called from the loop; decided() also from within link_parcels_take(). Only silent() may call link_parcels_stop(),
 * none link_parcels_free(). */
struct link_parcels_handlers {
    /* For core: what has become of a parcel that was taken, by the peer's word or by ours. reason: borrowed. */
    void (*decided)(enum parcel_kind kind, uint64_t number, enum parcel_outcome outcome, const char *reason,
                    void *user);
    /* For the status: the peer has decided about a batch, or about a message whose parcel is not here any more, or has
     * refused anything else. Comes before decided(). */
    void (*counted)(enum amqp_outcome outcome, void *user);
    /* The peer has left messages unanswered for ack_timeout after its last answer, or after the last bytes of what was
     * in flight then reached it: it is to be given up. reason: borrowed. */
    void (*silent)(const char *reason, void *user);
};

/* handlers and user: borrowed. ret_parcels: yours until link_parcels_free(). FB_MEMORY. */
enum fb_error link_parcels_new(sd_event *event, const struct link_parcels_handlers *handlers, void *user,
                               struct link_parcels **ret_parcels, struct fb_cause *cause) FB_MUST_USE;
void link_parcels_free(struct link_parcels *parcels); /* NULL is fine */

/* While stopped: from now on with these settings, borrowed until the next ones. FB_MEMORY: there is no window, and
 * nothing will be asked for. */
enum fb_error link_parcels_configure(struct link_parcels *parcels, const struct link_settings *settings,
                                     struct fb_cause *cause) FB_MUST_USE;

/* The link is up. amqp, address (the AMQP address in use, which may be a template): borrowed until
 * link_parcels_stop(). */
void link_parcels_start(struct link_parcels *parcels, struct amqp *amqp, const char *address);
/* It is up no more: what is in flight is forgotten without a word, the grant too. Also when nothing was started. */
void link_parcels_stop(struct link_parcels *parcels);
/* Core has gone, and will hand out anew what it knows no outcome of: the same, but the link stays up. */
void link_parcels_core_gone(struct link_parcels *parcels);

/* While started: the bytes that a parcel may have for this peer; 0 without a limit. */
uint32_t link_parcels_bytes_most(const struct link_parcels *parcels);
/* True when core should be told this grant now, which then counts as given; see window_grant(). Worth asking after each
 * of the calls below. */
bool link_parcels_grant(struct link_parcels *parcels, uint32_t *ret_messages, uint32_t *ret_bytes);
/* While started: core has handed this parcel out (PARCEL, borrowed). FB_FULL: it does not keep to its grant. */
enum fb_error link_parcels_take(struct link_parcels *parcels, const struct cloud_message *parcel,
                                struct fb_cause *cause) FB_MUST_USE;
/* The outcome is on core's disk: forget the parcel. False when there is nothing to forget, since it is not here any
 * more, or in flight anew. */
bool link_parcels_settled(struct link_parcels *parcels, enum parcel_kind kind, uint64_t number);

/* While started: what amqp reports of the connection, see struct amqp_handlers. */
void link_parcels_writable(struct link_parcels *parcels);
void link_parcels_outcome(struct link_parcels *parcels, uint64_t delivery, enum amqp_outcome outcome,
                          const char *reason);

/* How many are here, those too that wait for core's word. ret_oldest_ms: monotonic, when the oldest that has no outcome
 * came; 0: there is none. */
uint32_t link_parcels_in_flight(const struct link_parcels *parcels, int64_t *ret_oldest_ms);

#endif
