// links: gateway/core/jws.c gateway/core/claims.c gateway/core/refusal.c gateway/common/base64url.c gateway/common/error.c gateway/common/file.c
/* A message from the cloud as it comes, and the same bytes as what a pinned key has signed: nothing unsigned is opened,
 * what is opened is what was signed, and claims are read whole or refused with a reason. */
#include <assert.h>

#include "gateway/core/claims.h"
#include "tests/unit/jws_maker.h"

#define NOW_MS INT64_C(1795293200000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static EVP_PKEY *keys[2];
static struct jws_key pinned[2];

static void make_keys(void) {
    for (int i = 0; i < 2 && keys[1] == NULL; i++) {
        keys[i] = maker_key(i == 0 ? JWS_EDDSA : JWS_ES256);
        char *pem = maker_public_pem(keys[i]);
        assert(jws_key_read(pem, strlen(pem), &pinned[i], NULL) == FB_OK);
        free(pem);
    }
}

static void open_unsigned(const uint8_t *data, size_t size) {
    char *payload = NULL;
    size_t length, key;
    struct fb_cause cause = {""};
    assert(jws_open(data, size, pinned, 2, &payload, &length, &key, &cause) != FB_OK);
    assert(payload == NULL && cause.text[0] != '\0');
}

static void open_signed(const uint8_t *data, size_t size, size_t which) {
    char *text = maker_token(keys[which], NULL, data, size);
    char *payload = NULL;
    size_t length, key;
    const enum fb_error error = jws_open((const uint8_t *)text, strlen(text), pinned, 2, &payload, &length, &key, NULL);
    assert(error == (strlen(text) > JWS_BYTES_MAX ? FB_LIMIT : FB_OK));
    assert(error != FB_OK || (key == which && length == size && memcmp(payload, data, size) == 0));
    free(payload);
    free(text);
}

static void read_claims(const uint8_t *data, size_t size) {
    struct claims claims;
    struct fb_cause cause = {""};
    const enum refusal refusal = claims_read((const char *)data, size, "plant-1", NOW_MS, &claims, &cause);
    assert((refusal == REFUSAL_NONE) == (cause.text[0] == '\0'));
    if (refusal == REFUSAL_NONE) {
        assert(json_is_object(claims.arguments) && claims.command[0] != '\0' && claims.nonce[0] != '\0');
        assert(claims.expires_s - claims.issued_s <= CLAIMS_LIFE_S_MAX);
        assert(claims.issued_s <= NOW_MS / 1000 + CLAIMS_SKEW_S && claims.expires_s >= NOW_MS / 1000 - CLAIMS_SKEW_S);
    }
    claims_done(&claims);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    make_keys();
    open_unsigned(data, size);
    open_signed(data, size, size % 2);
    read_claims(data, size);
    return 0;
}
