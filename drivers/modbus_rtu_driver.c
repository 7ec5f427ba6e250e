/* Modbus RTU, on libmodbus without its own error recovery, which can hang on an unplugged port.
 *
 * Replies carry no transaction number: what is left over from an earlier request would be taken for the next reply. So
 * the input is flushed before each request, after any fault the line must have been quiet first, and a unit that was
 * silent is not asked again for one time-out more. */
#include <errno.h>
#include <modbus/modbus.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "drivers/driver.h"
#include "drivers/modbus_frame.h"
#include "gateway/common/clock.h"

#define DATA_BITS 8
#define CRC_BYTES 2
#define REPLY_OVERHEAD_BYTES 5 /* unit, function, byte count, CRC */
/* A USB adapter hands over what it got every 16 ms at the latest: shorter gaps do not mean that the line is idle. */
#define IDLE_MS 20
#define IDLE_WAIT_MAX_MS 500
/* Serial line V1.02, section 2.5.1.1: frames are 3.5 characters apart, fixed above 19200 baud. */
#define QUIET_FAST_US 1750
#define QUIET_FAST_BAUD 19200

struct driver_port {
    modbus_t *modbus;
    const struct plant_bus *bus;
    int descriptor;
    uint32_t character_us;
    uint32_t quiet_us;
    int64_t last_us;         /* when the line was last in use */
    uint8_t silent_unit;     /* owes a reply that may still come; 0: none does */
    int64_t silent_until_ms; /* monotonic: then it will not come any more */
    uint8_t frame[MODBUS_RTU_MAX_ADU_LENGTH];
};

static void port_close(struct driver_port *port) {
    if (port == NULL)
        return;
    if (port->modbus != NULL) {
        modbus_close(port->modbus);
        modbus_free(port->modbus);
    }
    free(port);
}

static void set_times(struct driver_port *port) {
    const struct plant_bus *bus = port->bus;
    const uint32_t bits = 1 + DATA_BITS + (bus->parity != PLANT_PARITY_NONE) + bus->stop_bits;
    port->character_us = (bits * 1000000 + bus->baud - 1) / bus->baud;
    port->quiet_us = bus->baud > QUIET_FAST_BAUD ? QUIET_FAST_US : port->character_us * 7 / 2;
    if (port->quiet_us < bus->pause_ms * 1000)
        port->quiet_us = bus->pause_ms * 1000;
}

