/* certificate.h - what is wrong with a certificate, in words for a person. Used by gateway/amqp only. */
#ifndef FB_AMQP_CERTIFICATE_H
#define FB_AMQP_CERTIFICATE_H

#include <openssl/x509.h>
#include <stddef.h>

#include "gateway/common/error.h"

#define CERTIFICATE_TEXT_MAX 200 /* bytes with NUL */

/* Every text is cut to size, always ends with NUL, and holds no control characters of the certificate's. */

/* The names it is valid for ("DNS broker.example, IP 192.0.2.7"), at most five, then "..."; "" without a SAN. */
void certificate_names(const X509 *certificate, char *ret_text, size_t size);
/* Its common name, or its whole subject without one. */
void certificate_subject(const X509 *certificate, char *ret_text, size_t size);
/* The same of any name: a subject's or an issuer's. */
void certificate_name(const X509_NAME *name, char *ret_text, size_t size);
/* Its common name, or its first SAN without one; "" without either. */
void certificate_peer_name(const X509 *certificate, char *ret_text, size_t size);

/* Where verification stopped. */
struct certificate_problem {
    int error;               /* X509_V_ERR_... */
    const X509 *certificate; /* NULL: none is to blame */
    const X509_CRL *crl;     /* the list of revoked certificates that is to blame, NULL: none */
    const char *host;        /* the name that was looked for, NULL on a server */
    const char *authorities; /* the file with the CAs that are trusted */
};

/* Say why. */
void certificate_refusal(const struct certificate_problem *problem, struct fb_cause *cause);

/* FB_OK when now lies between the certificate's two dates, else FB_INVALID with the date. */
enum fb_error certificate_in_time(const X509 *certificate, struct fb_cause *cause) FB_MUST_USE;

#endif
