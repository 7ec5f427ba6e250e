/* private_key.h - the private key of this end, wherever it is kept. Used by gateway/amqp only. */
#ifndef FB_AMQP_PRIVATE_KEY_H
#define FB_AMQP_PRIVATE_KEY_H

#include <openssl/evp.h>
#include <stddef.h>

#include "gateway/common/error.h"

/* source: a PEM file without a passphrase, or "pkcs11:..." (pkcs11_uri.h). pin_file: holds the token's PIN, NULL or ""
 * for none. Blocks while the file is read or the token asked. ret_key: yours, EVP_PKEY_free().
 * FB_INVALID: the cause names the file or the token and says what is wrong. The PIN never stands in it. */
enum fb_error private_key_load(const char *source, const char *pin_file, EVP_PKEY **ret_key,
                               struct fb_cause *cause) FB_MUST_USE;

/* The pure part for files: length bytes of PEM, borrowed. FB_INVALID. */
enum fb_error private_key_read(const char *pem, size_t length, EVP_PKEY **ret_key, struct fb_cause *cause) FB_MUST_USE;

#endif
