/* verify.h - is this chain to be trusted? OpenSSL's own checks, with the exact reason when they fail, then the pins.
 * Used by gateway/amqp only. */
#ifndef FB_AMQP_VERIFY_H
#define FB_AMQP_VERIFY_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "gateway/amqp/validity.h"
#include "gateway/common/error.h"

struct amqp_trust;

/* What one session knows of its peer's chain. */
struct verify {
    const struct amqp_trust *trust; /* borrowed */
    const char *host;               /* what the certificate must be for, borrowed; NULL on a server */
    struct fb_cause refusal;        /* the first reason; "" when there is none */
    struct validity_list chain;     /* as the peer presented it, its own first; also when it is refused */
};

/* Have the sessions of context judge their peers by their struct verify, which verify_attach() names. */
void verify_install(SSL_CTX *context);
/* verify: borrowed until the session is freed. False: out of memory. */
bool verify_attach(SSL *ssl, struct verify *verify);

#endif
