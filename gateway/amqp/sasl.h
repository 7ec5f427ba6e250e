/* sasl.h - signing in, for proton: the server's side of SASL EXTERNAL (RFC 4422, appendix A), since proton's own needs
 * proton's TLS; and the client's side of EXTERNAL and ANONYMOUS, since proton's own does not tell what the peer offers.
 * Used by gateway/amqp only. Both are called before the first byte. */
#ifndef FB_AMQP_SASL_H
#define FB_AMQP_SASL_H

#include <proton/transport.h>
#include <stdbool.h>

#define SASL_OFFERED_MAX 128 /* bytes with NUL; more is cut off */

struct sasl_client {
    const char *ways; /* "EXTERNAL", "ANONYMOUS", or both with a space between: then EXTERNAL where it is offered */
    bool chosen;      /* the peer has offered one of them */
    char offered[SASL_OFFERED_MAX]; /* what the peer offers, when it is none of the ways; else "" */
};

struct sasl_server {
    char *user;    /* the name that the certificate proves */
    bool asked;    /* the peer has asked to sign in */
    bool repeated; /* and again, a breach of the protocol: the connection must end */
};

/* Server: offer EXTERNAL alone and take it from every peer: the TLS handshake before it has already required and
 * checked a certificate. server: its user is set; borrowed for the connection. */
void sasl_serve(pn_transport_t *transport, struct sasl_server *server);

/* Client: sign in by one of the ways that the peer offers. Fails as proton does, with no mechanism selected when
 * there is none. client: its ways are set; borrowed for the connection. */
void sasl_sign_in(pn_transport_t *transport, struct sasl_client *client);

#endif
