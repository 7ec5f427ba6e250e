/* jws.h - a signed command as it comes from the cloud: a compact JWS (RFC 7515) by a key that is pinned here. The key
 * decides the algorithm: Ed25519 (RFC 8037) or ES256 (RFC 7518 section 3.4). Nothing of it is parsed before its
 * signature has been verified. Used by commands.c. */
#ifndef FB_CORE_JWS_H
#define FB_CORE_JWS_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "gateway/common/error.h"

#define JWS_BYTES_MAX (64 * 1024)
#define JWS_KEY_FILE_BYTES_MAX 8192

enum jws_algorithm { JWS_EDDSA, JWS_ES256 };

struct jws_key {
    EVP_PKEY *key;
    enum jws_algorithm algorithm;
};

/* A public key of Ed25519 or of the curve P-256. file: PEM, "BEGIN PUBLIC KEY" and nothing else.
 * ret_key: end it with jws_key_done(). FB_NOT_FOUND, FB_IO, FB_LIMIT, FB_INVALID. */
enum fb_error jws_key_load(const char *file, struct jws_key *ret_key, struct fb_cause *cause) FB_MUST_USE;
/* The pure part. */
enum fb_error jws_key_read(const char *pem, size_t length, struct jws_key *ret_key, struct fb_cause *cause) FB_MUST_USE;
void jws_key_done(struct jws_key *key);

/* Verify the token against each of the keys. ret_payload: what was signed, malloc, with one NUL behind its length;
 * ret_key: index of the key that has signed it. FB_LIMIT, FB_INVALID: no token. FB_DENIED: signed by none of them.
 * FB_MEMORY. */
enum fb_error jws_open(const uint8_t *bytes, size_t length, const struct jws_key *keys, size_t count,
                       char **ret_payload, size_t *ret_length, size_t *ret_key, struct fb_cause *cause) FB_MUST_USE;

#endif
