/* amqp.h - one AMQP 1.0 connection over mutual TLS: qpid-proton as engine, OpenSSL and our own non-blocking socket
 * around it, on an sd-event loop. Used by forebay-cloud (client, sends) and `forebay receive` (client or server,
 * receives).
 *
 * TLS 1.2 and 1.3 only; only the given CA is trusted; DNS and IP names are looked for in the peer's SAN, never in its
 * CN; SASL EXTERNAL. Every step has a deadline. */
#ifndef FB_AMQP_AMQP_H
#define FB_AMQP_AMQP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "gateway/common/error.h"

struct amqp;
struct amqp_trust;
struct amqp_trail;
struct validity_list;

/* How far an attempt came. Words: "dns", "tcp", "tls", "sasl", "open", "session", "attach", "credit", "up". */
enum amqp_step { AMQP_DNS, AMQP_TCP, AMQP_TLS, AMQP_SASL, AMQP_OPEN, AMQP_SESSION, AMQP_ATTACH, AMQP_CREDIT, AMQP_UP };
const char *amqp_step_word(enum amqp_step step);

#define AMQP_PINS_MAX 8
#define AMQP_CRLS_MAX 4

/* A key that makes tokens for one resource, put to the peer's node $cbs before the link and again in time. */
struct amqp_token_settings {
    const char *key_file; /* read for each token */
    bool key_is_base64;
    const char *policy; /* whose key it is; NULL or "": the device's own */
    const char *resource;
    uint32_t life_ms;
};

struct amqp_trust_settings {
    const char *ca;                  /* PEM file: the only authorities that are trusted */
    const char *certificate;         /* PEM file: this end's certificate and chain; client: NULL or "" for none */
    const char *key;                 /* its private key: PEM file or "pkcs11:..." (pkcs11_uri.h) */
    const char *key_pin_file;        /* file with the PIN of the token that holds the key; NULL or "": none */
    const char *pins[AMQP_PINS_MAX]; /* pin.h, up to the first NULL: one must be of a key in the peer's chain, its own
                                        or an issuer's; none: the chain is enough */
    const char *crls[AMQP_CRLS_MAX]; /* PEM files, up to the first NULL: lists of revoked certificates. With any, each
                                        certificate of the peer's chain needs a list of its issuer that is in force */
    bool server;                     /* the end that listens */
};

/* Certificates, loaded once and used for many connections (SSL_CTX). Blocks while files are read and a token is asked.
 * The process ignores SIGPIPE from then on, since OpenSSL writes with write(2).
 * FB_INVALID: the cause names the file and what is wrong with it (expired, key does not fit ...). */
enum fb_error amqp_trust_load(const struct amqp_trust_settings *settings, struct amqp_trust **ret_trust,
                              struct fb_cause *cause) FB_MUST_USE;
void amqp_trust_free(struct amqp_trust *trust); /* NULL is fine; connections hold their own reference */

enum amqp_direction { AMQP_SEND, AMQP_RECEIVE };
enum amqp_outcome { AMQP_ACCEPTED = 1, AMQP_REJECTED = 2, AMQP_RELEASED = 3, AMQP_MODIFIED = 4 };

/* The properties of a message that Forebay uses; strings borrowed for the call. */
struct amqp_message {
    const char
        *message_id; /* "<store id in hex>/<kind>/<number>"; for people and brokers: the batch itself says it, too */
    const char *subject;      /* "batch", "catalogue" or "event" */
    const char *group_id;     /* the gateway's name */
    const char *content_type; /* "application/vnd.forebay.batch", "...catalogue", "application/senml+json"; of events
                                 "application/json" */
    const char *content_encoding; /* "zstd", "gzip"; NULL or "": none */
    const char *correlation_id;   /* of a reply: the message id of what it answers; NULL or "": none. Sent only */
    const char *to;               /* the address, of a link without one (AMQP_SEND); NULL or "": the link's */
    const char *partition_key;    /* annotation x-opt-partition-key; NULL or "": none. Sent only */
    bool historical;              /* application property "historical" */
    const uint8_t *body;          /* one data section */
    size_t body_length;
};

