#include "store/batch_correct.h"

#include <string.h>

size_t batch_correction_of(const struct batch_correction *corrections, size_t count, const struct batch_place *place) {
    for (size_t i = 0; i < count; i++) {
        const struct batch_correction *record = &corrections[i];
        if (place->number >= record->first_batch && place->number <= record->last_batch &&
            place->time_ms >= record->from_ms && place->time_ms <= record->to_ms &&
            memcmp(place->store_id, record->store_id, BATCH_STORE_ID_BYTES) == 0)
            return i;
    }
    return count;
}

int64_t batch_true_ms(const struct batch_correction *corrections, size_t count, const struct batch_place *place) {
    const size_t i = batch_correction_of(corrections, count, place);
    return i < count ? place->time_ms + corrections[i].right_ms - corrections[i].from_ms : place->time_ms;
}
