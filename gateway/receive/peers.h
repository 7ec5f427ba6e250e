/* peers.h - the connections messages come in by: gateways that connect to us, or the one we keep to a broker, with
 * back-off. Used by `forebay receive`; on an sd-event loop. */
#ifndef FB_RECEIVE_PEERS_H
#define FB_RECEIVE_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "gateway/amqp/amqp.h"
#include "gateway/common/error.h"
#include "gateway/receive/endpoint.h"

/* At once; more wait in the kernel until one leaves. */
#define PEERS_MAX 64
/* Messages a peer may have on their way. Each is dealt with as it comes, so this bounds no memory of ours; it covers
 * the round trip and one commit. */
#define PEERS_CREDIT 256
/* Above a batch, so that a foreign message of middling size is refused with a reason instead of ending the connection.
 */
#define PEERS_MESSAGE_BYTES_MAX (1024u * 1024)

struct peers;

struct peers_settings {
    bool listen; /* else connect */
    const struct endpoint *endpoint;
    struct amqp_trust *trust;
    /* A whole message; answer it with amqp_answer(). */
    void (*received)(struct amqp *amqp, uint64_t delivery, const struct amqp_message *message, void *user);
    /* A peer is ready to send. */
    void (*ready)(void *user);
    /* This peer is gone: its deliveries cannot be answered any more. */
    void (*left)(struct amqp *amqp, void *user);
    /* Something a person may want to know: an event's id and one line. */
    void (*notice)(const char *event, const char *text, void *user);
    void *user;
};

/* Settings and what they point to are borrowed until peers_free(). ret_peers: yours.
 * FB_INVALID: no such address here. FB_IO: it cannot be listened on. */
enum fb_error peers_start(sd_event *event, const struct peers_settings *settings, struct peers **ret_peers,
                          struct fb_cause *cause) FB_MUST_USE;
/* Take no new ones and say goodbye to those that are there; left() is called for each. */
void peers_end(struct peers *peers);
/* How many are there, connecting ones included. */
size_t peers_count(const struct peers *peers);
void peers_free(struct peers *peers); /* NULL is fine */

#endif
