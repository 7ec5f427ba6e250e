/* pkcs11_uri.h - names a private key in a PKCS#11 token (RFC 7512). Used by config and gateway/amqp. Pure.
 *
 * Stricter than the standard: the module that speaks to the token must be named (module-path), so that nothing else is
 * ever loaded, and the PIN never stands in the URI, which the configuration keeps and programs hand on. */
#ifndef FB_COMMON_PKCS11_URI_H
#define FB_COMMON_PKCS11_URI_H

#include <stdbool.h>

#include "gateway/common/error.h"

#define PKCS11_URI_MAX 512 /* bytes with NUL */

struct pkcs11_uri {
    char object[PKCS11_URI_MAX]; /* the URI up to its "?", with type=private */
    char module[PKCS11_URI_MAX]; /* absolute path of the module, decoded */
};

/* True for what begins with "pkcs11:", good or bad; anything else is the path of a file. */
bool pkcs11_uri_is(const char *text);

/* FB_INVALID: the cause says which attribute is wrong or missing. ret_uri is untouched then. */
enum fb_error pkcs11_uri_read(const char *text, struct pkcs11_uri *ret_uri, struct fb_cause *cause) FB_MUST_USE;

#endif
