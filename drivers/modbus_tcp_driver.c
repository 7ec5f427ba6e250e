/* Modbus TCP. libmodbus makes the connection; request and reply go over its socket by our own two calls, for three
 * reasons: libmodbus 3.1 does not look at the reply's unit, its raw requests have no transaction number, and it takes
 * seven system calls where send() and recv() do. */
#include <errno.h>
#include <fcntl.h>
#include <modbus/modbus.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "drivers/driver.h"
#include "drivers/modbus_frame.h"
#include "gateway/common/clock.h"

struct driver_port {
    modbus_t *modbus;
    const struct plant_bus *bus;
    int descriptor;
    uint16_t transaction;
    int64_t last_us; /* end of the last exchange, for the pause */
    uint8_t frame[MODBUS_FRAME_TCP_MAX_BYTES];
};

/* libmodbus calls every failure "refused"; a name that nobody knows deserves its own words. */
static enum fb_error explain(const struct plant_bus *bus, int error, struct fb_cause *cause) {
    struct addrinfo *addresses = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const int resolved = getaddrinfo(bus->host, NULL, &hints, &addresses);
    if (resolved != 0)
        return fb_fail(cause, FB_NOT_FOUND, "%s: %s", bus->host, gai_strerror(resolved));
    freeaddrinfo(addresses);
    if (error == EINPROGRESS || error == ETIMEDOUT)
        return fb_fail(cause, FB_TIMEOUT, "%s port %u: no connection in %u ms", bus->host, bus->port, bus->timeout_ms);
    return fb_fail_errno(cause, FB_IO, error, "%s port %u", bus->host, bus->port);
}

static int set_up_socket(int descriptor, uint32_t timeout_ms) {
    const int on = 1;
    const struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    const int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK) < 0 ||
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) < 0 ||
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) < 0)
        return -1;
    return 0;
}

static void port_close(struct driver_port *port) {
    if (port == NULL)
        return;
    if (port->modbus != NULL) {
        modbus_close(port->modbus);
        modbus_free(port->modbus);
    }
    free(port);
}

static enum fb_error port_open(const struct plant_bus *bus, struct driver_port **ret_port, struct fb_cause *cause) {
    struct driver_port *port = calloc(1, sizeof *port);
    if (port == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    char service[8];
    snprintf(service, sizeof service, "%u", bus->port);
    port->bus = bus;
    port->modbus = modbus_new_tcp_pi(bus->host, service);
    if (port->modbus == NULL) {
        port_close(port);
        return fb_fail(cause, FB_MEMORY, "out of memory");
    }
    modbus_set_response_timeout(port->modbus, bus->timeout_ms / 1000, bus->timeout_ms % 1000 * 1000);
    if (modbus_connect(port->modbus) < 0 || set_up_socket(modbus_get_socket(port->modbus), bus->timeout_ms) < 0) {
        const int error = errno;
        port_close(port);
        return explain(bus, error, cause);
    }
    port->descriptor = modbus_get_socket(port->modbus);
    *ret_port = port;
    return FB_OK;
}

static void fail(struct driver_reply *ret_reply, enum driver_outcome outcome, const char *reason) {
    *ret_reply = (struct driver_reply){.outcome = outcome, .reason = reason};
}

/* Until the frame is whole. Never more than a good reply has: what comes behind it belongs to nobody and is found out
 * by the next request. Returns its length, or 0 with ret_reply filled. */
static size_t receive_frame(struct driver_port *port, size_t most, struct driver_reply *ret_reply) {
    const int64_t deadline_ms = clock_monotonic_ms() + port->bus->timeout_ms;
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

static void exchange(struct driver_port *port, const struct plan_request *request, struct driver_reply *ret_reply) {
    keep_pause(port);
    port->transaction++;
    uint8_t out[MODBUS_FRAME_TCP_HEADER_BYTES + MODBUS_FRAME_REQUEST_BYTES];
    modbus_frame_tcp_header(port->transaction, MODBUS_FRAME_REQUEST_BYTES, out);
    modbus_frame_request(request, out + MODBUS_FRAME_TCP_HEADER_BYTES);
    if (send(port->descriptor, out, sizeof out, MSG_NOSIGNAL) != (ssize_t)sizeof out) {
        fail(ret_reply, DRIVER_CLOSED, "the connection broke");
        return;
    }
    const size_t length = receive_frame(port, modbus_frame_tcp_reply_bytes(request), ret_reply);
    if (length > 0)
        modbus_frame_tcp_judge(request, port->transaction, port->frame, length, ret_reply);
    if (port->bus->pause_ms > 0)
        port->last_us = clock_monotonic_us();
}

const struct driver modbus_tcp_driver = {
    .kind = PLANT_MODBUS_TCP,
    .reopen_after_fault = true,
    .open = port_open,
    .exchange = exchange,
    .close = port_close,
};
