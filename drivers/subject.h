/* subject.h - what a bus worker keeps of each instrument: whether it is worth asking, how long its reply may take, what
 * it says of itself. Pure: times are arguments. One struct an instrument, which starts as {0}. */
#ifndef FB_DRIVERS_SUBJECT_H
#define FB_DRIVERS_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/connection.h"
#include "drivers/health.h"
#include "drivers/patience.h"
#include "drivers/plan.h"
#include "drivers/pulse.h"

struct subject {
    struct health health;
    struct patience patience;
    struct pulse pulse;
    uint8_t failed_quality; /* of the readings while it is spared */
    uint16_t failed_detail;
};

/* When a request was due and how long it took; microseconds, monotonic. */
struct subject_times {
    uint64_t due_us, began_us, ended_us;
};

/* The time-out for its next request in ms. shared: others use the bus too, so that waiting costs them. */
uint32_t subject_timeout_ms(const struct subject *subject, const struct plant_bus *bus, bool shared);

/* The time-out in ms for a probe of it, dead as it is, when nobody else is due for gap_ms. */
uint32_t subject_probe_ms(const struct subject *subject, const struct plant_bus *bus, uint32_t gap_ms);

/* A request ended so. */
void subject_note(struct subject *subject, const struct connection_result *result, const struct plant_bus *bus,
                  bool shared, struct subject_times times);

/* What stands in for a result while it is spared. */
struct connection_result subject_spared(const struct subject *subject);

/* Take in what the reply, or its absence, says of the instrument as a whole. data: of a good reply, else NULL. */
void subject_watch(struct subject *subject, const struct plan_request *request, uint8_t quality, const uint8_t *data);

/* Some instruments do not refuse a read that goes beyond what they have, but answer with less. So many times without a
 * whole reply between them, and it is no accident. */
#define SUBJECT_SHORT_REPLIES 3

/* True when the instrument refused the request for its addresses, or has answered it with less so often that it means
 * the same: reads of fewer registers may do better. Counts in request->short_replies. */
bool subject_lacks_registers(struct plan_request *request, const struct connection_result *result);

/* Of count subjects the dead one whose probe is due first; NULL when none is dead. */
struct subject *subject_next_probe(struct subject *subjects, size_t count);

#endif
