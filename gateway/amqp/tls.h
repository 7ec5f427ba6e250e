/* tls.h - TLS 1.2 and 1.3 on a non-blocking socket, with the exact reason of every refusal. Used by gateway/amqp only.
 *
 * Both sides show certificates. Only the authorities of the trust count; a client finds its host among the DNS or IP
 * names of the peer's SAN, never in the common name (RFC 6125, 6.4.4; RFC 9525). AEAD cipher suites only. */
#ifndef FB_AMQP_TLS_H
#define FB_AMQP_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "gateway/amqp/amqp.h"
#include "gateway/amqp/validity.h"
#include "gateway/common/error.h"
#include "gateway/common/pin.h"

struct amqp_trust {
    SSL_CTX *context;
    char *authorities; /* path of the CA file, for refusals */
    uint8_t pins[AMQP_PINS_MAX][PIN_BYTES];
    size_t pin_count;
    bool server;
    unsigned holders; /* the caller and every session; the last one frees */
};

struct tls;

enum tls_result {
    TLS_DONE,
    TLS_WANTS_READ,  /* nothing done: call again when the socket is readable */
    TLS_WANTS_WRITE, /* nothing done: call again when the socket is writable */
    TLS_CLOSED,      /* the peer has closed */
    TLS_FAILED,      /* cause says why; the session is of no more use */
};

/* A session over a connected socket, which stays the caller's. host: client only, what the certificate must be for.
 * ret_tls: yours until tls_free(). */
enum fb_error tls_open(struct amqp_trust *trust, int descriptor, const char *host, struct tls **ret_tls,
                       struct fb_cause *cause) FB_MUST_USE;
/* Tells the peer that this is the end if that needs no waiting. NULL is fine. */
void tls_free(struct tls *tls);

/* None of these blocks. tls_write() may take less than length; after TLS_WANTS_... call it with at least the same bytes
 * again. */
enum tls_result tls_handshake(struct tls *tls, struct fb_cause *cause);
enum tls_result tls_read(struct tls *tls, void *ret_data, size_t size, size_t *ret_length, struct fb_cause *cause);
enum tls_result tls_write(struct tls *tls, const void *data, size_t length, size_t *ret_length, struct fb_cause *cause);

/* The peer has ended the session with a fatal alert. Under TLS 1.3 a client learns only so, and only after its own
 * handshake has succeeded, that its certificate was refused. */
bool tls_alerted(const struct tls *tls);

/* "TLSv1.3 TLS_AES_256_GCM_SHA384" and the peer certificate's name; after the handshake. */
void tls_version(const struct tls *tls, char *ret_text, size_t size);
void tls_peer_name(const struct tls *tls, char *ret_text, size_t size);

/* Add what went over the socket since the last call. */
void tls_take_bytes(struct tls *tls, uint64_t *bytes_in, uint64_t *bytes_out);
/* The chain that the peer presented, empty before; borrowed. Also after a handshake that it made fail. */
const struct validity_list *tls_peer_chain(const struct tls *tls);

#endif
