/* jws_maker.h - for tests and fuzzing: keys and signed commands, made with OpenSSL directly. */
#ifndef FB_TESTS_JWS_MAKER_H
#define FB_TESTS_JWS_MAKER_H

#include <assert.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/base64url.h"
#include "gateway/common/jws_headers.h"
#include "gateway/core/jws.h"

static inline EVP_PKEY *maker_key(enum jws_algorithm algorithm) {
    EVP_PKEY *key = algorithm == JWS_EDDSA ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                                           : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    assert(key != NULL);
    return key;
}

/* The public half in PEM; free() it. */
static inline char *maker_public_pem(EVP_PKEY *key) {
    char *data;
    BIO *bio = BIO_new(BIO_s_mem());
    assert(bio != NULL && PEM_write_bio_PUBKEY(bio, key) == 1);
    const long length = BIO_get_mem_data(bio, &data);
    char *pem = strndup(data, (size_t)length);
    BIO_free(bio);
    return pem;
}

static inline void maker_sign(EVP_PKEY *key, const char *text, uint8_t ret_raw[64]) {
    const int raw = EVP_PKEY_is_a(key, "ED25519");
    uint8_t bytes[80];
    const uint8_t *at = bytes;
    size_t length = sizeof bytes;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert(EVP_DigestSignInit(context, NULL, raw ? NULL : EVP_sha256(), NULL, key) == 1);
    assert(EVP_DigestSign(context, bytes, &length, (const unsigned char *)text, strlen(text)) == 1);
    EVP_MD_CTX_free(context);
    if (raw) {
        memcpy(ret_raw, bytes, 64);
        return;
    }
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)length);
    assert(BN_bn2binpad(ECDSA_SIG_get0_r(signature), ret_raw, 32) == 32);
    assert(BN_bn2binpad(ECDSA_SIG_get0_s(signature), ret_raw + 32, 32) == 32);
    ECDSA_SIG_free(signature);
}

/* "header.payload.signature"; free() it. header: NULL for the one that belongs to the key. */
static inline char *maker_token(EVP_PKEY *key, const char *header, const void *payload, size_t length) {
    if (header == NULL)
        header = EVP_PKEY_is_a(key, "ED25519") ? JWS_HEADER_EDDSA : JWS_HEADER_ES256;
    const size_t head = strlen(header) + 1;
    char *text = malloc(head + BASE64URL_TEXT_BYTES(length) + 1 + BASE64URL_TEXT_BYTES(64));
    uint8_t signature[64];
    sprintf(text, "%s.", header);
    base64url_encode(payload, length, text + head);
    maker_sign(key, text, signature);
    strcat(text, ".");
    base64url_encode(signature, sizeof signature, text + strlen(text));
    return text;
}

#endif
