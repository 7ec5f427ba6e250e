/* parcel.h - a parcel as an AMQP message, and the peer's verdict on it in words. Used by forebay-cloud's link. */
#ifndef FB_CLOUD_PARCEL_H
#define FB_CLOUD_PARCEL_H

#include <stdint.h>

#include "gateway/amqp/amqp.h"
#include "gateway/cloud/renderer.h"
#include "gateway/cloud/window.h"
#include "gateway/common/error.h"
#include "gateway/common/link_settings.h"

/* Hand it over as the message that docs/link.md describes. address: the one in use, which may be a
 * template. bytes: the parcel's length of them, borrowed.
 * Errors as amqp_send(). */
enum fb_error parcel_send(struct amqp *amqp, const struct link_settings *settings, const char *address,
                          const struct window_parcel *parcel, const uint8_t *bytes, struct fb_cause *cause) FB_MUST_USE;
/* The same for one of the JSON messages of a batch. */
enum fb_error parcel_send_rendered(struct amqp *amqp, const struct link_settings *settings, const char *address,
                                   const struct window_parcel *parcel, const struct renderer_body *body,
                                   struct fb_cause *cause) FB_MUST_USE;
/* The delivery's number of that message, and back to the parcel's own. */
uint64_t parcel_delivery(const struct window_parcel *parcel, unsigned number);
uint64_t parcel_of_delivery(uint64_t delivery);

/* The bytes that a parcel may have when a message may have message_bytes, which count sections beside the body; 0 for
 * no limit, as message_bytes. */
uint32_t parcel_bytes_most(uint64_t message_bytes);

/* The peer's reason, or, when it gave none with a refusal, what RabbitMQ means by that (written to ret_text).
 * address: the AMQP address it was sent to. */
const char *parcel_reason(enum amqp_outcome outcome, const char *reason, const char *address,
                          char ret_text[static FB_CAUSE_MAX]);

#endif
