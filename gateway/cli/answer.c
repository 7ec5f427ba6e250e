#include "gateway/cli/answer.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/common/message.h"
#include "gateway/common/protocol.h"

/* More than the largest answer of core. */
#define ANSWER_BYTES_MAX ((size_t)16 * 1024 * 1024)

enum fb_error answer_add(struct answer *answer, const uint8_t *packet, size_t length, bool *ret_more,
                         struct fb_cause *cause) {
    struct message_reader reader;
    if (message_open(packet, length, &reader) != FB_OK || reader.type != PROTOCOL_CONTROL_ANSWER)
        return fb_fail(cause, FB_INVALID, "forebay-core answered with something else");
    *ret_more = (reader.flags & MESSAGE_MORE) != 0;
    if (answer->length + reader.left > ANSWER_BYTES_MAX)
        return fb_fail(cause, FB_LIMIT, "the answer is too large");
    char *bytes = realloc(answer->bytes, answer->length + reader.left + 1);
    if (bytes == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    answer->bytes = bytes;
    memcpy(bytes + answer->length, reader.data, reader.left);
    answer->length += reader.left;
    return FB_OK;
}

static enum fb_error error_of_word(const char *word) {
    for (int error = FB_INVALID; error <= FB_MEMORY; error++)
        if (strcmp(fb_error_word((enum fb_error)error), word) == 0)
            return (enum fb_error)error;
    return FB_INVALID;
}

enum fb_error answer_result(const struct answer *answer, json_t **ret_result, struct fb_cause *cause) {
    json_t *json = json_loadb(answer->bytes, answer->length, 0, NULL);
    json_t *result = json_is_true(json_object_get(json, "ok")) ? json_object_get(json, "result") : NULL;
    enum fb_error error = FB_OK;
    if (result != NULL) {
        *ret_result = json_incref(result);
    } else {
        const char *word = json_string_value(json_object_get(json, "error"));
        const char *why = json_string_value(json_object_get(json, "cause"));
        error = fb_fail(cause, error_of_word(word != NULL ? word : ""), "%s",
                        why != NULL && why[0] != '\0' ? why : "no reason given");
    }
    json_decref(json);
    return error;
}

void answer_done(struct answer *answer) {
    free(answer->bytes);
    *answer = (struct answer){0};
}
