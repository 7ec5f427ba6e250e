/* Modbus RTU, over a serial port and over TCP to a serial server that only passes bytes on. libmodbus opens the port;
 * it is not left to read from it, for its error recovery can hang on an unplugged one.
 *
 * Replies carry no transaction number: what is left over from an earlier request would be taken for the next reply. So
 * the input is emptied before each request, after any fault the line must have been quiet first, and a unit that was
 * silent is not asked again for one time-out more. A new connection to a serial server would not help: what comes late
 * comes from behind it. */
#include <errno.h>
#include <modbus/modbus.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "drivers/checksum.h"
#include "drivers/decode.h"
#include "drivers/driver.h"
#include "drivers/guard.h"
#include "drivers/line_settings.h"
#include "drivers/modbus_frame.h"
#include "drivers/modbus_write.h"
#include "drivers/recorder.h"
#include "drivers/rs485.h"
#include "drivers/tcp_connect.h"
#include "gateway/common/clock.h"

#define DATA_BITS 8
#define REQUEST_BYTES (MODBUS_FRAME_REQUEST_BYTES + MODBUS_FRAME_CRC_BYTES)
#define WRITE_BYTES_MAX (MODBUS_WRITE_BYTES_MAX + MODBUS_FRAME_CRC_BYTES)
#define REPLY_OVERHEAD_BYTES 5 /* unit, function, byte count, CRC */
#define REPLY_LEAST_BYTES 5    /* an exception */
/* A USB adapter hands over what it got every 16 ms at the latest, serial servers are alike: shorter gaps do not mean
 * that the line is idle. */
#define IDLE_MS 20
#define IDLE_WAIT_MAX_MS 500

struct driver_port {
    modbus_t *modbus; /* of a serial port; else NULL */
    const struct plant_bus *bus;
    int descriptor;
    uint32_t character_us;
    uint32_t quiet_us;
    int64_t last_us;         /* when the line was last in use */
    bool is_new;             /* somebody may owe a reply from before it was opened */
    uint8_t silent_unit;     /* owes a reply that may still come; 0: none does */
    int64_t silent_until_ms; /* monotonic: then it will not come any more */
    uint8_t frame[MODBUS_FRAME_RTU_MAX_BYTES];
};

static void port_close(struct driver_port *port) {
    if (port == NULL)
        return;
    if (port->modbus != NULL) {
        modbus_close(port->modbus);
        modbus_free(port->modbus);
    } else if (port->descriptor >= 0) {
        close(port->descriptor);
    }
    free(port);
}

static enum fb_error open_serial(struct driver_port *port, struct fb_cause *cause) {
    static const char parities[] = {[PLANT_PARITY_NONE] = 'N', [PLANT_PARITY_EVEN] = 'E', [PLANT_PARITY_ODD] = 'O'};
    const struct plant_bus *bus = port->bus;
    port->modbus = modbus_new_rtu(bus->device, (int)bus->baud, parities[bus->parity], DATA_BITS, bus->stop_bits);
    if (port->modbus == NULL || modbus_connect(port->modbus) < 0)
        return fb_fail_errno(cause, errno == ENOENT ? FB_NOT_FOUND : FB_IO, errno, "%s", bus->device);
    port->descriptor = modbus_get_socket(port->modbus);
    const enum fb_error error = line_settings_check(port->descriptor, bus, DATA_BITS, cause);
    return error == FB_OK ? rs485_set(port->descriptor, bus, cause) : error;
}

static enum fb_error open_over_tcp(struct driver_port *port, struct fb_cause *cause) {
    return tcp_connect(port->bus, &port->descriptor, cause);
}

