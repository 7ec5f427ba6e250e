#include "gateway/amqp/amqp.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "gateway/amqp/connection.h"
#include "gateway/common/clock.h"

#define TIMER_ACCURACY_US 1000

const char *amqp_step_word(enum amqp_step step) {
    static const char *const words[] = {"dns", "tcp", "tls", "sasl", "open", "session", "attach", "credit", "up"};
    return words[step];
}

static void count_bytes(struct amqp *amqp) {
    if (amqp->tls != NULL)
        tls_take_bytes(amqp->tls, &amqp->trail.bytes_in, &amqp->trail.bytes_out);
}

void connection_drop(struct amqp *amqp) {
    count_bytes(amqp);
    amqp->io = sd_event_source_disable_unref(amqp->io);
    tls_free(amqp->tls);
    amqp->tls = NULL;
    if (amqp->descriptor >= 0)
        close(amqp->descriptor);
    amqp->descriptor = -1;
}

/* Give up everything that touches the outside; what is left can only be read. */
static void release(struct amqp *amqp) {
    side_free(amqp);
    resolve_free(amqp->resolve);
    amqp->resolve = NULL;
    amqp->deadline = sd_event_source_disable_unref(amqp->deadline);
    amqp->tick = sd_event_source_disable_unref(amqp->tick);
    amqp->wake = sd_event_source_disable_unref(amqp->wake);
    if (amqp->driver_ready)
        pn_connection_driver_destroy(&amqp->driver);
    amqp->driver_ready = false;
    amqp->link = NULL;
    cbs_end(amqp->cbs);
    free(amqp->outgoing);
    amqp->outgoing = NULL;
    connection_drop(amqp);
}

static void destroy(struct amqp *amqp) {
    release(amqp);
    cbs_free(amqp->cbs);
    amqp_trust_free(amqp->settings.trust);
    free(amqp->container);
    free(amqp->host);
    free(amqp->address);
    sd_event_unref(amqp->event);
    free(amqp);
}

void connection_enter(struct amqp *amqp) {
    amqp->depth++;
}

void connection_leave(struct amqp *amqp) {
    assert(amqp->depth > 0);
    if (amqp->depth == 1 && amqp->ended && !amqp->told) {
        amqp->told = true;
        release(amqp);
        amqp->settings.handlers->closed(amqp, amqp->step, amqp->reason.text, amqp->settings.user);
    }
    if (--amqp->depth == 0 && amqp->freed)
        destroy(amqp);
}

bool connection_over(const struct amqp *amqp) {
    return amqp->ended;
}

void connection_step(struct amqp *amqp, enum amqp_step step) {
    if (amqp->started && step <= amqp->step)
        return;
    amqp->started = true;
    amqp->step = step;
    if (!amqp->trail.reached[step])
        amqp->trail.step_ms[step] = (uint32_t)(clock_monotonic_ms() - amqp->trail.began_ms);
    amqp->trail.reached[step] = true;
    if (amqp->settings.handlers->step != NULL)
        amqp->settings.handlers->step(amqp, step, amqp->settings.user);
    if (!connection_over(amqp))
        side_open(amqp);
}

