/* endpoint.h - where `forebay receive` listens, or whom it asks, taken from its arguments. Pure. */
#ifndef FB_RECEIVE_ENDPOINT_H
#define FB_RECEIVE_ENDPOINT_H

#include <stdint.h>

#include "gateway/common/error.h"

#define ENDPOINT_TEXT_MAX 256 /* bytes with NUL */
#define ENDPOINT_PORT 5671    /* AMQPS, IANA */

struct endpoint {
    char host[ENDPOINT_TEXT_MAX];    /* a name or an address literal, without brackets */
    char address[ENDPOINT_TEXT_MAX]; /* the queue's AMQP address with its leading "/"; "" when listening */
    uint16_t port;
};

/* "127.0.0.1:5671", "[::1]:5671": an address literal and a port; 0 lets the kernel choose. FB_INVALID. */
enum fb_error endpoint_parse_listen(const char *text, struct endpoint *ret_endpoint,
                                    struct fb_cause *cause) FB_MUST_USE;

/* "amqps://HOST[:PORT]/ADDRESS", such as "amqps://broker.example/queues/readings". FB_INVALID. */
enum fb_error endpoint_parse_from(const char *text, struct endpoint *ret_endpoint, struct fb_cause *cause) FB_MUST_USE;

#endif
