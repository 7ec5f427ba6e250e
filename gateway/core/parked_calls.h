/* parked_calls.h - the calls of the control API about batches that the peer will not take (docs/api.md). */
#ifndef FB_CORE_PARKED_CALLS_H
#define FB_CORE_PARKED_CALLS_H

#include <jansson.h>

#include "gateway/common/error.h"
#include "gateway/core/core.h"
#include "gateway/core/text.h"

/* Those behind the number after, limit at most, as an array; what cannot be read is left out. New reference. */
json_t *parked_calls_to_json(struct store *store, uint64_t after, size_t limit);

/* "parked": those behind the number "after" (0 if it is missing), PARKED_CALLS_AT_ONCE at most. */
#define PARKED_CALLS_AT_ONCE 100
enum fb_error parked_call_list(struct core *core, const json_t *request, struct text *result,
                               struct fb_cause *cause) FB_MUST_USE;
/* "parked-retry": hand the one with the number "number" out again, or all without it. (fsync)
 * FB_NOT_FOUND: that one is not parked. */
enum fb_error parked_call_retry(struct core *core, const json_t *request, struct text *result,
                                struct fb_cause *cause) FB_MUST_USE;

#endif
