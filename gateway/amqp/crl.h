/* crl.h - lists of revoked certificates (RFC 5280, 5), strictly: where they are configured, every certificate of the
 * peer's chain needs a list of its issuer that is signed by it and in force. Used by gateway/amqp only. */
#ifndef FB_AMQP_CRL_H
#define FB_AMQP_CRL_H

#include <openssl/x509_vfy.h>
#include <stddef.h>

#include "gateway/common/error.h"

/* Add the lists in a PEM file to the store, which then checks all certificates against them. FB_INVALID: the cause
 * names the file. A list that is not in force is no error here: it is when a chain needs it. */
enum fb_error crl_load(X509_STORE *store, const char *path, struct fb_cause *cause) FB_MUST_USE;

/* The pure part: length bytes of PEM, borrowed. */
enum fb_error crl_read(X509_STORE *store, const char *pem, size_t length, struct fb_cause *cause) FB_MUST_USE;

#endif
