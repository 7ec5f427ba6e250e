/* resolve.h - a host name becomes addresses: c-ares on the sd-event loop, no thread. Used by gateway/amqp only.
 *
 * The system's resolv.conf and hosts file are read anew for each look-up, so a change takes effect without a restart.
 * An address literal is its own answer and asks nobody. */
#ifndef FB_AMQP_RESOLVE_H
#define FB_AMQP_RESOLVE_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "gateway/common/error.h"

/* Addresses kept of one answer; more are not worth the time an attempt may take. */
#define RESOLVE_ADDRESSES_MAX 8

struct resolve;

struct resolve_address {
    struct sockaddr_storage socket_address; /* port included */
    socklen_t length;
};

struct resolve_answer {
    struct resolve_address addresses[RESOLVE_ADDRESSES_MAX]; /* in the order of RFC 6724 */
    size_t count;                                            /* 0: cause says why */
    struct fb_cause cause;
};

/* Called once, from the loop, unless resolve_free() came first. answer is borrowed; resolve_free() may be called. */
typedef void (*resolve_done)(const struct resolve_answer *answer, void *user);

/* Begin. There is no deadline here: the caller ends what takes too long with resolve_free().
 * ret_resolve: yours until resolve_free(). FB_IO, FB_MEMORY. */
enum fb_error resolve_start(sd_event *event, const char *host, uint16_t port, resolve_done done, void *user,
                            struct resolve **ret_resolve, struct fb_cause *cause) FB_MUST_USE;
void resolve_free(struct resolve *resolve); /* NULL is fine */

/* The address in numbers ("192.0.2.7", "2001:db8::7") into ret_text; "" for a family that is neither. */
void resolve_address_text(const struct sockaddr_storage *address, char ret_text[static INET6_ADDRSTRLEN]);

#endif
