/* link_trust.h - the trust of the link, from its settings, and a connection with it. Used by forebay-cloud and `forebay
 * doctor`. */
#ifndef FB_AMQP_LINK_TRUST_H
#define FB_AMQP_LINK_TRUST_H

#include "gateway/amqp/amqp.h"
#include "gateway/amqp/link_connection.h"
#include "gateway/common/link_settings.h"

/* As amqp_trust_load(). */
enum fb_error link_trust_load(const struct link_settings *settings, struct amqp_trust **ret_trust,
                              struct fb_cause *cause) FB_MUST_USE;

/* As link_connection_make(), with the trust: read anew each time, so that renewed certificates count at once. The trust
 * is yours until amqp_trust_free(); NULL on failure. */
enum fb_error link_trust_connection(const struct link_settings *settings, const struct link_endpoint *endpoint,
                                    struct link_connection *ret_connection, struct fb_cause *cause) FB_MUST_USE;

#endif
