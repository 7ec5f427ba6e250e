#include "store/batch_correct.h"

size_t batch_correction_of(const struct batch_correction *corrections, size_t count, uint64_t number, int64_t time_ms) {
    for (size_t i = 0; i < count; i++) {
        const struct batch_correction *record = &corrections[i];
        if (number >= record->first_batch && number <= record->last_batch && time_ms >= record->from_ms &&
            time_ms <= record->to_ms)
            return i;
    }
    return count;
}

int64_t batch_true_ms(const struct batch_correction *corrections, size_t count, uint64_t number, int64_t time_ms) {
    const size_t i = batch_correction_of(corrections, count, number, time_ms);
    return i < count ? time_ms + corrections[i].right_ms - corrections[i].from_ms : time_ms;
}
