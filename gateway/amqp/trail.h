/* trail.h - what an attempt to connect met on its way, kept by each connection for the record of it and for `forebay
 * doctor`. Used by gateway/amqp and by who asks amqp_trail(). */
#ifndef FB_AMQP_TRAIL_H
#define FB_AMQP_TRAIL_H

#include <jansson.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/amqp/amqp.h"
#include "gateway/amqp/resolve.h"
#include "gateway/amqp/validity.h"

/* Certificates of a chain that are told, the peer's own first. */
#define TRAIL_CHAIN_MAX 4
#define TRAIL_REASON_MAX 160 /* bytes with NUL of why an address was of no use */

struct trail_address {
    char address[INET6_ADDRSTRLEN];
    enum amqp_step step;           /* how far it came */
    char reason[TRAIL_REASON_MAX]; /* "": it is the one in use, or was not tried */
};

struct amqp_trail {
    int64_t started_ms;            /* UTC */
    int64_t began_ms;              /* monotonic */
    bool reached[AMQP_UP + 1];     /* steps that were begun */
    uint32_t step_ms[AMQP_UP + 1]; /* and when, after the start */
    struct trail_address addresses[RESOLVE_ADDRESSES_MAX];
    size_t address_count;
    uint64_t bytes_in, bytes_out; /* of TLS and all that is in it */
};

/* [{"subject", "issuer", "sha256", "from_ms", "until_ms"} ...] of the first TRAIL_CHAIN_MAX; long names are cut. New
 * reference. */
json_t *trail_chain_to_json(const struct validity_list *chain);
/* {"dns": 0, "tcp": 12 ...}: ms after the start at which each step began. New reference. */
json_t *trail_steps_to_json(const struct amqp_trail *trail);
/* [{"address", "step", "reason"} ...] of those that were of no use. New reference. */
json_t *trail_failed_to_json(const struct amqp_trail *trail);

#endif
