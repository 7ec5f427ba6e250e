/* peers.h - what core knows of the program behind a socket: one at a time, since when, how many were dropped.
 * Whoever can open the socket may connect, but only a hello makes it the program: a stray or broken client is dropped
 * without harm to the one that works. */
#ifndef FB_CORE_PEERS_H
#define FB_CORE_PEERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "gateway/common/channel.h"
#include "gateway/common/error.h"

/* Connections that have not said hello yet, at most; a further one takes the place of the oldest, so that silent ones
 * cannot keep the program out. */
#define PEER_WAITING_MAX 4

struct peer {
    const char *program; /* "forebay-field", for the log and the status */
    sd_event *event;
    struct channel_listener *listener;
    struct channel *channel;                   /* the program; NULL while it is away */
    struct channel *waiting[PEER_WAITING_MAX]; /* hello not said; oldest first, NULL behind the last */
    const struct channel_handlers *handlers;
    void *user;
    int64_t since_ms; /* UTC: of the last change */
    /* The program has connected (reason ""), or is gone; NULL: nobody wants to know. */
    void (*changed)(const struct peer *peer, const char *reason, void *user);
    void *changed_user;
    uint64_t dropped; /* connections that core ended: bad message, full queue, too many */
};

/* Listen on the socket of a role in the run directory. peer is filled and must stay where it is. handlers and user are
 * borrowed; the role's closed() must call peer_closed(), its message() peer_is_program() or peer_hello(). */
enum fb_error peer_listen(struct peer *peer, sd_event *event, const char *program, const char *run, const char *name,
                          const struct channel_handlers *handlers, void *user, struct fb_cause *cause) FB_MUST_USE;
/* The channel has said a valid hello: it is the program now. One that was there before (its end not seen yet, or stuck)
 * is read to its end and closed. */
void peer_hello(struct peer *peer, struct channel *channel);
/* True for the channel that has said hello; what others send but hello is bad. */
bool peer_is_program(const struct peer *peer, const struct channel *channel);
/* The channel has closed: forget it, log it, count it when it was dropped. True when it was the program. */
bool peer_closed(struct peer *peer, struct channel *channel, const char *reason);
/* Tell somebody when the program comes and goes. */
void peer_on_changed(struct peer *peer, void (*changed)(const struct peer *peer, const char *reason, void *user),
                     void *user);
void peer_done(struct peer *peer);

/* {"name", "connected", "since_ms", "dropped"}. New reference. */
json_t *peer_to_json(const struct peer *peer);

#endif
