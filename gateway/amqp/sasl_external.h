/* sasl_external.h - the server's side of SASL EXTERNAL (RFC 4422, appendix A) for proton, whose own needs proton's TLS.
 * Used by gateway/amqp only. */
#ifndef FB_AMQP_SASL_EXTERNAL_H
#define FB_AMQP_SASL_EXTERNAL_H

#include <proton/transport.h>

/* Offer EXTERNAL alone and take it from every peer: the TLS handshake before it has already required and checked a
 * certificate. Call before the first byte. user: the name that the certificate proves; borrowed for the connection. */
void sasl_external_serve(pn_transport_t *transport, char *user);

#endif
