/* connection.h - the inside of struct amqp, shared by the files of gateway/amqp only:
 *
 *     amqp.c       life and death, steps, deadlines        connect.c   DNS, TCP, TLS
 *     pump.c       bytes between TLS and proton            events.c    what proton reports
 *     delivery.c   messages and what becomes of them   side.c      commands and replies in a session of their own
 *     cbs.c        tokens
 *
 * Everything that the loop calls is wrapped in connection_enter() and connection_leave(). The user's handlers run in
 * between and may call anything, amqp_free() included; whoever has called one must look at connection_over() before
 * going on. */
#ifndef FB_AMQP_CONNECTION_H
#define FB_AMQP_CONNECTION_H

#include <netinet/in.h>
#include <proton/connection_driver.h>

#include "gateway/amqp/amqp.h"
#include "gateway/amqp/resolve.h"
#include "gateway/amqp/sasl.h"
#include "gateway/amqp/tls.h"
#include "gateway/amqp/trail.h"
#include "gateway/common/backoff.h"

#define CONNECTION_NAME_MAX 256    /* bytes with NUL */
#define CONNECTION_VERSION_MAX 64  /* bytes with NUL */
#define CONNECTION_GOODBYE_MS 1000 /* for telling the peer why, once the end is certain */
#define CONNECTION_FRAME_BYTES_MAX 65536
/* Encoded messages that wait in proton, at most, before amqp_send_room() is 0; one message more may be on top. */
#define CONNECTION_SEND_BYTES_MAX (512u * 1024)

struct cbs;

/* The session for commands and replies, see side.c. */
struct connection_side {
    char *source, *target;
    sd_event_source *timer;
    struct backoff backoff;
    pn_session_t *session; /* NULL while it waits */
    pn_link_t *receiver, *sender;
    bool receiver_up, sender_up; /* the peer has agreed */
    bool blocked;                /* a reply waits for credit */
    bool oversized;              /* of the message that is coming in, the rest is thrown away */
    uint64_t delivery;           /* number of the last message */
    uint32_t unanswered;         /* messages handed out and not yet answered */
    struct amqp_progress seen;   /* when the time limit was set, or has been put off */
    uint64_t counts_to;          /* of acknowledged bytes: the end of what was ahead when it was set */
};

struct amqp {
    sd_event *event;
    struct amqp_settings settings; /* its strings are the next three */
    char *container;
    char *host;
    char *address;
    bool server;

    enum amqp_step step;
    unsigned depth; /* calls from the loop under way */
    bool started;   /* the first step has been told */
    bool closing;   /* goodbye has begun; the cause is settled */
    bool ended;     /* nothing goes in or out any more */
    bool told;      /* closed() has been called, or must not be */
    bool freed;     /* amqp_free() has been called from within a handler */
    struct fb_cause reason;

    sd_event_source *wake;     /* once, from the loop: start, or take up what calls from outside have left to do */
    sd_event_source *deadline; /* of the present step */
    sd_event_source *tick;     /* proton's heartbeats and idle time-out */
    sd_event_source *io;

    struct resolve *resolve;
    struct resolve_answer addresses;
    size_t address_next; /* the one in use is before it */
    struct amqp_trail trail;
    int64_t tcp_deadline_ms; /* monotonic */
    int descriptor;
    struct tls *tls;
    char tls_version[CONNECTION_VERSION_MAX];
    char peer_address[INET6_ADDRSTRLEN];
    char peer_name[CONNECTION_NAME_MAX];
    struct validity_list peer_chain;

    bool driver_ready;
    struct sasl_client sasl;        /* client */
    struct sasl_server sasl_server; /* server */
    pn_connection_driver_t driver;
    bool peer_open;              /* the peer has sent its OPEN */
    pn_link_t *link;             /* the one link; NULL before and after */
    bool corked;                 /* the socket holds small segments back, see pump.c */
    bool write_blocked;          /* TLS waits for the socket to take more */
    size_t write_left;           /* of what proton has made, for the socket */
    bool write_broken;           /* the peer takes nothing more; it may still have said why */
    struct fb_cause write_cause; /* what broke it, if nothing better is read */
    bool starved;                /* amqp_send_room() has been 0 since writable() was last told */
    char *outgoing;              /* sender: the encoded message that proton has not got whole; NULL: none */
    size_t outgoing_length, outgoing_sent;
    pn_delivery_t *outgoing_delivery;
    uint64_t delivery;            /* receiver: number of the last one */
    uint32_t unanswered;          /* receiver: messages handed out and not yet answered */
    struct connection_side *side; /* NULL: none is wanted */
    unsigned side_ends;           /* that the peer owes: sessions of side.c that have ended here only */
    struct cbs *cbs;              /* NULL: no token is wanted */
};

