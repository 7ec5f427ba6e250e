/* claims.h - what a signed command says: for which gateway, when, once, and what is to be done. Strict JSON, every
 * member required, none unknown. Pure. Used by commands.c. */
#ifndef FB_CORE_CLAIMS_H
#define FB_CORE_CLAIMS_H

#include <jansson.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/core/refusal.h"

#define CLAIMS_LIFE_S_MAX 3600 /* from issue to expiry */
#define CLAIMS_SKEW_S 60       /* that the sender's clock and this one may differ */
/* Of a nonce, decoded. */
#define CLAIMS_NONCE_BYTES_MIN 16
#define CLAIMS_NONCE_BYTES_MAX 64
#define CLAIMS_NONCE_TEXT_MAX 88 /* bytes with NUL in base64url */
#define CLAIMS_COMMAND_MAX 32    /* bytes with NUL */

struct claims {
    char nonce[CLAIMS_NONCE_TEXT_MAX]; /* "" until it has been read */
    char command[CLAIMS_COMMAND_MAX];
    int64_t issued_s, expires_s; /* UTC, seconds since 1970 */
    json_t *arguments;           /* an object; NULL while it has not been read */
};

/* Read the payload (length bytes) of a verified token. now_ms: UTC. On a refusal the members read so far stay, for the
 * audit; the cause is a sentence for whoever sent it. End it with claims_done() in any case. */
enum refusal claims_read(const char *payload, size_t length, const char *gateway, int64_t now_ms,
                         struct claims *ret_claims, struct fb_cause *cause) FB_MUST_USE;
void claims_done(struct claims *claims);

#endif
