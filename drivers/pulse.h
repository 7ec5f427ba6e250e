/* pulse.h - what an instrument says of itself as a whole: whether its heartbeat still changes, and whether it is in
 * service mode. Pure; used by the bus worker, one struct an instrument, which starts as {0}. */
#ifndef FB_DRIVERS_PULSE_H
#define FB_DRIVERS_PULSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/plant.h"
#include "gateway/common/reading.h"

struct pulse {
    bool heard;      /* the last read of the heartbeat succeeded, with this value */
    uint16_t last;   /* the bits that count */
    uint8_t misses;  /* reads since it changed last; stays at 255 */
    bool in_service; /* as far as is known */
};

/* The heartbeat was read. The first value, and the first after a failure, count as a change. */
void pulse_heard(struct pulse *pulse, uint16_t value);
/* The heartbeat could not be read, though the bus is connected. */
void pulse_missed(struct pulse *pulse);
/* The service register was read: the bits that count. */
void pulse_service(struct pulse *pulse, uint16_t value);

/* True after PLANT_HEARTBEAT_MISSES reads without a change. Never for an instrument without heartbeat. */
bool pulse_stopped(const struct pulse *pulse);

/* Give the readings of the instrument the quality that follows: stale heartbeat, without a value; or maintenance. Those
 * that are bad already keep their reason. Returns the units that are left: a text that goes closes its place. */
size_t pulse_judge(const struct pulse *pulse, struct reading *readings, size_t units);

#endif
