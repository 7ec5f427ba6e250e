/* tls_text.h - what OpenSSL and a peer's alerts mean, in words for a person. Pure. Used by gateway/amqp only. */
#ifndef FB_AMQP_TLS_TEXT_H
#define FB_AMQP_TLS_TEXT_H

#include <stdbool.h>

#include "gateway/common/error.h"

/* Put the meaning of an OpenSSL error code (ERR_peek_error()) into cause. True when it is an alert from the peer. */
bool tls_text_of_error(unsigned long code, struct fb_cause *cause);

#endif