void connection_enter(struct amqp *amqp);
void connection_leave(struct amqp *amqp);
/* True when whoever runs inside must return: ended, or freed by a handler. */
bool connection_over(const struct amqp *amqp);

/* Give the socket and what is on it back. */
void connection_drop(struct amqp *amqp);
/* Reach a step, and tell if it is a later one. */
void connection_step(struct amqp *amqp, enum amqp_step step);
/* Note why the connection will end; the first reason stays. */
void connection_reason(struct amqp *amqp, const char *format, ...) FB_PRINTF(2, 3);
/* End now with this reason, or the one noted before; closed() follows from connection_leave(). */
void connection_end(struct amqp *amqp, const char *format, ...) FB_PRINTF(2, 3);
/* A time limit for what comes next, in place of the one before; 0: none. */
void connection_deadline(struct amqp *amqp, uint32_t timeout_ms);
/* Have connection_woken() called from the loop. */
void connection_wake(struct amqp *amqp);

/* connect.c: begin as a client; the step's deadline has passed; the socket may be ready. */
void connect_start(struct amqp *amqp);
void connect_late(struct amqp *amqp);
void connect_ready(struct amqp *amqp);
/* TLS over amqp->descriptor, which is connected. */
void connect_secure(struct amqp *amqp);

/* pump.c: start proton after TLS; move what can be moved without waiting, and set the watches for the rest. */
void pump_start(struct amqp *amqp);
void pump_run(struct amqp *amqp, uint32_t io_events);
/* Say goodbye: close the AMQP connection, with a condition if name is not NULL, and end within
 * CONNECTION_GOODBYE_MS. */
void pump_goodbye(struct amqp *amqp, const char *name, const char *description);

/* events.c: hand one event of proton to its handler. */
void events_handle(struct amqp *amqp, pn_event_t *event);
/* Client: ask for the session and the link that all is about. */
void events_open_link(struct amqp *amqp);

/* cbs.c: copy what tokens are made of (ret_cbs is set on failure, too); the connection is over; free (NULL is fine). */
enum fb_error cbs_new(const struct amqp_token_settings *settings, struct cbs **ret_cbs,
                      struct fb_cause *cause) FB_MUST_USE;
void cbs_end(struct cbs *cbs);
void cbs_free(struct cbs *cbs);
/* Begin to put a token, which leads to events_open_link(). */
void cbs_open(struct amqp *amqp);
/* Events of its session, which is nobody else's: a link has been opened or has got credit; something was closed. */
bool cbs_owns(const struct amqp *amqp, const pn_session_t *session);
void cbs_link_ready(struct amqp *amqp);
void cbs_refused(struct amqp *amqp, const char *condition);
void cbs_delivery(struct amqp *amqp, pn_delivery_t *delivery);

/* delivery.c: news about a delivery; more of the outgoing message for proton; credit for the peer; writable(). */
void delivery_changed(struct amqp *amqp, pn_delivery_t *delivery);
void delivery_feed(struct amqp *amqp);
void delivery_grant(struct amqp *amqp);
void delivery_room(struct amqp *amqp);
/* For side.c, too: the number of a delivery; its outcome, once, true when there is one now; ours for the peer. */
#define DELIVERY_REASON_MAX 400
uint64_t delivery_number(pn_delivery_t *delivery);
bool delivery_decided(pn_delivery_t *delivery, enum amqp_outcome *ret_outcome,
                      char ret_reason[static DELIVERY_REASON_MAX]);
void delivery_answer(pn_delivery_t *delivery, enum amqp_outcome outcome, const char *reason);
void delivery_refuse(pn_delivery_t *delivery, const char *name, const char *description);

/* side.c: open the side session if one is wanted and the connection is up; what proton reports of it; credit; the end.
 */
void side_open(struct amqp *amqp);
bool side_has_session(const struct amqp *amqp, const pn_session_t *session);
void side_link_open(struct amqp *amqp, pn_link_t *link);
void side_link_flow(struct amqp *amqp);
void side_ended(struct amqp *amqp, const char *address, const char *condition);
/* The peer has ended a session that had ended here before. */
void side_end_answered(struct amqp *amqp);
void side_delivery(struct amqp *amqp, pn_delivery_t *delivery);
void side_grant(struct amqp *amqp);
void side_free(struct amqp *amqp);

#endif
