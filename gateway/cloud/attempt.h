/* attempt.h - one attempt to reach an endpoint, or the end of a working connection, as the record that core keeps
 * (docs/link.md, "Attempts"). Used by forebay-cloud's link. */
#ifndef FB_CLOUD_ATTEMPT_H
#define FB_CLOUD_ATTEMPT_H

#include <jansson.h>
#include <stdint.h>

#include "gateway/amqp/amqp.h"
#include "gateway/common/link_settings.h"

struct attempt {
    const char *what;    /* "attempt", "connection" (its end), or "return" (the preferred endpoint was asked) */
    const char *outcome; /* "up", "failed", "broken", "closed" */
    struct link_endpoint endpoint;
    enum amqp_step step; /* how far it came */
    const char *reason;
    int64_t duration_ms;
    uint64_t accepted; /* batches, of a connection */
};

/* amqp: what it went over; NULL when it came to none. New reference; NULL when out of memory. At most
 * ATTEMPT_BYTES_MAX bytes as compact text: details go first. */
#define ATTEMPT_BYTES_MAX 3500
json_t *attempt_to_json(const struct attempt *attempt, struct amqp *amqp);

#endif