static enum fb_error port_open(const struct plant_bus *bus, struct driver_port **ret_port, struct fb_cause *cause) {
    static const char parities[] = {[PLANT_PARITY_NONE] = 'N', [PLANT_PARITY_EVEN] = 'E', [PLANT_PARITY_ODD] = 'O'};
    struct driver_port *port = calloc(1, sizeof *port);
    if (port == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    port->bus = bus;
    set_times(port);
    port->modbus = modbus_new_rtu(bus->device, (int)bus->baud, parities[bus->parity], DATA_BITS, bus->stop_bits);
    if (port->modbus == NULL || modbus_connect(port->modbus) < 0) {
        const int error = errno;
        port_close(port);
        return fb_fail_errno(cause, error == ENOENT ? FB_NOT_FOUND : FB_IO, error, "%s", bus->device);
    }
    /* The whole reply within the response time-out, however slowly its bytes drip. */
    modbus_set_byte_timeout(port->modbus, 0, 0);
    port->descriptor = modbus_get_socket(port->modbus);
    *ret_port = port;
    return FB_OK;
}

static void keep_quiet(const struct driver_port *port) {
    const int64_t until_us = port->last_us + port->quiet_us;
    const struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* The configured time-out is the instrument's own; the time its bytes take is added. */
static void set_timeout(struct driver_port *port, const struct plan_request *request) {
    const uint64_t bytes = MODBUS_FRAME_REQUEST_BYTES + CRC_BYTES + REPLY_OVERHEAD_BYTES + request->count * 2u;
    const uint64_t timeout_us = port->bus->timeout_ms * UINT64_C(1000) + bytes * port->character_us;
    modbus_set_response_timeout(port->modbus, (uint32_t)(timeout_us / 1000000), (uint32_t)(timeout_us % 1000000));
}

static void fail(struct driver_reply *ret_reply, enum driver_outcome outcome, const char *reason) {
    *ret_reply = (struct driver_reply){.outcome = outcome, .reason = reason};
}

static void explain(const struct driver_port *port, int error, struct driver_reply *ret_reply) {
    if (error == EMBBADCRC)
        fail(ret_reply, DRIVER_UNFIT, "wrong CRC");
    else if (error == EMBBADDATA || error == EMBMDATA)
        fail(ret_reply, DRIVER_UNFIT, "reply of another length");
    else if (error == ETIMEDOUT && port->frame[0] != 0) /* no unit has number 0: something came */
        fail(ret_reply, DRIVER_UNFIT, "reply too short");
    else if (error == ETIMEDOUT || error == EINTR)
        fail(ret_reply, DRIVER_SILENT, "no reply");
    else
        fail(ret_reply, DRIVER_CLOSED, "the serial port is gone");
}

/* Throw away what comes until the line has been idle for so long, or the deadline has come. */
static void discard(const struct driver_port *port, int idle_ms, int64_t deadline_ms) {
    struct pollfd line = {.fd = port->descriptor, .events = POLLIN};
    uint8_t waste[256];
    while (clock_monotonic_ms() < deadline_ms && poll(&line, 1, idle_ms) > 0)
        if (read(port->descriptor, waste, sizeof waste) <= 0)
            return;
}

/* Other units may be asked meanwhile: their replies cannot be confused with the one that is owed. */
static void wait_for_owed_reply(struct driver_port *port, uint8_t unit) {
    if (port->silent_unit != unit)
        return;
    const int64_t left_ms = port->silent_until_ms - clock_monotonic_ms();
    if (left_ms > 0)
        discard(port, (int)left_ms, port->silent_until_ms);
    port->silent_unit = 0;
}

static void recover(struct driver_port *port, uint8_t unit, enum driver_outcome outcome) {
    const int64_t now_ms = clock_monotonic_ms();
    if (outcome == DRIVER_SILENT) {
        port->silent_unit = unit;
        port->silent_until_ms = now_ms + port->bus->timeout_ms;
    }
    const int quiet_ms = (int)(port->quiet_us / 1000);
    discard(port, quiet_ms > IDLE_MS ? quiet_ms : IDLE_MS, now_ms + IDLE_WAIT_MAX_MS);
}

/* The length of the reply, or -1 with errno set. */
static int transact(struct driver_port *port, const struct plan_request *request) {
    uint8_t out[MODBUS_FRAME_REQUEST_BYTES];
    modbus_frame_request(request, out);
    keep_quiet(port);
    set_timeout(port, request);
    modbus_set_slave(port->modbus, request->instrument->unit);
    memset(port->frame, 0, 2);
    if (modbus_flush(port->modbus) < 0 || modbus_send_raw_request(port->modbus, out, sizeof out) < 0)
        return -1;
    return modbus_receive_confirmation(port->modbus, port->frame);
}

static void exchange(struct driver_port *port, const struct plan_request *request, struct driver_reply *ret_reply) {
    const uint8_t unit = request->instrument->unit;
    wait_for_owed_reply(port, unit);
    const int length = transact(port, request);
    if (length > CRC_BYTES)
        modbus_frame_judge(request, port->frame, (size_t)length - CRC_BYTES, ret_reply);
    else if (length >= 0) /* libmodbus passes over what another unit said */
        fail(ret_reply, DRIVER_UNFIT, "reply of another unit");
    else
        explain(port, errno, ret_reply);
    if (ret_reply->outcome == DRIVER_SILENT || ret_reply->outcome == DRIVER_UNFIT)
        recover(port, unit, ret_reply->outcome);
    port->last_us = clock_monotonic_us();
}

const struct driver modbus_rtu_driver = {
    .kind = PLANT_MODBUS_RTU,
    .reopen_after_fault = false,
    .open = port_open,
    .exchange = exchange,
    .close = port_close,
};
