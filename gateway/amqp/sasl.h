/* sasl.h - signing in, for proton: the server's side of SASL EXTERNAL (RFC 4422, appendix A), since proton's own needs
 * proton's TLS; and the client's side of EXTERNAL and ANONYMOUS, since proton's own does not tell what the peer offers.
 * Used by gateway/amqp only. Both are called before the first byte. */
#ifndef FB_AMQP_SASL_H
#define FB_AMQP_SASL_H

#include <proton/transport.h>

#define SASL_OFFERED_MAX 128 /* bytes with NUL; more is cut off */

struct sasl_client {
    const char *ways; /* "EXTERNAL", "ANONYMOUS", or both with a space between: then EXTERNAL where it is offered */
    char offered[SASL_OFFERED_MAX]; /* what the peer offers, when it is none of the ways; else "" */
};

/* Server: offer EXTERNAL alone and take it from every peer: the TLS handshake before it has already required and
 * checked a certificate. user: the name that the certificate proves; borrowed for the connection. */
void sasl_serve(pn_transport_t *transport, char *user);

/* Client: sign in by one of the ways that the peer offers. Fails as proton does, with no mechanism selected when
 * there is none. client: its ways are set; borrowed for the connection. */
void sasl_sign_in(pn_transport_t *transport, struct sasl_client *client);

#endif
