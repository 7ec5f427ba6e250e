/* record_calls.h - the calls of the control API that read records, see docs/api.md. */
#ifndef FB_CORE_RECORD_CALLS_H
#define FB_CORE_RECORD_CALLS_H

#include <jansson.h>

#include "gateway/core/core.h"
#include "gateway/core/records.h"
#include "gateway/core/text.h"

#define RECORD_CALLS_LIMIT_MAX 1000

/* Records behind a number, at most so many and at most 2 MiB. exact: their bodies as they stand in the store, for
 * checking their hashes. */
struct record_calls_range {
    enum store_record_kind kind;
    uint64_t after;
    size_t limit;
    bool exact;
};
enum fb_error record_calls_list(struct core *core, const struct record_calls_range *range, struct text *result,
                                struct fb_cause *cause) FB_MUST_USE;

/* after of a query: "" or "after=12". FB_INVALID: it is something else. */
enum fb_error record_calls_parse(const char *query, struct record_calls_range *range,
                                 struct fb_cause *cause) FB_MUST_USE;

/* "audit", "events", "attempts", "configurations", "proofs", by the request's "call"; and "configuration". */
enum fb_error record_call_list(struct core *core, const json_t *request, struct text *result, struct fb_cause *cause);
enum fb_error record_call_configuration(struct core *core, const json_t *request, struct text *result,
                                        struct fb_cause *cause);

#endif
