#include "gateway/core/resend.h"

#include <stdlib.h>
#include <string.h>

/* Batches of the range that are not sent yet are passed over, so many in one go. */
#define PASSED_OVER_MOST 16

void resend_begin(struct resend *resend, int64_t from_ms, int64_t to_ms) {
    *resend = (struct resend){.active = true, .from_ms = from_ms, .to_ms = to_ms, .place = history_begin(from_ms)};
}

/* Those go out by themselves. scratch: as large as a batch. */
static bool is_unsent(struct store *store, uint64_t number, struct store_batch *scratch) {
    struct fb_cause why;
    return store_next(store, number, number, scratch, &why) == FB_OK;
}

static enum fb_error walk(struct resend *resend, struct store *store, struct store_batch *ret_batch,
                          struct store_batch *scratch, struct history_place *place, struct fb_cause *cause) {
    for (int i = 0; i < PASSED_OVER_MOST; i++) {
        const enum fb_error error = history_next(store, place, resend->to_ms, ret_batch, cause);
        if (error == FB_OK && !is_unsent(store, ret_batch->number, scratch))
            return FB_OK;
        if (error != FB_OK && error != FB_CORRUPT)
            return error;
    }
    return FB_AGAIN;
}

enum fb_error resend_next(struct resend *resend, struct store *store, struct store_batch *ret_batch,
                          struct fb_cause *cause) {
    if (!resend->active)
        return FB_NOT_FOUND;
    if (resend->flight_count == RESEND_IN_FLIGHT_MAX)
        return FB_AGAIN;
    struct store_batch *scratch = malloc(sizeof *scratch);
    if (scratch == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    struct history_place place = resend->place;
    const enum fb_error error = walk(resend, store, ret_batch, scratch, &place, cause);
    free(scratch);
    if (error == FB_OK)
        resend->flights[resend->flight_count].before = resend->place;
    if (error == FB_OK || error == FB_AGAIN)
        resend->place = place;
    else if (resend->flight_count == 0)
        resend->active = false;
    return error;
}

void resend_out(struct resend *resend, uint64_t number) {
    resend->flights[resend->flight_count++].number = number;
}

bool resend_settle(struct resend *resend, uint64_t number, bool accepted) {
    for (size_t i = 0; i < resend->flight_count; i++) {
        if (resend->flights[i].number != number)
            continue;
        memmove(&resend->flights[i], &resend->flights[i + 1], (--resend->flight_count - i) * sizeof resend->flights[0]);
        resend->sent += accepted;
        resend->refused += !accepted;
        return true;
    }
    return false;
}

void resend_rewind(struct resend *resend) {
    if (resend->flight_count > 0)
        resend->place = resend->flights[0].before;
    resend->flight_count = 0;
}

json_t *resend_to_json(const struct resend *resend) {
    return json_pack("{s:b, s:I, s:I, s:I, s:I}", "active", resend->active, "from_ms", (json_int_t)resend->from_ms,
                     "to_ms", (json_int_t)resend->to_ms, "sent", (json_int_t)resend->sent, "refused",
                     (json_int_t)resend->refused);
}
