#include "drivers/connection.h"

#include <stdio.h>
#include <string.h>

#include "gateway/common/clock.h"
#include "gateway/common/quality.h"

static const uint8_t qualities[] = {
    [DRIVER_ANSWERED] = QUALITY_GOOD,   [DRIVER_REFUSED] = QUALITY_EXCEPTION,    [DRIVER_SILENT] = QUALITY_TIMEOUT,
    [DRIVER_UNFIT] = QUALITY_BAD_REPLY, [DRIVER_CLOSED] = QUALITY_NOT_CONNECTED,
};

void connection_init(struct connection *connection, const struct plant_bus *bus) {
    *connection = (struct connection){
        .driver = driver_find(bus->kind),
        .bus = bus,
        .backoff = {.first_ms = CONNECTION_RETRY_FIRST_MS, .most_ms = CONNECTION_RETRY_MOST_MS},
        .waiting_quality = QUALITY_NOT_CONNECTED,
    };
}

void connection_done(struct connection *connection) {
    connection->driver->close(connection->port);
    connection->port = NULL;
}

static void wait_before_retry(struct connection *connection, uint8_t quality) {
    connection->waiting_quality = quality;
    connection->retry_at_ms = clock_monotonic_ms() + backoff_next_ms(&connection->backoff, backoff_random());
}

static bool ensure_open(struct connection *connection) {
    if (connection->port != NULL)
        return true;
    if (clock_monotonic_ms() < connection->retry_at_ms)
        return false;
    struct fb_cause cause;
    if (connection->driver->open(connection->bus, &connection->port, &cause) == FB_OK)
        return true;
    snprintf(connection->reason, sizeof connection->reason, "%s", cause.text);
    wait_before_retry(connection, QUALITY_NOT_CONNECTED);
    return false;
}

static void drop(struct connection *connection, uint8_t quality) {
    connection_done(connection);
    /* What worked a moment ago may be tried again at once; what never did must not be stormed. */
    if (!connection->proven)
        wait_before_retry(connection, quality);
    connection->proven = false;
}

/* A reply that came as a whole and was this request's own, whatever it says: the next one will be, too. */
static bool is_in_step(const struct driver_reply *reply) {
    return reply->outcome == DRIVER_ANSWERED || reply->outcome == DRIVER_REFUSED || reply->is_short;
}

static void note(struct connection *connection, const struct driver_reply *reply) {
    if (reply->reason != NULL)
        snprintf(connection->reason, sizeof connection->reason, "%s", reply->reason);
    if (is_in_step(reply)) {
        connection->proven = true;
        connection->backoff.failures = 0;
    } else if (reply->outcome == DRIVER_CLOSED || connection->driver->reopen_after_fault) {
        drop(connection, qualities[reply->outcome]);
    }
}

void connection_read(struct connection *connection, const struct plan_request *request,
                     struct connection_result *ret_result) {
    for (int attempt = 0; attempt < 2; attempt++) {
        if (!ensure_open(connection)) {
            *ret_result = (struct connection_result){.quality = connection->waiting_quality, .sent = attempt > 0};
            return;
        }
        const bool proven = connection->proven;
        struct driver_reply reply;
        connection->driver->exchange(connection->port, request, &reply);
        note(connection, &reply);
        *ret_result = (struct connection_result){.quality = qualities[reply.outcome],
                                                 .detail = reply.exception,
                                                 .sent = true,
                                                 .is_short = reply.is_short,
                                                 .data = reply.data};
        if (reply.outcome != DRIVER_CLOSED || !proven)
            return;
    }
}

void connection_write(struct connection *connection, const struct modbus_write *write,
                      struct connection_result *ret_result) {
    *ret_result = (struct connection_result){.quality = connection->waiting_quality};
    if (connection->driver->write == NULL) {
        snprintf(connection->reason, sizeof connection->reason, "nothing can be written on this bus");
        return;
    }
    if (!ensure_open(connection))
        return;
    struct driver_reply reply;
    connection->driver->write(connection->port, write, &reply);
    note(connection, &reply);
    *ret_result =
        (struct connection_result){.quality = qualities[reply.outcome], .detail = reply.exception, .sent = true};
}
