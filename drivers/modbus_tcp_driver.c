/* Modbus TCP. libmodbus makes the connection; request and reply go over its socket by our own two calls, for three
 * reasons: libmodbus 3.1 does not look at the reply's unit, its raw requests have no transaction number, and it takes
 * seven system calls where send() and recv() do. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "drivers/decode.h"
#include "drivers/driver.h"
#include "drivers/guard.h"
#include "drivers/modbus_frame.h"
#include "drivers/modbus_write.h"
#include "drivers/recorder.h"
#include "drivers/tcp_connect.h"
#include "gateway/common/clock.h"

struct driver_port {
    const struct plant_bus *bus;
    int descriptor;
    uint32_t timeout_ms; /* as it is set in the kernel; 0: not yet */
    uint16_t transaction;
    int64_t last_us; /* end of the last exchange, for the pause */
    uint8_t frame[MODBUS_FRAME_TCP_MAX_BYTES];
};

/* The receive time-out is kept in the kernel, for a request should not take a third system call. */
static int set_timeout(struct driver_port *port, uint32_t timeout_ms) {
    if (port->timeout_ms == timeout_ms)
        return 0;
    const struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    port->timeout_ms = timeout_ms;
    return setsockopt(port->descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
}

static void port_close(struct driver_port *port) {
    if (port == NULL)
        return;
    close(port->descriptor);
    free(port);
}

static enum fb_error port_open(const struct plant_bus *bus, struct driver_port **ret_port, struct fb_cause *cause) {
    struct driver_port *port = calloc(1, sizeof *port);
    if (port == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    port->bus = bus;
    const enum fb_error error = tcp_connect(bus, &port->descriptor, cause);
    if (error == FB_OK)
        *ret_port = port;
    else
        free(port);
    return error;
}

static void fail(struct driver_reply *ret_reply, enum driver_outcome outcome, const char *reason) {
    *ret_reply = (struct driver_reply){.outcome = outcome, .reason = reason};
}

/* Until the frame is whole. Never more than a good reply has: what comes behind it belongs to nobody and is found out
 * by the next request. Returns its length, or 0 with ret_reply filled. */
static size_t receive_frame(struct driver_port *port, size_t most, struct driver_reply *ret_reply) {
    const int64_t deadline_ms = clock_monotonic_ms() + port->timeout_ms;
    size_t have = 0;
    for (;;) {
        const ssize_t got = recv(port->descriptor, port->frame + have, most - have, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            fail(ret_reply, DRIVER_CLOSED, got == 0 ? "the instrument closed the connection" : "the connection broke");
            return 0;
        }
        have += got > 0 ? (size_t)got : 0;
        const size_t whole = modbus_frame_tcp_length(port->frame, have);
        if (whole != 0 && (have >= whole || whole > most))
            return have;
        if (got < 0 || clock_monotonic_ms() >= deadline_ms) {
            recorder_note(RECORDER_IN, port->frame, have);
            fail(ret_reply, have > 0 ? DRIVER_UNFIT : DRIVER_SILENT, have > 0 ? "reply too short" : "no reply");
            return 0;
        }
    }
}

static void keep_pause(const struct driver_port *port) {
    if (port->bus->pause_ms == 0)
        return;
    const int64_t until_us = port->last_us + (int64_t)port->bus->pause_ms * 1000;
    const struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* Send the bytes from the unit on behind a header, and wait for a frame of at most most bytes. Returns its length, or 0
 * with ret_reply filled. */
static size_t transact(struct driver_port *port, const uint8_t *bytes, size_t length, uint32_t timeout_ms, size_t most,
                       struct driver_reply *ret_reply) {
    uint8_t out[MODBUS_FRAME_TCP_HEADER_BYTES + MODBUS_WRITE_BYTES_MAX];
    const size_t out_length = MODBUS_FRAME_TCP_HEADER_BYTES + length;
    keep_pause(port);
    port->transaction++;
    modbus_frame_tcp_header(port->transaction, (uint16_t)length, out);
    memcpy(out + MODBUS_FRAME_TCP_HEADER_BYTES, bytes, length);
    if (set_timeout(port, timeout_ms) < 0 ||
        guard_send(port->descriptor, GUARD_TCP, out, out_length) != (ssize_t)out_length) {
        fail(ret_reply, DRIVER_CLOSED, "the connection broke");
        return 0;
    }
    recorder_note(RECORDER_OUT, out, out_length);
    const size_t got = receive_frame(port, most, ret_reply);
    recorder_note(RECORDER_IN, port->frame, got);
    if (port->bus->pause_ms > 0)
        port->last_us = clock_monotonic_us();
    return got;
}

static void exchange(struct driver_port *port, const struct plan_request *request, struct driver_reply *ret_reply) {
    uint8_t bytes[MODBUS_FRAME_REQUEST_BYTES];
    const uint32_t timeout_ms = request->timeout_ms != 0 ? request->timeout_ms : port->bus->timeout_ms;
    modbus_frame_request(request, bytes);
    const size_t length =
        transact(port, bytes, sizeof bytes, timeout_ms, modbus_frame_tcp_reply_bytes(request), ret_reply);
    if (length > 0)
        modbus_frame_tcp_judge(request, port->transaction, port->frame, length, ret_reply);
}

static void write_once(struct driver_port *port, const struct modbus_write *write, struct driver_reply *ret_reply) {
    const size_t length = transact(port, write->bytes, write->length, port->bus->timeout_ms,
                                   MODBUS_FRAME_TCP_HEADER_BYTES + MODBUS_WRITE_REPLY_BYTES, ret_reply);
    if (length > 0 && modbus_frame_tcp_whole(port->transaction, port->frame, length, ret_reply))
        modbus_write_judge(write, port->frame + MODBUS_FRAME_TCP_HEADER_BYTES, length - MODBUS_FRAME_TCP_HEADER_BYTES,
                           ret_reply);
}

const struct driver modbus_tcp_driver = {
    .kind = PLANT_MODBUS_TCP,
    .reopen_after_fault = true,
    .open = port_open,
    .exchange = exchange,
    .write = write_once,
    .close = port_close,
    .decode = decode_reply,
};
