/* libmodbus makes the connection; what it leaves behind is an ordinary socket. */
#include "drivers/tcp_connect.h"

#include <errno.h>
#include <fcntl.h>
#include <modbus/modbus.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* A serial server that was switched off and on knows nothing of the connection: without this the kernel would find out
 * only after minutes. */
#define UNHEARD_MS 10000u

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
    const unsigned unheard_ms = timeout_ms > UNHEARD_MS ? timeout_ms : UNHEARD_MS;
    const struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    const int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK) < 0 ||
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
        setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &unheard_ms, sizeof unheard_ms) < 0 ||
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) < 0)
        return -1;
    return 0;
}

enum fb_error tcp_connect(const struct plant_bus *bus, int *ret_descriptor, struct fb_cause *cause) {
    char service[8];
    snprintf(service, sizeof service, "%u", bus->port);
    modbus_t *modbus = modbus_new_tcp_pi(bus->host, service);
    if (modbus == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    modbus_set_response_timeout(modbus, bus->timeout_ms / 1000, bus->timeout_ms % 1000 * 1000);
    const int connected = modbus_connect(modbus);
    int error = errno;
    const int descriptor = modbus_get_socket(modbus);
    modbus_free(modbus); /* does not close */
    if (connected < 0)
        return explain(bus, error, cause);
    if (set_up_socket(descriptor, bus->timeout_ms) < 0) {
        error = errno;
        close(descriptor);
        return fb_fail_errno(cause, FB_IO, error, "%s port %u", bus->host, bus->port);
    }
    *ret_descriptor = descriptor;
    return FB_OK;
}
