/* Bytes between TLS and proton. */
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <proton/connection.h>
#include <proton/link.h>
#include <proton/sasl.h>
#include <proton/session.h>
#include <proton/transport.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "gateway/amqp/connection.h"
#include "gateway/common/clock.h"

/* One wake-up moves at most this many reads and writes, so that a fast peer does not keep the loop from others. */
#define ROUNDS_MOST 16
#define TIMER_ACCURACY_US 10000
#define TLS_RECORD_BYTES 16384 /* RFC 8446, 5.1 */

static const char *ways_to_sign_in(const struct amqp *amqp) {
    if (amqp->cbs != NULL)
        return "ANONYMOUS";
    return amqp->settings.anonymous ? "EXTERNAL ANONYMOUS" : "EXTERNAL";
}

void pump_start(struct amqp *amqp) {
    pn_connection_driver_t *driver = &amqp->driver;
    if (pn_connection_driver_init(driver, NULL, NULL) != 0) {
        connection_end(amqp, "out of memory");
        return;
    }
    amqp->driver_ready = true;
    pn_connection_set_container(driver->connection, amqp->settings.container);
    if (amqp->server) {
        pn_transport_set_server(driver->transport);
        amqp->sasl_server = (struct sasl_server){.user = amqp->peer_name};
        sasl_serve(driver->transport, &amqp->sasl_server);
    } else {
        pn_connection_set_hostname(driver->connection, amqp->settings.host);
        amqp->sasl = (struct sasl_client){.ways = ways_to_sign_in(amqp)};
        sasl_sign_in(driver->transport, &amqp->sasl);
    }
    pn_transport_set_max_frame(driver->transport, CONNECTION_FRAME_BYTES_MAX);
    pn_transport_set_idle_timeout(driver->transport, amqp->settings.idle_timeout_ms);
    pump_run(amqp, 0);
}

static void dispatch(struct amqp *amqp) {
    if (amqp->sasl_server.repeated) {
        connection_end(amqp, "%s signed in twice", amqp->peer_address);
        return;
    }
    /* proton has no event for this on a client. */
    if (amqp->step == AMQP_SASL && pn_sasl_outcome(pn_sasl(amqp->driver.transport)) == PN_SASL_OK)
        connection_step(amqp, AMQP_OPEN);
    while (!connection_over(amqp)) {
        pn_event_t *event = pn_connection_driver_next_event(&amqp->driver);
        if (event == NULL)
            break;
        events_handle(amqp, event);
    }
}

/* The peer takes nothing more. Its last words may be waiting to be read: they say more than EPIPE does. */
static void write_failed(struct amqp *amqp, const struct fb_cause *cause) {
    amqp->write_broken = true;
    amqp->write_cause = *cause;
    connection_deadline(amqp, CONNECTION_GOODBYE_MS);
}

/* While it is on, the kernel joins what is written to segments as large as the path takes. Each TLS record is written
 * by itself, and a peer that is woken for each of them takes half as much time again for its bytes. */
static void cork(struct amqp *amqp, bool on) {
    const int value = on;
    if (amqp->corked != on)
        setsockopt(amqp->descriptor, IPPROTO_TCP, TCP_CORK, &value, sizeof value);
    amqp->corked = on;
}

/* All of proton's buffer at once: a partial write_done() would move the rest to its front each time. */
static bool write_some(struct amqp *amqp) {
    if (amqp->write_broken)
        return false;
    const pn_bytes_t out = pn_connection_driver_write_buffer(&amqp->driver);
    size_t sent = 0;
    amqp->write_blocked = false;
    if (out.size > TLS_RECORD_BYTES)
        cork(amqp, true);
    while (sent < out.size) {
        size_t length = 0;
        struct fb_cause cause = {"the peer closed the connection"};
        const enum tls_result result = tls_write(amqp->tls, out.start + sent, out.size - sent, &length, &cause);
        if (result != TLS_DONE) {
            amqp->write_blocked = result == TLS_WANTS_WRITE;
            if (result == TLS_CLOSED || result == TLS_FAILED)
                write_failed(amqp, &cause);
            break;
        }
        sent += length;
    }
    if (sent > 0)
        pn_connection_driver_write_done(&amqp->driver, sent);
    amqp->write_left = out.size - sent;
    return sent > 0;
}

/* SIOCOUTQ and not TCP_INFO's tcpi_bytes_acked: it is exact beside our own count of what was written, and the same call
 * says whether anything is still under way. */
struct amqp_progress amqp_progress(struct amqp *amqp) {
    int unacknowledged = 0;
    if (amqp->descriptor < 0 || ioctl(amqp->descriptor, SIOCOUTQ, &unacknowledged) < 0)
        unacknowledged = 0;
    const uint64_t written = amqp_trail(amqp)->bytes_out;
    size_t here = amqp->outgoing == NULL ? 0 : amqp->outgoing_length - amqp->outgoing_sent;
    if (amqp->link != NULL)
        here += pn_session_outgoing_bytes(pn_link_session(amqp->link));
    return (struct amqp_progress){
        .acknowledged = written - (uint64_t)unacknowledged,
        .handed = written + amqp->write_left + here,
        .on_its_way = unacknowledged > 0 || amqp->write_blocked,
    };
}

