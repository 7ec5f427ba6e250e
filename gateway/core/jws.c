#include "gateway/core/jws.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/base64url.h"
#include "gateway/common/file.h"
#include "gateway/common/jws_headers.h"

/* Both algorithms: RFC 8037 section 3.1, RFC 7518 section 3.4. */
#define SIGNATURE_BYTES 64
#define DER_BYTES_MAX 80

static const char *const headers[] = {[JWS_EDDSA] = JWS_HEADER_EDDSA ".", [JWS_ES256] = JWS_HEADER_ES256 "."};

/* The three parts, borrowed from the message. */
struct parts {
    enum jws_algorithm algorithm;
    const char *signed_text; /* header and payload */
    size_t signed_length;
    const char *payload; /* base64url */
    size_t payload_length;
    uint8_t signature[SIGNATURE_BYTES];
};

static enum fb_error judge_key(EVP_PKEY *key, enum jws_algorithm *ret_algorithm, struct fb_cause *cause) {
    char group[32] = "";
    if (EVP_PKEY_is_a(key, "ED25519")) {
        *ret_algorithm = JWS_EDDSA;
        return FB_OK;
    }
    EVP_PKEY_get_group_name(key, group, sizeof group, NULL);
    if (!EVP_PKEY_is_a(key, "EC") || strcmp(group, "prime256v1") != 0)
        return fb_fail(cause, FB_INVALID, "neither an Ed25519 key nor one of the curve P-256");
    *ret_algorithm = JWS_ES256;
    return FB_OK;
}

enum fb_error jws_key_read(const char *pem, size_t length, struct jws_key *ret_key, struct fb_cause *cause) {
    BIO *bio = BIO_new_mem_buf(pem, (int)length);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    if (key == NULL)
        return fb_fail(cause, FB_INVALID, "no public key in PEM (BEGIN PUBLIC KEY)");
    enum jws_algorithm algorithm;
    const enum fb_error error = judge_key(key, &algorithm, cause);
    if (error != FB_OK) {
        EVP_PKEY_free(key);
        return error;
    }
    *ret_key = (struct jws_key){key, algorithm};
    return FB_OK;
}

enum fb_error jws_key_load(const char *file, struct jws_key *ret_key, struct fb_cause *cause) {
    FB_CLEANUP(file_free) char *pem = NULL;
    size_t length;
    enum fb_error error = file_read(file, JWS_KEY_FILE_BYTES_MAX, &pem, &length, cause);
    if (error != FB_OK)
        return error;
    error = jws_key_read(pem, length, ret_key, cause);
    return error == FB_OK ? FB_OK : fb_context(cause, error, "%s", file);
}

void jws_key_done(struct jws_key *key) {
    EVP_PKEY_free(key->key);
    *key = (struct jws_key){0};
}

static bool begins(const char *text, size_t length, const char *with) {
    return length >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

static enum fb_error split(const char *text, size_t length, struct parts *parts, struct fb_cause *cause) {
    if (begins(text, length, headers[JWS_EDDSA]))
        parts->algorithm = JWS_EDDSA;
    else if (begins(text, length, headers[JWS_ES256]))
        parts->algorithm = JWS_ES256;
    else
        return fb_fail(cause, FB_INVALID, "it does not begin with a header of a signed command");
    parts->payload = text + strlen(headers[parts->algorithm]);
    const char *dot = memchr(parts->payload, '.', length - (size_t)(parts->payload - text));
    if (dot == NULL)
        return fb_fail(cause, FB_INVALID, "it has no signature");
    parts->payload_length = (size_t)(dot - parts->payload);
    parts->signed_text = text;
    parts->signed_length = (size_t)(dot - text);
    const size_t left = length - parts->signed_length - 1;
    size_t bytes;
    if (BASE64URL_BYTES(left) != SIGNATURE_BYTES || !base64url_decode(dot + 1, left, parts->signature, &bytes) ||
        bytes != SIGNATURE_BYTES)
        return fb_fail(cause, FB_INVALID, "its signature is not %d bytes in base64url", SIGNATURE_BYTES);
    return FB_OK;
}

/* OpenSSL wants the two numbers in DER. 0: out of memory. */
static size_t to_der(const uint8_t raw[static SIGNATURE_BYTES], uint8_t ret_der[static DER_BYTES_MAX]) {
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, JWS_ES256_HALF, NULL), *s = BN_bin2bn(raw + JWS_ES256_HALF, JWS_ES256_HALF, NULL);
    if (signature == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(signature);
        return 0;
    }
    const int length = i2d_ECDSA_SIG(signature, &ret_der);
    ECDSA_SIG_free(signature);
    return length > 0 ? (size_t)length : 0;
}

static bool verify(const struct parts *parts, const struct jws_key *key) {
    uint8_t der[DER_BYTES_MAX];
    const bool raw = key->algorithm == JWS_EDDSA;
    const size_t der_length = raw ? 0 : to_der(parts->signature, der);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const bool good = context != NULL &&
                      EVP_DigestVerifyInit(context, NULL, raw ? NULL : EVP_sha256(), NULL, key->key) == 1 &&
                      EVP_DigestVerify(context, raw ? parts->signature : der, raw ? SIGNATURE_BYTES : der_length,
                                       (const unsigned char *)parts->signed_text, parts->signed_length) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

static enum fb_error find_key(const struct parts *parts, const struct jws_key *keys, size_t count, size_t *ret_key,
                              struct fb_cause *cause) {
    for (size_t i = 0; i < count; i++)
        if (keys[i].algorithm == parts->algorithm && verify(parts, &keys[i])) {
            *ret_key = i;
            return FB_OK;
        }
    return fb_fail(cause, FB_DENIED, "it is signed by no key that is pinned here");
}

enum fb_error jws_open(const uint8_t *bytes, size_t length, const struct jws_key *keys, size_t count,
                       char **ret_payload, size_t *ret_length, size_t *ret_key, struct fb_cause *cause) {
    struct parts parts;
    if (length > JWS_BYTES_MAX)
        return fb_fail(cause, FB_LIMIT, "%zu bytes are too many; at most %d", length, JWS_BYTES_MAX);
    enum fb_error error = split((const char *)bytes, length, &parts, cause);
    size_t key = 0, payload_length;
    if (error == FB_OK)
        error = find_key(&parts, keys, count, &key, cause);
    if (error != FB_OK)
        return error;
    char *payload = malloc(BASE64URL_BYTES(parts.payload_length) + 1);
    if (payload == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    if (!base64url_decode(parts.payload, parts.payload_length, (uint8_t *)payload, &payload_length)) {
        free(payload);
        return fb_fail(cause, FB_INVALID, "its payload is not base64url");
    }
    payload[payload_length] = '\0';
    *ret_payload = payload;
    *ret_length = payload_length;
    *ret_key = key;
    return FB_OK;
}
