/* The steps before proton: DNS, TCP, TLS. The addresses of the host are tried in their order until one has finished
 * TLS: one that takes connections and then says nothing must not stand in the way of the next. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "gateway/amqp/connection.h"
#include "gateway/common/clock.h"

/* Even behind many silent addresses the last one gets this long. */
#define TCP_LEAST_MS 500

static int on_socket(sd_event_source *source, int descriptor, uint32_t events, void *user) {
    (void)source, (void)descriptor;
    struct amqp *amqp = user;
    connection_enter(amqp);
    if (amqp->driver_ready)
        pump_run(amqp, events);
    else
        connect_ready(amqp);
    connection_leave(amqp);
    return 0;
}

static bool watch(struct amqp *amqp, uint32_t events) {
    const int r = amqp->io == NULL ? sd_event_add_io(amqp->event, &amqp->io, amqp->descriptor, events, on_socket, amqp)
                                   : sd_event_source_set_io_events(amqp->io, events);
    if (r < 0)
        connection_end(amqp, "the socket cannot be watched: %s", strerror(-r));
    return r >= 0;
}

static void note_addresses(struct amqp *amqp) {
    amqp->trail.address_count = amqp->addresses.count;
    for (size_t i = 0; i < amqp->addresses.count; i++)
        resolve_address_text(&amqp->addresses.addresses[i].socket_address, amqp->trail.addresses[i].address);
}

/* None is left: the one that came furthest says the most. */
static void addresses_failed(struct amqp *amqp, const char *why) {
    const struct amqp_trail *trail = &amqp->trail;
    const struct trail_address *furthest = &trail->addresses[0];
    for (size_t i = 1; i < trail->address_count; i++)
        if (trail->addresses[i].step >= furthest->step)
            furthest = &trail->addresses[i];
    amqp->step = furthest->step;
    snprintf(amqp->peer_address, sizeof amqp->peer_address, "%s", furthest->address);
    if (trail->address_count > 1)
        connection_end(amqp, "none of the %zu addresses of %s is of use on port %u; %s came to %s: %s",
                       trail->address_count, amqp->settings.host, amqp->settings.port, furthest->address,
                       amqp_step_word(furthest->step), furthest->reason);
    else if (amqp->step == AMQP_TCP)
        connection_end(amqp, "%s port %u: %s", amqp->peer_address, amqp->settings.port, why);
    else
        connection_end(amqp, "%s", why);
}

/* Put the failed address away. Without another one the connection has ended. */
static void address_failed(struct amqp *amqp, const char *why) {
    struct trail_address *failed = &amqp->trail.addresses[amqp->address_next - 1];
    failed->step = amqp->step;
    snprintf(failed->reason, sizeof failed->reason, "%s", why);
    connection_drop(amqp);
    if (amqp->address_next == amqp->addresses.count) {
        addresses_failed(amqp, why);
        return;
    }
    /* The ones left share the time for TCP anew when TLS has used it up. */
    if (amqp->step == AMQP_TLS)
        amqp->tcp_deadline_ms = clock_monotonic_ms() + amqp->settings.connect_timeout_ms;
    amqp->step = AMQP_TCP;
}

/* Start connecting to one address: 0, or the errno of its failure. */
static int begin(struct amqp *amqp, const struct resolve_address *address) {
    const int descriptor = socket(address->socket_address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return errno;
    amqp->descriptor = descriptor;
    const struct sockaddr *socket_address = (const struct sockaddr *)&address->socket_address;
    if (connect(descriptor, socket_address, address->length) < 0 && errno != EINPROGRESS)
        return errno;
    return 0;
}

/* The time that is left is shared evenly by the addresses that are left. */
static void connect_next(struct amqp *amqp) {
    while (!connection_over(amqp) && amqp->descriptor < 0) {
        const struct resolve_address *address = &amqp->addresses.addresses[amqp->address_next];
        const int64_t left_ms = amqp->tcp_deadline_ms - clock_monotonic_ms();
        const int64_t share_ms = left_ms / (int64_t)(amqp->addresses.count - amqp->address_next);
        amqp->address_next++;
        resolve_address_text(&address->socket_address, amqp->peer_address);
        const int error = begin(amqp, address);
        if (error != 0) {
            address_failed(amqp, strerror(error));
            continue;
        }
        connection_deadline(amqp, share_ms < TCP_LEAST_MS ? TCP_LEAST_MS : (uint32_t)share_ms);
        watch(amqp, EPOLLOUT);
    }
}

static void on_resolved(const struct resolve_answer *answer, void *user) {
    struct amqp *amqp = user;
    connection_enter(amqp);
    amqp->addresses = *answer;
    resolve_free(amqp->resolve);
    amqp->resolve = NULL;
    note_addresses(amqp);
    if (amqp->addresses.count == 0)
        connection_end(amqp, "%s: %s", amqp->settings.host, amqp->addresses.cause.text);
    else
        connection_step(amqp, AMQP_TCP);
    amqp->tcp_deadline_ms = clock_monotonic_ms() + amqp->settings.connect_timeout_ms;
    connect_next(amqp);
    connection_leave(amqp);
}

void connect_start(struct amqp *amqp) {
    connection_step(amqp, AMQP_DNS);
    if (connection_over(amqp))
        return;
    struct fb_cause cause;
    connection_deadline(amqp, amqp->settings.connect_timeout_ms);
    if (resolve_start(amqp->event, amqp->settings.host, amqp->settings.port, on_resolved, amqp, &amqp->resolve,
                      &cause) != FB_OK)
        connection_end(amqp, "%s: %s", amqp->settings.host, cause.text);
}

static void tcp_ready(struct amqp *amqp) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(amqp->descriptor, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error == 0) {
        connect_secure(amqp);
        return;
    }
    address_failed(amqp, strerror(error));
    connect_next(amqp);
}

