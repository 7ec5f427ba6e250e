/* history_calls.h - the calls of the control API that hand out what the store holds (docs/api.md): batches as they are
 * stored, one a call, so that whoever asks sets the pace and does the work of taking them apart. */
#ifndef FB_CORE_HISTORY_CALLS_H
#define FB_CORE_HISTORY_CALLS_H

#include <jansson.h>

#include "gateway/common/error.h"
#include "gateway/core/core.h"
#include "gateway/core/text.h"

/* The next batch behind "after", by number or, with "to_ms", by time. Reads one batch. */
enum fb_error history_call_batch(struct core *core, const json_t *request, struct text *result,
                                 struct fb_cause *cause) FB_MUST_USE;
/* The catalogue with the hash "hash". */
enum fb_error history_call_catalogue(struct core *core, const json_t *request, struct text *result,
                                     struct fb_cause *cause) FB_MUST_USE;
/* The corrections of the clock, to be applied to what stands in the batches. */
enum fb_error history_call_corrections(struct core *core, const json_t *request, struct text *result,
                                       struct fb_cause *cause) FB_MUST_USE;
/* Seal what was read so far, so that it stands in batches. (fsync) */
enum fb_error history_call_seal(struct core *core, const json_t *request, struct text *result,
                                struct fb_cause *cause) FB_MUST_USE;

#endif
