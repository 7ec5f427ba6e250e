/* put_token.h - the two messages of claims-based security (CBS): a token for a resource, and what the peer says to it.
 * Pure. Source: OASIS AMQP Claims-based Security 1.0 (draft); Azure, "AMQP 1.0 in Azure Service Bus and Event Hubs
 * protocol guide", section "Claims-based authorization". Used by gateway/amqp only. */
#ifndef FB_AMQP_PUT_TOKEN_H
#define FB_AMQP_PUT_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"

#define PUT_TOKEN_NODE "$cbs"
#define PUT_TOKEN_REPLY_TO "cbs"
#define PUT_TOKEN_TEXT_MAX 300 /* bytes with NUL */

/* resource: what the token is for. ret_bytes: yours, free(). FB_MEMORY. */
enum fb_error put_token_request(const char *token, const char *resource, int64_t expiry_ms, char **ret_bytes,
                                size_t *ret_length, struct fb_cause *cause) FB_MUST_USE;

struct put_token_answer {
    int64_t code; /* as in HTTP: 200 to 299 are good */
    char description[PUT_TOKEN_TEXT_MAX];
};

/* FB_INVALID: no AMQP message, or without a status code. ret_answer: untouched then. */
enum fb_error put_token_answer(const char *bytes, size_t length, struct put_token_answer *ret_answer,
                               struct fb_cause *cause) FB_MUST_USE;

#endif