static void tls_failed(struct amqp *amqp, const char *why) {
    if (amqp->server) {
        connection_end(amqp, "%s", why);
        return;
    }
    address_failed(amqp, why);
    connect_next(amqp);
}

static void handshake(struct amqp *amqp) {
    struct fb_cause cause;
    const enum tls_result result = tls_handshake(amqp->tls, &cause);
    if (result == TLS_WANTS_READ || result == TLS_WANTS_WRITE) {
        watch(amqp, result == TLS_WANTS_READ ? EPOLLIN : EPOLLOUT);
        return;
    }
    amqp->peer_chain = *tls_peer_chain(amqp->tls);
    if (result == TLS_CLOSED)
        fb_fail(&cause, FB_CLOSED, "%s closed the connection during the TLS handshake", amqp->peer_address);
    if (result != TLS_DONE) {
        tls_failed(amqp, cause.text);
        return;
    }
    tls_version(amqp->tls, amqp->tls_version, sizeof amqp->tls_version);
    tls_peer_name(amqp->tls, amqp->peer_name, sizeof amqp->peer_name);
    connection_deadline(amqp, amqp->settings.open_timeout_ms);
    connection_step(amqp, AMQP_SASL);
    if (!connection_over(amqp))
        pump_start(amqp);
}

void connect_secure(struct amqp *amqp) {
    connection_step(amqp, AMQP_TLS);
    if (connection_over(amqp))
        return;
    /* Small messages must not wait for the acknowledgement of the one before. */
    const int on = 1;
    setsockopt(amqp->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    /* A cable that is pulled while bytes of ours are on their way: the kernel is patient for a quarter of an hour. */
    const unsigned patience_ms = amqp->settings.idle_timeout_ms;
    setsockopt(amqp->descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof patience_ms);
    connection_deadline(amqp, amqp->settings.connect_timeout_ms);
    struct fb_cause cause;
    if (tls_open(amqp->settings.trust, amqp->descriptor, amqp->server ? NULL : amqp->settings.host, &amqp->tls,
                 &cause) != FB_OK) {
        connection_end(amqp, "%s", cause.text);
        return;
    }
    if (watch(amqp, EPOLLIN))
        handshake(amqp);
}

void connect_ready(struct amqp *amqp) {
    if (amqp->tls != NULL)
        handshake(amqp);
    else
        tcp_ready(amqp);
}

void connect_late(struct amqp *amqp) {
    struct fb_cause cause;
    if (amqp->closing || amqp->write_broken) {
        connection_end(amqp, "%s", amqp->write_cause.text);
        return;
    }
    switch (amqp->step) {
    case AMQP_DNS:
        connection_end(amqp, "the name servers gave no address for %s in %u ms", amqp->settings.host,
                       amqp->settings.connect_timeout_ms);
        break;
    case AMQP_TCP:
        address_failed(amqp, "no answer in time");
        connect_next(amqp);
        break;
    case AMQP_TLS:
        fb_fail(&cause, FB_TIMEOUT, "%s takes connections but did not answer the TLS handshake in %u ms",
                amqp->peer_address, amqp->settings.connect_timeout_ms);
        tls_failed(amqp, cause.text);
        break;
    case AMQP_CREDIT:
        connection_end(amqp, "%s took the link but gave no credit in %u ms", amqp->peer_address,
                       amqp->settings.credit_timeout_ms);
        break;
    case AMQP_SASL:
    case AMQP_OPEN:
    case AMQP_SESSION:
    case AMQP_ATTACH:
    case AMQP_UP:
        connection_end(amqp, "%s did not finish SASL, open and attach in %u ms: no answer in step %s",
                       amqp->peer_address, amqp->settings.open_timeout_ms, amqp_step_word(amqp->step));
        break;
    }
}