struct amqp_handlers {
    /* A step has been reached (client: DNS ... credit, up): the next one, or TLS again for the next address of
     * the host, since each is tried until one has finished TLS. May be NULL. */
    void (*step)(struct amqp *amqp, enum amqp_step step, void *user);
    /* AMQP_SEND: credit or buffer room has grown; call amqp_send() while amqp_send_room() > 0. */
    void (*writable)(struct amqp *amqp, void *user);
    /* AMQP_SEND: the peer has decided about a delivery. It stays unsettled until amqp_settle(). */
    void (*outcome)(struct amqp *amqp, uint64_t delivery, enum amqp_outcome outcome, const char *reason, void *user);
    /* AMQP_RECEIVE: a whole message. Answer it now or later with amqp_answer(). */
    void (*received)(struct amqp *amqp, uint64_t delivery, const struct amqp_message *message, void *user);
    /* The side session, see amqp_side(); side_received and side_outcome must be there where it is used. It has come up,
     * or has ended for this reason and will be opened again by itself. */
    void (*side_changed)(struct amqp *amqp, bool up, const char *reason, void *user);
    /* A message from the source, of at most AMQP_SIDE_BYTES_MAX; answer it with amqp_side_answer(). */
    void (*side_received)(struct amqp *amqp, uint64_t delivery, const struct amqp_message *message, void *user);
    /* One that was refused here: no message, or too large. */
    void (*side_refused)(struct amqp *amqp, const char *reason, void *user);
    /* amqp_side_room() has become true. */
    void (*side_writable)(struct amqp *amqp, void *user);
    /* The peer has decided about a message to the target, which is settled. */
    void (*side_outcome)(struct amqp *amqp, uint64_t delivery, enum amqp_outcome outcome, const char *reason,
                         void *user);
    /* The connection has ended or was never made; step is how far it had come, reason the exact cause in one line
     * ("certificate is for gw.example, not for broker.example"). Called once; call amqp_free() here or later. */
    void (*closed)(struct amqp *amqp, enum amqp_step step, const char *reason, void *user);
};

struct amqp_settings {
    struct amqp_trust *trust;
    const char *container; /* our container id */
    const char *host;      /* client: name or address literal to resolve, connect to, and find in the certificate */
    uint16_t port;         /* client */
    enum amqp_direction direction;
    const char *address; /* client: target (send) or source (receive), "" for a target that each message names; server:
                            NULL, what the peer names is taken */
    const struct amqp_token_settings *token; /* client: in place of a certificate; NULL: none. Copied */
    bool anonymous;              /* client: without SASL EXTERNAL the certificate that TLS has seen is enough */
    const char *client_version;  /* client: property of the link, as Azure wants it; NULL: none. Static storage */
    uint32_t message_bytes_most; /* AMQP_SEND: a larger message is refused here; 0: the peer's own limit alone */
    uint32_t connect_timeout_ms; /* for each of DNS, TCP (all addresses), TLS (each address) */
    uint32_t open_timeout_ms;    /* SASL to attach */
    uint32_t credit_timeout_ms;  /* AMQP_SEND: from attach to the first credit, and for replies; 0: no limit */
    uint32_t
        idle_timeout_ms; /* silence of the peer after its OPEN, and bytes of ours that it does not acknowledge (TCP) */
    uint32_t receive_credit;              /* AMQP_RECEIVE: messages the peer may have on their way */
    size_t receive_bytes_most;            /* AMQP_RECEIVE: a larger message ends the connection */
    const struct amqp_handlers *handlers; /* borrowed */
    void *user;
};

/* Start connecting (client). Never blocks; what happens is told by the handlers.
 * settings' strings are copied. ret_amqp: yours until amqp_free(). */
enum fb_error amqp_connect(sd_event *event, const struct amqp_settings *settings, struct amqp **ret_amqp,
                           struct fb_cause *cause) FB_MUST_USE;
/* Take over an accepted TCP connection (server, AMQP_RECEIVE). descriptor: non-blocking, becomes amqp's also on
 * failure. */
enum fb_error amqp_accept(sd_event *event, int descriptor, const struct amqp_settings *settings, struct amqp **ret_amqp,
                          struct fb_cause *cause) FB_MUST_USE;
