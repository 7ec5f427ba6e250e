/* status.h - what is told about the link (docs/api.md, "link"). Pure. Used by forebay-cloud. */
#ifndef FB_CLOUD_STATUS_H
#define FB_CLOUD_STATUS_H

#include <stdint.h>

#include "gateway/amqp/amqp.h"
#include "gateway/cloud/commands.h"
#include "gateway/common/error.h"
#include "gateway/common/link_settings.h"

enum status_state { STATUS_OFF = 0, STATUS_CONNECTING, STATUS_UP, STATUS_WAITING };

struct status {
    enum status_state state;
    int64_t since_ms;            /* UTC */
    char endpoint[LINK_URL_MAX]; /* "amqps://HOST:PORT": in use, or tried last */
    char address[256];           /* AMQP address */
    enum amqp_step step;         /* how far the present or last attempt came */
    char reason[FB_CAUSE_MAX];
    char tls[64];
    char peer[64];
    int64_t last_accepted_ms; /* UTC; 0: never */
    uint32_t in_flight;
    int64_t oldest_in_flight_ms; /* UTC: since when the first of them has waited for its answer; 0: none does */
    uint64_t accepted, rejected, released;
    uint64_t bytes_in, bytes_out; /* on the wire since the program started, TLS included, TCP not */
    int64_t retry_at_ms;          /* UTC; 0: no retry is due */
    enum commands_state commands; /* the way back */
    char commands_reason[FB_CAUSE_MAX];
};

/* One JSON object; yours, free(). NULL when out of memory. Text that is not UTF-8 is replaced by a note. */
char *status_to_text(const struct status *status);

#endif