static void peer_closed(struct amqp *amqp) {
    if (amqp->step < AMQP_CREDIT)
        connection_end(amqp, "%s closed the connection without saying why, in step %s", amqp->peer_address,
                       amqp_step_word(amqp->step));
    else
        connection_end(amqp, "%s closed the connection without saying why", amqp->peer_address);
}

static void read_failed(struct amqp *amqp, const struct fb_cause *cause) {
    /* Under TLS 1.3 the refusal of our certificate comes only now. */
    if (tls_alerted(amqp->tls) && !amqp->server && amqp->step < AMQP_SESSION)
        amqp->step = AMQP_TLS;
    connection_end(amqp, "%s", cause->text);
}

static bool read_some(struct amqp *amqp) {
    const pn_rwbytes_t in = pn_connection_driver_read_buffer(&amqp->driver);
    if (in.size == 0)
        return false;
    size_t length = 0;
    struct fb_cause cause;
    const enum tls_result result = tls_read(amqp->tls, in.start, in.size, &length, &cause);
    if (result == TLS_DONE)
        pn_connection_driver_read_done(&amqp->driver, length);
    else if (result == TLS_WANTS_WRITE)
        amqp->write_blocked = true;
    else if (result == TLS_CLOSED)
        peer_closed(amqp);
    else if (result == TLS_FAILED)
        read_failed(amqp, &cause);
    return result == TLS_DONE;
}

/* Nothing more will come of it: proton has written its last byte, and the peer has said goodbye or is not to be
 * listened to any more. */
static bool finished(struct amqp *amqp) {
    pn_connection_driver_t *driver = &amqp->driver;
    if (pn_connection_driver_finished(driver))
        return true;
    const bool peer_done = (pn_connection_state(driver->connection) & PN_REMOTE_CLOSED) != 0 ||
                           pn_condition_is_set(pn_transport_condition(driver->transport));
    return peer_done && (amqp->write_broken || pn_connection_driver_write_closed(driver));
}

static int on_tick(sd_event_source *source, uint64_t now_us, void *user) {
    (void)source, (void)now_us;
    struct amqp *amqp = user;
    connection_enter(amqp);
    pump_run(amqp, 0);
    connection_leave(amqp);
    return 0;
}

/* Heartbeats out, silence in. After reading: what waited in the socket while we were stopped counts as heard. Not
 * before the peer's OPEN: it promises nothing earlier, RabbitMQ thinks for 3 s about a refusal, and open_timeout_ms
 * runs. */
static void tick(struct amqp *amqp) {
    if ((pn_connection_state(amqp->driver.connection) & PN_REMOTE_UNINIT) != 0)
        return;
    const int64_t next_ms = pn_transport_tick(amqp->driver.transport, clock_monotonic_ms());
    if (next_ms <= 0) {
        amqp->tick = sd_event_source_disable_unref(amqp->tick);
        return;
    }
    const uint64_t next_us = (uint64_t)next_ms * 1000;
    if (amqp->tick == NULL) {
        if (sd_event_add_time(amqp->event, &amqp->tick, CLOCK_MONOTONIC, next_us, TIMER_ACCURACY_US, on_tick, amqp) < 0)
            connection_end(amqp, "no timer for heartbeats: out of memory");
        return;
    }
    sd_event_source_set_time(amqp->tick, next_us);
    sd_event_source_set_enabled(amqp->tick, SD_EVENT_ONESHOT);
}

static bool readable(struct amqp *amqp) {
    return pn_connection_driver_read_buffer(&amqp->driver).size > 0;
}

static bool move(struct amqp *amqp) {
    bool moved = true;
    for (unsigned round = 0; moved && round < ROUNDS_MOST; round++) {
        dispatch(amqp);
        if (connection_over(amqp))
            return false;
        delivery_room(amqp);
        if (connection_over(amqp))
            return false;
        delivery_grant(amqp);
        side_grant(amqp);
        delivery_feed(amqp);
        moved = write_some(amqp);
        moved = read_some(amqp) || moved;
        if (connection_over(amqp))
            return false;
    }
    return moved;
}

void pump_run(struct amqp *amqp, uint32_t io_events) {
    bool more = move(amqp);
    if (connection_over(amqp))
        return;
    cork(amqp, false);
    tick(amqp);
    more = more || pn_connection_driver_has_event(&amqp->driver);
    if (!more && finished(amqp)) {
        connection_end(amqp, "%s closed the connection", amqp->peer_address);
        return;
    }
    if (!amqp->write_blocked && !amqp->write_broken && pn_connection_driver_write_buffer(&amqp->driver).size > 0)
        more = true;
    if (more)
        connection_wake(amqp);
    /* A hang-up that can no longer be read out would wake the loop for ever. */
    const bool hung_up = (io_events & (EPOLLHUP | EPOLLERR)) != 0;
    if (hung_up && !readable(amqp)) {
        peer_closed(amqp);
        return;
    }
    sd_event_source_set_io_events(amqp->io, (readable(amqp) ? EPOLLIN : 0u) | (amqp->write_blocked ? EPOLLOUT : 0u));
}

void pump_goodbye(struct amqp *amqp, const char *name, const char *description) {
    pn_connection_t *connection = amqp->driver.connection;
    if (name != NULL) {
        pn_condition_set_name(pn_connection_condition(connection), name);
        pn_condition_set_description(pn_connection_condition(connection), description);
    }
    amqp->closing = true;
    pn_connection_close(connection);
    connection_deadline(amqp, CONNECTION_GOODBYE_MS);
    connection_wake(amqp);
}
