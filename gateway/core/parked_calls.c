#include "gateway/core/parked_calls.h"

#include <inttypes.h>

#include "gateway/common/log.h"
#include "gateway/core/intake.h"
#include "gateway/core/records.h"
#include "store/store_parked.h"

static json_t *parked_to_json(const struct store_parked *parked) {
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:b}", "number", (json_int_t)parked->number, "readings",
                     (json_int_t)parked->readings, "first_ms", (json_int_t)parked->first_ms, "last_ms",
                     (json_int_t)parked->last_ms, "since_ms", (json_int_t)parked->since_ms, "rejections",
                     (json_int_t)parked->rejections, "reason", parked->reason, "too_large", parked->bytes > 0);
}

static enum fb_error read_number(const json_t *request, const char *name, uint64_t *ret_number, bool *ret_given,
                                 struct fb_cause *cause) {
    const json_t *value = json_object_get(request, name);
    *ret_given = value != NULL;
    if (value != NULL && (!json_is_integer(value) || json_integer_value(value) < 0))
        return fb_fail(cause, FB_INVALID, "\"%s\": the number of a batch is expected", name);
    *ret_number = (uint64_t)json_integer_value(value);
    return FB_OK;
}

json_t *parked_calls_to_json(struct store *store, uint64_t after, size_t limit) {
    struct store_parked parked = {.number = after};
    struct fb_cause cause;
    json_t *list = json_array();
    for (size_t i = 0; i < limit && store_next_parked(store, parked.number, &parked, &cause) == FB_OK; i++)
        json_array_append_new(list, parked_to_json(&parked));
    return list;
}

enum fb_error parked_call_list(struct core *core, const json_t *request, struct text *result, struct fb_cause *cause) {
    uint64_t after;
    bool given;
    const enum fb_error error = read_number(request, "after", &after, &given, cause);
    if (error == FB_OK)
        text_add_json(result,
                      json_pack("{s:o}", "parked", parked_calls_to_json(core->store, after, PARKED_CALLS_AT_ONCE)));
    return error;
}

enum fb_error parked_call_retry(struct core *core, const json_t *request, struct text *result, struct fb_cause *cause) {
    uint64_t number = 0;
    size_t released = 0;
    bool given;
    enum fb_error error = read_number(request, "number", &number, &given, cause);
    if (error == FB_OK)
        error = cloud_peer_release(core->cloud, given ? number : 1, given ? number : UINT64_MAX, &released, cause);
    if (error == FB_OK && given && released == 0)
        error = fb_fail(cause, FB_NOT_FOUND, "batch %" PRIu64 " is not parked", number);
    if (error == FB_OK)
        text_add_format(result, "{\"released\":%zu}", released);
    log_event(LOG_LEVEL_NOTICE, "parked-released", "batches=%zu", released);
    json_t *details = json_pack("{s:I}", "released", (json_int_t)released);
    if (given)
        json_object_set_new(details, "number", json_integer((json_int_t)number));
    records_audit(core, core->caller, "parked-retry", error == FB_OK ? "done" : cause->text, details);
    intake_commit_now(core->intake);
    return error;
}
