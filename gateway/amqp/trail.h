/* trail.h - what an attempt to connect met on its way, kept by each connection for the record of it and for `forebay
 * doctor`. Used by gateway/amqp and by who asks amqp_trail(). */
#ifndef FB_AMQP_TRAIL_H
#define FB_AMQP_TRAIL_H

#include <jansson.h>
#include <netinet/in.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/amqp/amqp.h"
#include "gateway/amqp/resolve.h"

/* Certificates that a peer shows and that are kept: its own and the next ones of its chain. */
#define TRAIL_CHAIN_MAX 4
#define TRAIL_TEXT_MAX 100   /* bytes with NUL of a name in a certificate */
#define TRAIL_REASON_MAX 160 /* bytes with NUL of why an address was of no use */
#define TRAIL_DATE_MAX 24    /* "2026-11-21T23:50:17Z"; "" for a date that cannot be read */
#define TRAIL_SHA256_MAX 65  /* hexadecimal, with NUL */

struct trail_certificate {
    char sha256[TRAIL_SHA256_MAX]; /* of the whole certificate (DER), as `openssl x509 -fingerprint -sha256` has it */
    char subject[TRAIL_TEXT_MAX], issuer[TRAIL_TEXT_MAX];
    char not_before[TRAIL_DATE_MAX], not_after[TRAIL_DATE_MAX];
};

struct trail_chain {
    struct trail_certificate certificates[TRAIL_CHAIN_MAX]; /* as they came, the peer's own first */
    size_t count;
};

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
    struct trail_chain chain;     /* shown by the peer that came furthest */
    uint64_t bytes_in, bytes_out; /* of TLS and all that is in it */
};

/* Take the chain down; what does not fit is cut. */
void trail_take_chain(struct trail_chain *ret_chain, const STACK_OF(X509) * chain);

/* [{"sha256", "subject", "issuer", "not_before", "not_after"} ...]. New reference. */
json_t *trail_chain_to_json(const struct trail_chain *chain);
/* {"dns": 0, "tcp": 12 ...}: ms after the start at which each step began. New reference. */
json_t *trail_steps_to_json(const struct amqp_trail *trail);
/* [{"address", "step", "reason"} ...] of those that were of no use. New reference. */
json_t *trail_failed_to_json(const struct amqp_trail *trail);

#endif
