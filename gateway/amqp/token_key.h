/* token_key.h - a private key that never leaves its PKCS#11 token: through OpenSSL's provider for PKCS#11 (Debian 13,
 * package pkcs11-provider) or, where there is none, the engine (Debian 12, libengine-pkcs11-openssl). Used by
 * private_key only. Nothing of PKCS#11 is loaded before the first call. */
#ifndef FB_AMQP_TOKEN_KEY_H
#define FB_AMQP_TOKEN_KEY_H

#include <openssl/evp.h>

#include "gateway/common/error.h"

/* As private_key_load(). The token is asked, which may take long, and so does each signature with the key.
 *
 * Tokens lock themselves after a few wrong PINs: one that was refused is not shown to the token again until the PIN's
 * file or the URI has changed. The module stays loaded; another one needs a restart. */
enum fb_error token_key_load(const char *uri, const char *pin_file, EVP_PKEY **ret_key,
                             struct fb_cause *cause) FB_MUST_USE;

#endif
