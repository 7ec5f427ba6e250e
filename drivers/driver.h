/* driver.h - what a protocol must offer to the bus worker. A new protocol is one C file with a struct driver in it and
 * one line in driver.c. All calls block, in the worker only, and for no longer than stated. */
#ifndef FB_DRIVERS_DRIVER_H
#define FB_DRIVERS_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/plan.h"
#include "gateway/common/clock.h"
#include "gateway/common/error.h"

#define DRIVER_DATA_MAX 250 /* 125 registers or 2000 bits */

enum driver_outcome {
    DRIVER_ANSWERED, /* data */
    DRIVER_REFUSED,  /* the instrument answered with an exception */
    DRIVER_SILENT,   /* no reply in time */
    DRIVER_UNFIT,    /* something came that is not the reply: it must not be used */
    DRIVER_CLOSED,   /* the connection or the serial port is gone; nothing was answered */
};

struct driver_reply {
    enum driver_outcome outcome;
    uint8_t exception;   /* of DRIVER_REFUSED: the Modbus exception code */
    bool is_short;       /* of UNFIT: whole and this request's own, but with less than was asked for */
    const char *reason;  /* of SILENT, UNFIT, CLOSED: static storage */
    const uint8_t *data; /* of ANSWERED: as on the wire; the port's, until the next exchange */
    size_t data_length;  /* bytes; exactly what the request asked for. Lines of text: see line_frame.h */
};

struct modbus_write;
struct driver_port; /* each driver's own: an open connection or serial port */

struct driver {
    enum plant_bus_kind kind;
    /* After a reply that is missing or unfit, only a new connection is sure to be in step again. */
    bool reopen_after_fault;
    /* Connect, within the bus's time-out for each address of the host. bus: borrowed until close.
     * FB_NOT_FOUND, FB_TIMEOUT, FB_IO: the cause says what to look at. */
    enum fb_error (*open)(const struct plant_bus *bus, struct driver_port **ret_port, struct fb_cause *cause);
    /* One request and its reply, within the request's time-out (the bus's, where it has none), the pauses and the time
     * on the wire. */
    void (*exchange)(struct driver_port *port, const struct plan_request *request, struct driver_reply *ret_reply);
    /* One write that the guard has a grant for, never repeated; NULL: this protocol has none. Limits as exchange(). */
    void (*write)(struct driver_port *port, const struct modbus_write *write, struct driver_reply *ret_reply);
    void (*close)(struct driver_port *port); /* NULL is fine */
    /* The data of a reply to readings; pure, see decode_reply(). */
    size_t (*decode)(const struct plan_request *request, const uint8_t *data, int64_t time_ms, enum clock_state clock,
                     struct reading *ret_readings);
};

extern const struct driver modbus_tcp_driver;
extern const struct driver modbus_rtu_driver;
extern const struct driver modbus_rtu_tcp_driver;
extern const struct driver line_serial_driver;
extern const struct driver line_tcp_driver;

/* The driver of a kind of bus: never NULL, every kind has one. */
const struct driver *driver_find(enum plant_bus_kind kind);

#endif
