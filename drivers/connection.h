/* connection.h - a bus's connection over time: opens it, closes it after faults, waits longer and longer before it
 * tries again. Used by the bus worker; reads block as the driver's do. */
#ifndef FB_DRIVERS_CONNECTION_H
#define FB_DRIVERS_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/driver.h"
#include "gateway/common/backoff.h"

#define CONNECTION_RETRY_FIRST_MS 200
#define CONNECTION_RETRY_MOST_MS 10000

struct connection {
    const struct driver *driver;
    const struct plant_bus *bus;
    struct driver_port *port; /* NULL while not connected */
    bool proven;              /* this connection has brought an answer */
    struct backoff backoff;
    int64_t retry_at_ms;       /* monotonic: not opened before */
    uint8_t waiting_quality;   /* why it is not open: that of the fault */
    char reason[FB_CAUSE_MAX]; /* of the last fault, for people */
};

struct connection_result {
    uint8_t quality;     /* enum quality: GOOD, EXCEPTION, TIMEOUT, BAD_REPLY, NOT_CONNECTED */
    uint16_t detail;     /* the exception code, else 0 */
    bool sent;           /* a request went out */
    bool is_short;       /* of BAD_REPLY: see driver.h */
    const uint8_t *data; /* of GOOD: the port's, until the next read; length by decode_data_bytes() */
};

/* bus is borrowed. Connects at the first read. */
void connection_init(struct connection *connection, const struct plant_bus *bus);
void connection_done(struct connection *connection);

/* One request. A connection that had worked and turns out to be gone is made anew once, within this call; one that
 * does not come is waited for with back-off, and reads in the meantime return at once. */
void connection_read(struct connection *connection, const struct plan_request *request,
                     struct connection_result *ret_result);

/* One write, which is never repeated, whatever becomes of it: data is NULL. */
void connection_write(struct connection *connection, const struct modbus_write *write,
                      struct connection_result *ret_result);

#endif
