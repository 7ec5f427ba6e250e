// links: gateway/amqp/put_token.c gateway/amqp/sas_token.c gateway/common/error.c
/* fuzz_put_token.c - no answer of a peer to a token, and no file in place of a key, brings forebay-cloud down. The
 * first byte chooses which. */
#include <assert.h>
#include <string.h>

#include "gateway/amqp/put_token.h"
#include "gateway/amqp/sas_token.h"

static void answer(const char *bytes, size_t length) {
    struct put_token_answer got;
    if (put_token_answer(bytes, length, &got, NULL) != FB_OK)
        return;
    const size_t used = strnlen(got.description, sizeof got.description);
    assert(used < sizeof got.description);
    for (size_t i = 0; i < used; i++)
        assert((unsigned char)got.description[i] >= 0x20 && got.description[i] != 0x7f);
}

static void key(const char *text, size_t length, bool base64) {
    uint8_t bytes[SAS_TOKEN_KEY_MAX];
    char token[SAS_TOKEN_MAX];
    size_t key_length;
    if (sas_token_key(text, length, base64, bytes, &key_length, NULL) != FB_OK)
        return;
    assert(key_length > 0 && key_length <= sizeof bytes);
    const enum fb_error error =
        sas_token_make(bytes, key_length, "hub.example/devices/a", base64 ? "" : "policy", 1795296790, token, NULL);
    assert(error == FB_OK && strlen(token) < sizeof token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    if (data[0] % 3 == 0)
        answer(text, size - 1);
    else
        key(text, size - 1, data[0] % 3 == 1);
    return 0;
}
