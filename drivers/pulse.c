#include "drivers/pulse.h"

#include <string.h>

#include "gateway/common/quality.h"

static void miss(struct pulse *pulse) {
    pulse->misses += pulse->misses < UINT8_MAX;
}

void pulse_heard(struct pulse *pulse, uint16_t value) {
    if (pulse->heard && value == pulse->last)
        miss(pulse);
    else
        pulse->misses = 0;
    pulse->heard = true;
    pulse->last = value;
}

void pulse_missed(struct pulse *pulse) {
    pulse->heard = false;
    miss(pulse);
}

void pulse_service(struct pulse *pulse, uint16_t value) {
    pulse->in_service = value != 0;
}

bool pulse_stopped(const struct pulse *pulse) {
    return pulse->misses >= PLANT_HEARTBEAT_MISSES;
}

size_t pulse_judge(const struct pulse *pulse, struct reading *readings, size_t units) {
    const bool stopped = pulse_stopped(pulse);
    size_t kept = 0;
    if (!stopped && !pulse->in_service)
        return units;
    for (size_t i = 0, step; i < units; i += step) {
        struct reading *reading = &readings[kept];
        step = reading_units(&readings[i]);
        memmove(reading, &readings[i], step * sizeof *reading);
        if (reading_has_value(reading) && stopped)
            *reading = reading_bad(reading->tag, (enum reading_kind)reading->kind, reading->time_ms,
                                   QUALITY_STALE_HEARTBEAT, 0);
        else if (reading_has_value(reading))
            reading->quality = QUALITY_MAINTENANCE;
        kept += reading_units(reading);
    }
    return kept;
}
