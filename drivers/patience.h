/* patience.h - how long to wait for an instrument's reply on a bus that others share: as long as it is wont to need,
 * so that a silent one costs the others little. Pure; one struct an instrument, which starts as {0}. */
#ifndef FB_DRIVERS_PATIENCE_H
#define FB_DRIVERS_PATIENCE_H

#include <stdint.h>

/* Floor and factor after Victron's dbus-modbus-client. */
#define PATIENCE_LEAST_MS 100
#define PATIENCE_FACTOR 4
/* A living instrument never gets less than this part of what is configured: who configures much knows that its replies
 * are late now and then, however quick they usually are. */
#define PATIENCE_LEAST_PART 4
/* Time-outs are multiples of this, so that they seldom change. */
#define PATIENCE_STEP_MS 50
/* The filter follows a slower reply at once and a faster one by this share. */
#define PATIENCE_FILTER 64

/* Probes of a dead instrument have all the time that is configured only every so often, for they disturb the others: of
 * one that has once answered, and of one that never has, so that nobody knows how slow it is. */
#define PATIENCE_FULL_TURN_KNOWN 4
#define PATIENCE_FULL_TURN_UNKNOWN 2

struct patience {
    uint32_t latency_us; /* filtered; 0: not known */
    uint32_t wont_us;    /* what it was before the last failure; 0: has never answered */
};

void patience_answered(struct patience *patience, uint64_t latency_us);

/* No reply in time: it may have become slow, so that the next one gets all the time that is configured. */
void patience_failed(struct patience *patience);

/* max(100 ms, ceiling_ms / 4, 4 x filtered latency), at most ceiling_ms; that alone while nothing is known. */
uint32_t patience_ms(const struct patience *patience, uint32_t ceiling_ms);

/* The same for a probe, the probes-th since it died: as long as it was wont to need while it lived and at least 100 ms,
 * or for gap_ms, in which nobody else waits, if that is longer; now and then the whole ceiling. */
uint32_t patience_probe_ms(const struct patience *patience, uint32_t probes, uint32_t gap_ms, uint32_t ceiling_ms);

#endif