/* Ends at once; the socket closes without waiting for the peer. NULL is fine. */
void amqp_free(struct amqp *amqp);
/* Say goodbye first: close the AMQP connection, then closed() with reason "closed here" (bounded by a short deadline).
 */
void amqp_close(struct amqp *amqp);

/* AMQP_SEND: bytes of messages that may be handed over now: 0 without credit, while the send buffer is full, or while a
 * large message is on its way into it. A message that is larger than what is given is still taken. */
size_t amqp_send_room(const struct amqp *amqp);
/* AMQP_SEND: hand one message over, encoded durable, as the delivery with this number (chosen by the caller, unique
 * among the unsettled). FB_AGAIN without room. FB_LIMIT: larger than the peer's max-message-size. */
enum fb_error amqp_send(struct amqp *amqp, uint64_t delivery, const struct amqp_message *message,
                        struct fb_cause *cause) FB_MUST_USE;
/* AMQP_SEND: messages wait here since the peer has closed its session window, though the line would take more. */
bool amqp_held_back(const struct amqp *amqp);
/* AMQP_SEND: how far the messages that were handed over have come, in bytes of this connection. */
struct amqp_progress {
    uint64_t acknowledged; /* by the peer's kernel */
    uint64_t handed;       /* the same once it has acknowledged all that is here, but for what TLS adds */
    bool on_its_way;       /* some are in this kernel, or wait for it to take more */
};
/* While it is up. Asks the kernel: not for each message. */
struct amqp_progress amqp_progress(struct amqp *amqp);
/* AMQP_SEND: forget a delivery that has its outcome. */
void amqp_settle(struct amqp *amqp, uint64_t delivery);

/* AMQP_RECEIVE: decide about a message and settle it. reason: for rejected; may be NULL. */
void amqp_answer(struct amqp *amqp, uint64_t delivery, enum amqp_outcome outcome, const char *reason);

/* AMQP_SEND: the largest message that may be sent, in bytes as encoded; 0: there is no limit, or no link. */
uint64_t amqp_message_bytes_most(const struct amqp *amqp);

/* Client: beside the main link keep a receiver from source and a sender to target, in a session of their own on the
 * same connection, from AMQP_UP on. The peer has open_timeout_ms to agree, and credit_timeout_ms for each reply in
 * turn. Its failures never touch the main link: it is opened again after a random time that doubles until the peer has
 * decided about a reply. source: NULL for none any more; both are copied. */
#define AMQP_SIDE_CREDIT 8 /* messages that may wait for an answer */
#define AMQP_SIDE_BYTES_MAX (64 * 1024)
#define AMQP_SIDE_RETRY_FIRST_MS 1000
#define AMQP_SIDE_RETRY_MOST_MS 300000
enum fb_error amqp_side(struct amqp *amqp, const char *source, const char *target, struct fb_cause *cause) FB_MUST_USE;
/* Whether a message to the target would be taken now. */
bool amqp_side_room(const struct amqp *amqp);
/* As amqp_send(); delivery numbers are the side session's own. */
enum fb_error amqp_side_send(struct amqp *amqp, uint64_t delivery, const struct amqp_message *message,
                             struct fb_cause *cause) FB_MUST_USE;
/* As amqp_answer(). One of an earlier session is passed over: the peer hands it out again. */
void amqp_side_answer(struct amqp *amqp, uint64_t delivery, enum amqp_outcome outcome, const char *reason);

/* For the status: "TLSv1.3 TLS_AES_256_GCM_SHA384" once TLS is up, else "". Borrowed. */
const char *amqp_tls_version(const struct amqp *amqp);
/* The peer's address in numbers once TCP is up ("192.0.2.7"), and for a server the common name or first SAN of the
 * peer's certificate; "" before. Borrowed. */
const char *amqp_peer_address(const struct amqp *amqp);
const char *amqp_peer_name(const struct amqp *amqp);
/* What it met on its way so far (trail.h); also within closed(). Borrowed until the next call. */
const struct amqp_trail *amqp_trail(struct amqp *amqp);
/* The chain that the peer presented last, its own certificate first, also when it was refused; empty before. Borrowed.
 */
const struct validity_list *amqp_peer_chain(const struct amqp *amqp);

#endif
