// links: gateway/amqp/codec.c gateway/common/error.c
/* A message as a peer may send it: taken apart or refused; what was taken can be encoded and comes back the same. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/amqp/codec.h"

static void again(const struct amqp_message *message) {
    char *bytes;
    size_t length;
    struct codec_message decoded;
    assert(codec_encode(message, 1, &bytes, &length, NULL) == FB_OK);
    assert(codec_decode(bytes, length, &decoded, NULL) == FB_OK);
    assert(decoded.message.body_length == message->body_length);
    assert(decoded.message.historical == message->historical);
    assert(strcmp(decoded.message.subject, message->subject) == 0);
    codec_done(&decoded);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct codec_message decoded;
    if (codec_decode((const char *)data, size, &decoded, NULL) != FB_OK)
        return 0;
    again(&decoded.message);
    codec_done(&decoded);
    return 0;
}
