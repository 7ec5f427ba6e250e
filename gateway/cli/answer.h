/* answer.h - what core answers to one call: put together from its packets, taken apart into result or error. Pure. */
#ifndef FB_CLI_ANSWER_H
#define FB_CLI_ANSWER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"

/* Begins as {0}; end it with answer_done(). */
struct answer {
    char *bytes; /* JSON so far; NULL before the first packet */
    size_t length;
};

/* Add one packet of the control socket. ret_more: whether another follows. FB_INVALID: not a part of an answer;
 * FB_LIMIT: more than 16 MiB in all. */
enum fb_error answer_add(struct answer *answer, const uint8_t *packet, size_t length, bool *ret_more,
                         struct fb_cause *cause) FB_MUST_USE;

/* The whole answer's result, a new reference; or the error and the cause that core gave (FB_INVALID when it gave none).
 */
enum fb_error answer_result(const struct answer *answer, json_t **ret_result, struct fb_cause *cause) FB_MUST_USE;

void answer_done(struct answer *answer);

#endif
