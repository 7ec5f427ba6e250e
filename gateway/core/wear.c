#include "gateway/core/wear.h"

#include <sys/resource.h>

#define HOUR_MS (INT64_C(60) * 60 * 1000)
#define DAY_MS (24 * HOUR_MS)
#define BLOCK_BYTES 512 /* of ru_oublock */

uint64_t wear_process_bytes(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_oublock * BLOCK_BYTES : 0;
}

void wear_note(struct wear *wear, int64_t now_ms, uint64_t bytes) {
    if (wear->count > 0 && now_ms - wear->marks[(wear->count - 1) % WEAR_MARKS].time_ms < HOUR_MS)
        return;
    wear->marks[wear->count++ % WEAR_MARKS] = (struct wear_mark){now_ms, bytes};
}

/* The newest mark that is a day old; the oldest where none is. NULL: there is none at all. */
static const struct wear_mark *a_day_ago(const struct wear *wear, int64_t now_ms) {
    const size_t kept = wear->count < WEAR_MARKS ? wear->count : WEAR_MARKS;
    const struct wear_mark *found = NULL;
    for (size_t i = wear->count - kept; i < wear->count; i++) {
        const struct wear_mark *mark = &wear->marks[i % WEAR_MARKS];
        if (found == NULL || now_ms - mark->time_ms >= DAY_MS)
            found = mark;
    }
    return found;
}

bool wear_per_day(const struct wear *wear, int64_t now_ms, uint64_t bytes, uint64_t *ret_bytes) {
    const struct wear_mark *from = a_day_ago(wear, now_ms);
    if (from == NULL || now_ms - from->time_ms < WEAR_LEAST_MS)
        return false;
    *ret_bytes = (uint64_t)((double)(bytes - from->bytes) * (double)DAY_MS / (double)(now_ms - from->time_ms));
    return true;
}
