/* channel.h - one end of a SEQPACKET socket between two of Forebay's programs, on an sd-event loop.
 *
 * Sending never blocks: what the socket does not take waits in a bounded queue. A peer that lets the queue overflow, or
 * that sends a bad message, is dropped and counted, never waited for; every exchange of protocol.h starts anew when the
 * peer connects again, so dropping it loses nothing. */
#ifndef FB_COMMON_CHANNEL_H
#define FB_COMMON_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "gateway/common/error.h"
#include "gateway/common/message.h"

/* What waits for a slow peer, at most. */
#define CHANNEL_QUEUE_BYTES_MAX (4u * 1024 * 1024)

struct channel;

struct channel_handlers {
    /* One message; reader borrows it for the call. Return false when it is bad: the channel then closes. The handler
     * may close the channel itself with channel_free() and must return true then. */
    bool (*message)(struct channel *channel, struct message_reader *reader, void *user);
    /* The channel has closed by itself: the peer left, a message was bad, the queue overflowed. Called once, from the
     * loop; call channel_free() here or later. reason: one line, borrowed. */
    void (*closed)(struct channel *channel, const char *reason, void *user);
    /* The queue has become empty after it was not. May be NULL. */
    void (*drained)(struct channel *channel, void *user);
};

/* Connect to a listening socket. FB_NOT_FOUND or FB_CLOSED when nobody listens (yet).
 * ret_channel: yours until channel_free(). handlers and user are borrowed until then. */
enum fb_error channel_connect(sd_event *event, const char *path, const struct channel_handlers *handlers, void *user,
                              struct channel **ret_channel, struct fb_cause *cause) FB_MUST_USE;

/* Make a channel of a connected SEQPACKET descriptor, which then belongs to it (also on failure). */
enum fb_error channel_adopt(sd_event *event, int descriptor, const struct channel_handlers *handlers, void *user,
                            struct channel **ret_channel, struct fb_cause *cause) FB_MUST_USE;

void channel_free(struct channel *channel); /* NULL is fine */

/* Handle now all messages that have arrived, as before the channel is given up for a newer one. The channel may be
 * freed or have closed afterwards, as after any handler. */
void channel_drain(struct channel *channel);

/* Send a finished message (message_finish() is called here). The bytes are copied. On overflow, or when the writer
 * overflowed, the channel closes itself from the loop; the caller need not look. */
void channel_send(struct channel *channel, struct message_writer *writer);

/* The whole message in one go: type and payload. */
void channel_send_bytes(struct channel *channel, uint8_t type, const void *payload, size_t length);
/* The same for text such as JSON. */
void channel_send_text(struct channel *channel, uint8_t type, const char *text);

/* Bytes that wait in the queue, for callers that hand out only what the peer can take. */
size_t channel_queued_bytes(const struct channel *channel);

struct channel_listener;

struct channel_listener_settings {
    const char *path; /* a stale socket there is replaced; at most 107 bytes */
    unsigned mode;    /* permissions of the socket file */
    int type;         /* SOCK_SEQPACKET or SOCK_STREAM */
    /* A peer has connected; descriptor (non-blocking) is the callee's. */
    void (*accepted)(int descriptor, void *user);
    void *user;
};

enum fb_error channel_listen(sd_event *event, const struct channel_listener_settings *settings,
                             struct channel_listener **ret_listener, struct fb_cause *cause) FB_MUST_USE;
/* Closes and removes the socket file. NULL is fine. */
void channel_listener_free(struct channel_listener *listener);

#endif