static enum fb_error open_with(const struct plant_bus *bus,
                               enum fb_error (*open)(struct driver_port *port, struct fb_cause *cause),
                               struct driver_port **ret_port, struct fb_cause *cause) {
    struct driver_port *port = calloc(1, sizeof *port);
    if (port == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    port->bus = bus;
    port->descriptor = -1;
    port->character_us = plan_character_us(bus);
    port->quiet_us = plan_quiet_us(bus);
    const enum fb_error error = open(port, cause);
    /* The connection that broke, or a worker that was killed, may have left a request behind. */
    port->is_new = true;
    port->silent_until_ms = clock_monotonic_ms() + bus->timeout_ms;
    if (error == FB_OK)
        *ret_port = port;
    else
        port_close(port);
    return error;
}

static enum fb_error serial_open(const struct plant_bus *bus, struct driver_port **ret_port, struct fb_cause *cause) {
    return open_with(bus, open_serial, ret_port, cause);
}

static enum fb_error over_tcp_open(const struct plant_bus *bus, struct driver_port **ret_port, struct fb_cause *cause) {
    return open_with(bus, open_over_tcp, ret_port, cause);
}

static void keep_quiet(const struct driver_port *port) {
    const int64_t until_us = port->last_us + port->quiet_us;
    const struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* The time-out is the instrument's own; the time its bytes take is added. */
static int64_t deadline_us(const struct driver_port *port, uint32_t timeout_ms, uint64_t bytes) {
    return clock_monotonic_us() + (int64_t)(timeout_ms * UINT64_C(1000) + bytes * port->character_us);
}

static void fail(struct driver_reply *ret_reply, enum driver_outcome outcome, const char *reason) {
    *ret_reply = (struct driver_reply){.outcome = outcome, .reason = reason};
}

static void fail_closed(const struct driver_port *port, struct driver_reply *ret_reply) {
    fail(ret_reply, DRIVER_CLOSED, port->modbus != NULL ? "the serial port is gone" : "the connection broke");
}

/* Throw away what comes until the line has been idle for so long, or the deadline has come. */
static void discard(const struct driver_port *port, int idle_ms, int64_t deadline_ms) {
    struct pollfd line = {.fd = port->descriptor, .events = POLLIN};
    uint8_t waste[256];
    while (poll(&line, 1, idle_ms) > 0 && read(port->descriptor, waste, sizeof waste) > 0)
        if (clock_monotonic_ms() >= deadline_ms)
            return;
}

/* Other units may be asked meanwhile: their replies cannot be confused with the one that is owed. */
static void wait_for_owed_reply(struct driver_port *port, uint8_t unit) {
    if (port->silent_unit != unit && !port->is_new)
        return;
    const int64_t left_ms = port->silent_until_ms - clock_monotonic_ms();
    if (left_ms > 0)
        discard(port, (int)left_ms, port->silent_until_ms);
    port->silent_unit = 0;
    port->is_new = false;
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

/* Wait for something to read until the deadline: 1, 0 when nothing came, -1 when the line is gone. */
static int wait_for_bytes(const struct driver_port *port, int64_t deadline_us) {
    struct pollfd line = {.fd = port->descriptor, .events = POLLIN};
    for (;;) {
        const int64_t left_us = deadline_us - clock_monotonic_us();
        const struct timespec left = {.tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000};
        const int ready = left_us > 0 ? ppoll(&line, 1, &left, NULL) : 0;
        if (ready >= 0 || errno != EINTR)
            return ready;
    }
}

/* Until the frame is whole, as its own byte count says, and not one byte further: what comes behind it is emptied out
 * before the next request. Returns its length, or 0 with ret_reply filled. */
static size_t receive_frame(struct driver_port *port, int64_t deadline_us, struct driver_reply *ret_reply) {
    size_t have = 0, wanted = REPLY_LEAST_BYTES;
    while (have < wanted) {
        const int ready = wait_for_bytes(port, deadline_us);
        const ssize_t got = ready > 0 ? read(port->descriptor, port->frame + have, wanted - have) : 0;
        if (ready == 0) {
            recorder_note(RECORDER_IN, port->frame, have);
            fail(ret_reply, have > 0 ? DRIVER_UNFIT : DRIVER_SILENT, have > 0 ? "reply too short" : "no reply");
            return 0;
        }
        if (got <= 0) {
            fail_closed(port, ret_reply);
            return 0;
        }
        have += (size_t)got;
        const size_t whole = modbus_frame_rtu_length(port->frame, have);
        if (whole == SIZE_MAX) {
            recorder_note(RECORDER_IN, port->frame, have);
            fail(ret_reply, DRIVER_UNFIT, "not a Modbus RTU frame");
            return 0;
        }
        wanted = whole > wanted ? whole : wanted;
    }
    return have;
}

/* Send the frame and wait for one, which may take so many bytes' time longer than the time-out. Returns its length, or
 * 0 with ret_reply filled. */
static size_t transact(struct driver_port *port, const uint8_t *out, size_t length, uint32_t timeout_ms, size_t most,
                       struct driver_reply *ret_reply) {
    keep_quiet(port);
    discard(port, 0, clock_monotonic_ms() + IDLE_WAIT_MAX_MS);
    const int64_t until_us = deadline_us(port, timeout_ms, length + most);
    if (guard_send(port->descriptor, GUARD_RTU, out, length) != (ssize_t)length) {
        fail_closed(port, ret_reply);
        return 0;
    }
    recorder_note(RECORDER_OUT, out, length);
    const size_t got = receive_frame(port, until_us, ret_reply);
    recorder_note(RECORDER_IN, port->frame, got);
    return got;
}

static void conclude(struct driver_port *port, uint8_t unit, const struct driver_reply *reply) {
    if (reply->outcome == DRIVER_SILENT || reply->outcome == DRIVER_UNFIT)
        recover(port, unit, reply->outcome);
    port->last_us = clock_monotonic_us();
}

static void exchange(struct driver_port *port, const struct plan_request *request, struct driver_reply *ret_reply) {
    uint8_t out[REQUEST_BYTES];
    const uint8_t unit = request->instrument->unit;
    const uint32_t timeout_ms = request->timeout_ms != 0 ? request->timeout_ms : port->bus->timeout_ms;
    wait_for_owed_reply(port, unit);
    modbus_frame_rtu_request(request, out);
    const size_t length =
        transact(port, out, sizeof out, timeout_ms, REPLY_OVERHEAD_BYTES + request->count * 2u, ret_reply);
    if (length > 0)
        modbus_frame_rtu_judge(request, port->frame, length, ret_reply);
    conclude(port, unit, ret_reply);
}

static void write_once(struct driver_port *port, const struct modbus_write *write, struct driver_reply *ret_reply) {
    uint8_t out[WRITE_BYTES_MAX];
    const uint8_t unit = write->bytes[0];
    const uint16_t crc = checksum_crc16(write->bytes, write->length);
    wait_for_owed_reply(port, unit);
    memcpy(out, write->bytes, write->length);
    out[write->length] = (uint8_t)crc;
    out[write->length + 1] = (uint8_t)(crc >> 8);
    const size_t length =
        transact(port, out, write->length + MODBUS_FRAME_CRC_BYTES, port->bus->timeout_ms, REQUEST_BYTES, ret_reply);
    if (length > 0 && modbus_frame_rtu_whole(port->frame, length, ret_reply))
        modbus_write_judge(write, port->frame, length - MODBUS_FRAME_CRC_BYTES, ret_reply);
    conclude(port, unit, ret_reply);
}

const struct driver modbus_rtu_driver = {
    .kind = PLANT_MODBUS_RTU,
    .reopen_after_fault = false,
    .open = serial_open,
    .exchange = exchange,
    .write = write_once,
    .close = port_close,
    .decode = decode_reply,
};

const struct driver modbus_rtu_tcp_driver = {
    .kind = PLANT_MODBUS_RTU_TCP,
    .reopen_after_fault = false,
    .open = over_tcp_open,
    .exchange = exchange,
    .write = write_once,
    .close = port_close,
    .decode = decode_reply,
};
