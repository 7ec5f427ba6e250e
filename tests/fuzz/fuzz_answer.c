// links: gateway/cli/answer.c gateway/common/message.c gateway/common/error.c
/* An answer of core in packets: a byte (times 256 and one more) gives the length of each. The end is a result or a
 * reason. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "gateway/cli/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct answer answer = {0};
    struct fb_cause cause = {0};
    enum fb_error error = FB_OK;
    bool more = true;
    while (error == FB_OK && more && size >= 2) {
        const size_t wanted = (size_t)data[0] << 8 | data[1];
        const size_t length = wanted < size - 2 ? wanted : size - 2;
        error = answer_add(&answer, data + 2, length, &more, &cause);
        data += 2 + length;
        size -= 2 + length;
    }
    json_t *result = NULL;
    if (error == FB_OK && answer.bytes != NULL)
        error = answer_result(&answer, &result, &cause);
    assert((result == NULL) == (error != FB_OK || answer.bytes == NULL));
    assert(error == FB_OK || cause.text[0] != '\0');
    json_decref(result);
    answer_done(&answer);
    return 0;
}
