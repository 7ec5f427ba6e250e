/* writes.h - the control call "write": one value for one register that the configuration opens, by a person who says
 * why. Core alone gives grants for it: random, for this register and value, good once and for some seconds. What was
 * asked is in the audit, on disk, before the grant is given; what became of it follows. One write at a time. */
#ifndef FB_CORE_WRITES_H
#define FB_CORE_WRITES_H

#include <jansson.h>

#include "gateway/common/error.h"
#include "gateway/core/core.h"

#define WRITES_REASON_MAX 200  /* bytes */
#define WRITES_GRANT_MS 5000   /* that a grant is good for */
#define WRITES_ANSWER_MS 45000 /* then what became of it counts as unknown: beyond any time-out of a bus */

struct writes;

/* core is borrowed. ret_writes: yours, end it with writes_free(). */
enum fb_error writes_new(struct core *core, struct writes **ret_writes, struct fb_cause *cause) FB_MUST_USE;
void writes_free(struct writes *writes); /* NULL is fine */

/* {"call": "write", "instrument", "name", "value", "reason"}: hold it against the configuration, audit it, and ask
 * forebay-field under this id. Refusals are audited, too. (fsync) */
enum fb_error writes_begin(struct writes *writes, const json_t *request, uint64_t id,
                           struct fb_cause *cause) FB_MUST_USE;

/* forebay-field has answered a question; those that are no writes are passed over. */
void writes_told(struct writes *writes, uint64_t id, const char *text, size_t length);

#endif
