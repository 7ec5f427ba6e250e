/* link_connection.h - how the link's settings make a connection to one of its endpoints, after the cloud's profile.
 * Used by forebay-cloud and `forebay doctor`. Pure. */
#ifndef FB_AMQP_LINK_CONNECTION_H
#define FB_AMQP_LINK_CONNECTION_H

#include "gateway/amqp/amqp.h"
#include "gateway/common/link_settings.h"

struct link_connection {
    struct amqp_settings settings; /* without trust, handlers and user; its texts are the settings', the endpoint's and
                                      the next ones, all borrowed */
    struct amqp_token_settings token;
    char address[LINK_TEXT_MAX];
    char resource[2 * LINK_TEXT_MAX + 8]; /* what a token is for: scheme, host, address */
};

/* FB_LIMIT: the address is too long once the gateway's name stands in it. */
enum fb_error link_connection_make(const struct link_settings *settings, const struct link_endpoint *endpoint,
                                   struct link_connection *ret_connection, struct fb_cause *cause) FB_MUST_USE;

#endif
