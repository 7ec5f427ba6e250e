/* proofs.h - which tags were held against their instruments' displays: when, by whom, and whether they are still read
 * in the way that was proven. The evidence itself is in the store (store_records.h). */
#ifndef FB_CORE_PROOFS_H
#define FB_CORE_PROOFS_H

#include <jansson.h>

#include "gateway/core/core.h"
#include "gateway/core/text.h"

#define PROOFS_DISPLAY_MAX 63        /* bytes */
#define PROOFS_FRAME_DIGITS_MAX 1024 /* of one frame as hexadecimal digits */

struct proofs;

/* Read what the store has. core is borrowed. ret_proofs: yours, end it with proofs_free(). */
enum fb_error proofs_new(struct core *core, struct proofs **ret_proofs, struct fb_cause *cause) FB_MUST_USE;
void proofs_free(struct proofs *proofs); /* NULL is fine */

/* The plant has changed: tags that are read in another way than was proven are not proven. */
void proofs_follow(struct proofs *proofs);

/* The call "prove": {"instrument", "name", "display", "value", "meaning": see plant_meaning.h, "sent": HEX, "received":
 * HEX, "read_ms"}. FB_AGAIN: the running configuration reads the tag in another way. (fsync) */
enum fb_error proofs_call(struct core *core, const json_t *request, struct text *result, struct fb_cause *cause);

/* Set "proven": {"time_ms", "who"} in a value's JSON; nothing when the tag is not proven. */
void proofs_describe(const struct proofs *proofs, uint32_t tag, json_t *value);

/* How many tags of the instrument are proven. */
size_t proofs_count(const struct proofs *proofs, const struct plant_instrument *instrument);

#endif