FB_PRINTF(2, 0) static void set_reason(struct amqp *amqp, const char *format, va_list arguments) {
    if (amqp->reason.text[0] != '\0')
        return;
    char text[FB_CAUSE_MAX];
    vsnprintf(text, sizeof text, format, arguments);
    /* Much of it was written by the peer. */
    for (char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
    fb_fail(&amqp->reason, FB_CLOSED, "%s", text);
}

void connection_reason(struct amqp *amqp, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    set_reason(amqp, format, arguments);
    va_end(arguments);
}

void connection_end(struct amqp *amqp, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    set_reason(amqp, format, arguments);
    va_end(arguments);
    amqp->ended = true;
}

static int on_deadline(sd_event_source *source, uint64_t now_us, void *user) {
    (void)source, (void)now_us;
    struct amqp *amqp = user;
    connection_enter(amqp);
    connect_late(amqp);
    connection_leave(amqp);
    return 0;
}

void connection_deadline(struct amqp *amqp, uint32_t timeout_ms) {
    amqp->deadline = sd_event_source_disable_unref(amqp->deadline);
    if (timeout_ms == 0)
        return;
    if (sd_event_add_time_relative(amqp->event, &amqp->deadline, CLOCK_MONOTONIC, (uint64_t)timeout_ms * 1000,
                                   TIMER_ACCURACY_US, on_deadline, amqp) < 0)
        connection_end(amqp, "no timer for the next step: out of memory");
}

void connection_wake(struct amqp *amqp) {
    if (!amqp->ended)
        sd_event_source_set_enabled(amqp->wake, SD_EVENT_ONESHOT);
}

static int on_wake(sd_event_source *source, void *user) {
    (void)source;
    struct amqp *amqp = user;
    connection_enter(amqp);
    if (amqp->driver_ready)
        pump_run(amqp, 0);
    else if (amqp->closing)
        connection_end(amqp, "closed here");
    else if (amqp->server && amqp->tls == NULL)
        connect_secure(amqp);
    else if (!amqp->server && !amqp->started)
        connect_start(amqp);
    connection_leave(amqp);
    return 0;
}

static char *copy(const char *text) {
    return strdup(text == NULL ? "" : text);
}

static enum fb_error make(sd_event *event, const struct amqp_settings *settings, bool server, struct amqp **ret_amqp,
                          struct fb_cause *cause) {
    struct amqp *amqp = calloc(1, sizeof *amqp);
    if (amqp == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    amqp->event = sd_event_ref(event);
    amqp->server = server;
    amqp->descriptor = -1;
    amqp->starved = true;
    amqp->trail.started_ms = clock_utc_ms();
    amqp->trail.began_ms = clock_monotonic_ms();
    amqp->settings = *settings;
    amqp->settings.trust->holders++;
    amqp->settings.container = amqp->container = copy(settings->container);
    amqp->settings.host = amqp->host = copy(settings->host);
    amqp->settings.address = amqp->address = copy(settings->address);
    const bool copied = amqp->container != NULL && amqp->host != NULL && amqp->address != NULL;
    if (!copied || sd_event_add_defer(event, &amqp->wake, on_wake, amqp) < 0) {
        destroy(amqp);
        return fb_fail(cause, FB_MEMORY, "out of memory");
    }
    if (settings->token != NULL && cbs_new(settings->token, &amqp->cbs, cause) != FB_OK) {
        destroy(amqp);
        return FB_MEMORY;
    }
    amqp->settings.token = NULL;
    *ret_amqp = amqp;
    return FB_OK;
}

enum fb_error amqp_connect(sd_event *event, const struct amqp_settings *settings, struct amqp **ret_amqp,
                           struct fb_cause *cause) {
    return make(event, settings, false, ret_amqp, cause);
}

enum fb_error amqp_accept(sd_event *event, int descriptor, const struct amqp_settings *settings, struct amqp **ret_amqp,
                          struct fb_cause *cause) {
    assert(settings->direction == AMQP_RECEIVE);
    struct amqp *amqp = NULL;
    const enum fb_error error = make(event, settings, true, &amqp, cause);
    if (error != FB_OK) {
        close(descriptor);
        return error;
    }
    amqp->descriptor = descriptor;
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    if (getpeername(descriptor, (struct sockaddr *)&peer, &length) == 0)
        resolve_address_text(&peer, amqp->peer_address);
    *ret_amqp = amqp;
    return FB_OK;
}

void amqp_free(struct amqp *amqp) {
    if (amqp == NULL)
        return;
    amqp->ended = true;
    amqp->told = true;
    amqp->freed = true;
    if (amqp->depth == 0)
        destroy(amqp);
}

void amqp_close(struct amqp *amqp) {
    if (amqp->ended || amqp->closing)
        return;
    connection_reason(amqp, "closed here");
    if (amqp->driver_ready)
        pump_goodbye(amqp, NULL, NULL);
    amqp->closing = true;
    connection_wake(amqp);
}

const char *amqp_tls_version(const struct amqp *amqp) {
    return amqp->tls_version;
}

const char *amqp_peer_address(const struct amqp *amqp) {
    return amqp->peer_address;
}

const char *amqp_peer_name(const struct amqp *amqp) {
    return amqp->peer_name;
}

const struct amqp_trail *amqp_trail(struct amqp *amqp) {
    count_bytes(amqp);
    return &amqp->trail;
}

const struct validity_list *amqp_peer_chain(const struct amqp *amqp) {
    return &amqp->peer_chain;
}
