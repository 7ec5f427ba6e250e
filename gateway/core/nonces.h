/* nonces.h - the nonces of commands that were taken, on disk until they can no longer be replayed: through restarts,
 * power cuts and wrong clocks. Used by commands.c.
 *
 * A small file of its own beside the store, written whole with every command, since a store that is set aside must not
 * make commands good again. What is dropped from it stays refused: every command that expires no later than one whose
 * nonce was dropped, and, when the file is missing or damaged, every one that was issued before that was found. */
#ifndef FB_CORE_NONCES_H
#define FB_CORE_NONCES_H

#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/core/refusal.h"

#define NONCES_MAX 1024 /* far more than commands.h lets through in CLAIMS_LIFE_S_MAX */

struct nonces;

/* Read the file, or begin anew where it is missing or damaged (ret_begun: why, "" when it was there). now_ms: UTC.
 * path: copied. ret_nonces: yours, end it with nonces_close(). FB_MEMORY. */
enum fb_error nonces_open(const char *path, int64_t now_ms, struct nonces **ret_nonces, struct fb_cause *ret_begun,
                          struct fb_cause *cause) FB_MUST_USE;
void nonces_close(struct nonces *nonces); /* NULL is fine */

/* Use a nonce, once: REFUSAL_NONE only after it is on disk. (fsync) Times in seconds since 1970.
 * REFUSAL_REPLAYED, _LATE; _TOO_MANY: no room; _FAILED: the disk takes nothing. */
enum refusal nonces_use(struct nonces *nonces, const char *nonce, int64_t issued_s, int64_t expires_s, int64_t now_ms,
                        struct fb_cause *cause) FB_MUST_USE;

#endif
