#include "gateway/amqp/sas_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#define SIGNATURE_BYTES 32                                       /* SHA-256 */
#define SIGNATURE_TEXT_MAX (4 * ((SIGNATURE_BYTES + 2) / 3) + 1) /* base64 */
#define KEY_TEXT_MAX (4 * SAS_TOKEN_KEY_MAX / 3)
#define BLANKS " \t\r\n"

/* Exact base64 with padding. EVP_DecodeBlock() counts the padding as zero bytes, and passes over blanks. */
static bool decode(const char *text, size_t length, uint8_t *ret_key, size_t *ret_length) {
    uint8_t room[KEY_TEXT_MAX];
    const size_t padding = length < 4 ? 0 : (size_t)(text[length - 1] == '=') + (text[length - 2] == '=');
    if (length % 4 != 0 || memchr(text, ' ', length) != NULL || memchr(text, '=', length - padding) != NULL)
        return false;
    const int got = EVP_DecodeBlock(room, (const uint8_t *)text, (int)length);
    const bool good = got > 0 && (size_t)got > padding && (size_t)got - padding <= SAS_TOKEN_KEY_MAX;
    if (good) {
        *ret_length = (size_t)got - padding;
        memcpy(ret_key, room, *ret_length);
    }
    OPENSSL_cleanse(room, sizeof room);
    return good;
}

enum fb_error sas_token_key(const char *text, size_t length, bool base64, uint8_t *ret_key, size_t *ret_length,
                            struct fb_cause *cause) {
    while (length > 0 && strchr(BLANKS, text[length - 1]) != NULL)
        length--;
    for (; length > 0 && strchr(BLANKS, *text) != NULL; length--)
        text++;
    if (length == 0)
        return fb_fail(cause, FB_INVALID, "holds no key");
    if (base64 ? length > KEY_TEXT_MAX : length > SAS_TOKEN_KEY_MAX)
        return fb_fail(cause, FB_INVALID, "the key is longer than any of Azure's");
    if (memchr(text, '\n', length) != NULL || memchr(text, '\0', length) != NULL)
        return fb_fail(cause, FB_INVALID, "must hold one line, the key");
    if (base64)
        return decode(text, length, ret_key, ret_length) ? FB_OK : fb_fail(cause, FB_INVALID, "the key is not base64");
    memcpy(ret_key, text, length);
    *ret_length = length;
    return FB_OK;
}

/* RFC 3986, 2.3: all but the unreserved characters. False when it does not fit. */
static bool percent_encode(const char *text, char *ret_text, size_t size) {
    static const char kept[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
    size_t used = 0;
    for (; *text != '\0'; text++) {
        if (used + 4 > size)
            return false;
        if (strchr(kept, *text) != NULL)
            ret_text[used++] = *text;
        else
            used += (size_t)snprintf(ret_text + used, 4, "%%%02X", (unsigned char)*text);
    }
    ret_text[used] = '\0';
    return true;
}

enum fb_error sas_token_make(const uint8_t *key, size_t key_length, const char *resource, const char *policy,
                             int64_t expiry_s, char ret_token[static SAS_TOKEN_MAX], struct fb_cause *cause) {
    char encoded[SAS_TOKEN_MAX], signature_text[3 * SIGNATURE_TEXT_MAX], signed_text[SAS_TOKEN_MAX + 32];
    uint8_t signature[EVP_MAX_MD_SIZE], base64[SIGNATURE_TEXT_MAX];
    unsigned signature_length = 0;
    if (!percent_encode(resource, encoded, sizeof encoded))
        return fb_fail(cause, FB_LIMIT, "the name of the resource is too long for a token");
    const int length = snprintf(signed_text, sizeof signed_text, "%s\n%lld", encoded, (long long)expiry_s);
    if (HMAC(EVP_sha256(), key, (int)key_length, (const uint8_t *)signed_text, (size_t)length, signature,
             &signature_length) == NULL)
        return fb_fail(cause, FB_MEMORY, "OpenSSL cannot sign a token");
    EVP_EncodeBlock(base64, signature, (int)signature_length);
    if (!percent_encode((const char *)base64, signature_text, sizeof signature_text))
        return fb_fail(cause, FB_LIMIT, "the signature is too long");
    const bool named = policy != NULL && policy[0] != '\0';
    const int used = snprintf(ret_token, SAS_TOKEN_MAX, "SharedAccessSignature sr=%s&sig=%s&se=%lld%s%s", encoded,
                              signature_text, (long long)expiry_s, named ? "&skn=" : "", named ? policy : "");
    return used < SAS_TOKEN_MAX ? FB_OK : fb_fail(cause, FB_LIMIT, "the token is longer than %d bytes", SAS_TOKEN_MAX);
}
