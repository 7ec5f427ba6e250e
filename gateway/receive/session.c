#include "gateway/receive/session.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "gateway/common/clock.h"
#include "gateway/common/log.h"
#include "gateway/receive/peers.h"

#define TICK_US 1000000u
#define TICKS_A_STATUS 5
#define NOTICES_A_STATUS 20
#define END_TICKS_MAX 3

struct answer {
    struct amqp *amqp;
    uint64_t delivery;
};

struct session {
    const struct session_settings *settings;
    struct receiver *receiver;
    struct fb_cause *cause;
    enum fb_error error;
    sd_event *event;
    sd_event_source *idle, *tick;
    struct peers *peers;
    struct answer pending[SESSION_GROUP_MAX]; /* accepted as soon as they are on disk */
    size_t pending_count;
    int64_t first_pending_ms;
    uint64_t readings; /* in this run */
    bool ready;        /* a peer has been there */
    bool ending;
    int64_t last_message_ms;
    unsigned ticks;
    unsigned notices; /* since the last status */
    struct ledger_totals told;
};

static void tell(struct session *session) {
    char line[256];
    const struct ledger_totals totals = receiver_totals(session->receiver);
    if (totals.rejected + totals.chain_breaks + totals.unnamed_readings > 0)
        fprintf(stderr,
                "rejected %" PRIu64 " messages, found %" PRIu64 " breaks of the chain, named no tag of %" PRIu64
                " readings\n",
                totals.rejected, totals.chain_breaks, totals.unnamed_readings);
    ledger_summary(&totals, line, sizeof line);
    fprintf(stderr, "%s\n", line);
    session->told = totals;
}

static void on_notice(const char *event, const char *text, void *user) {
    struct session *session = user;
    if (session->notices++ < NOTICES_A_STATUS)
        log_event(LOG_LEVEL_NOTICE, event, "%s", text);
}

static void end(struct session *session, enum fb_error error) {
    if (session->error == FB_OK)
        session->error = error;
    sd_event_exit(session->event, 0);
}

static void commit(struct session *session) {
    const enum fb_error error = receiver_commit(session->receiver, session->cause);
    if (error != FB_OK) {
        end(session, error);
        return;
    }
    for (size_t i = 0; i < session->pending_count; i++)
        amqp_answer(session->pending[i].amqp, session->pending[i].delivery, AMQP_ACCEPTED, NULL);
    session->pending_count = 0;
}

/* Commit, then say goodbye; on_left() sees the last one leave, on_tick() ends the waiting. */
static void begin_end(struct session *session) {
    if (session->ending)
        return;
    commit(session);
    session->ending = true;
    session->ticks = 0;
    peers_end(session->peers);
    if (peers_count(session->peers) == 0)
        end(session, FB_OK);
}

/* All the readings that were asked for are there; more would have to be taken to be counted. */
static bool enough(const struct session *session) {
    return session->settings->count > 0 && session->readings >= session->settings->count;
}

static void wait_for_commit(struct session *session, struct amqp *amqp, uint64_t delivery) {
    const int64_t now_ms = clock_monotonic_ms();
    if (session->pending_count == 0)
        session->first_pending_ms = now_ms;
    session->pending[session->pending_count++] = (struct answer){amqp, delivery};
    if (session->pending_count == SESSION_GROUP_MAX || now_ms - session->first_pending_ms >= SESSION_GROUP_MS)
        commit(session);
}

static void on_received(struct amqp *amqp, uint64_t delivery, const struct amqp_message *message, void *user) {
    struct session *session = user;
    struct receiver_result result;
    if (enough(session))
        return;
    session->last_message_ms = clock_monotonic_ms();
    const enum fb_error error = receiver_take(session->receiver, message->subject, message->body, message->body_length,
                                              &result, session->cause);
    if (error != FB_OK) {
        end(session, error);
        return;
    }
    if (result.why.text[0] != '\0')
        on_notice(result.verdict == RECEIVER_ACCEPT ? "batch-remark" : "message-refused", result.why.text, session);
    session->readings += result.readings;
    if (result.verdict == RECEIVER_ACCEPT)
        wait_for_commit(session, amqp, delivery);
    else
        amqp_answer(amqp, delivery, result.verdict == RECEIVER_REJECT ? AMQP_REJECTED : AMQP_RELEASED, result.why.text);
    sd_event_source_set_enabled(session->idle, SD_EVENT_ONESHOT);
}

static void on_ready(void *user) {
    struct session *session = user;
    session->ready = true;
    session->last_message_ms = clock_monotonic_ms();
}

static void on_left(struct amqp *amqp, void *user) {
    struct session *session = user;
    size_t kept = 0;
    for (size_t i = 0; i < session->pending_count; i++)
        if (session->pending[i].amqp != amqp)
            session->pending[kept++] = session->pending[i];
    session->pending_count = kept;
    if (session->ending && peers_count(session->peers) == 0)
        end(session, FB_OK);
}

/* Runs when no socket has anything to say: then waiting for a larger group would gain nothing. */
static int on_idle(sd_event_source *source, void *user) {
    (void)source;
    struct session *session = user;
    commit(session);
    if (enough(session))
        begin_end(session);
    return 0;
}

static void tell_if_changed(struct session *session) {
    const struct ledger_totals totals = receiver_totals(session->receiver);
    if (session->notices > NOTICES_A_STATUS)
        log_event(LOG_LEVEL_NOTICE, "notices-left-out", "count=%u", session->notices - NOTICES_A_STATUS);
    session->notices = 0;
    if (memcmp(&totals, &session->told, sizeof totals) != 0)
        tell(session);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *user) {
    struct session *session = user;
    session->ticks++;
    if (session->ending && session->ticks > END_TICKS_MAX)
        end(session, FB_OK);
    const bool quiet = session->ready && clock_monotonic_ms() - session->last_message_ms >= SESSION_QUIET_MS;
    if (enough(session) || (session->settings->once && quiet))
        begin_end(session);
    if (!session->ending && session->ticks % TICKS_A_STATUS == 0)
        tell_if_changed(session);
    sd_event_source_set_time(source, usec + TICK_US);
    return 0;
}

static int on_end_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *user) {
    (void)source;
    (void)info;
    struct session *session = user;
    if (session->ending)
        end(session, FB_OK); /* asked twice: do not wait for the peers */
    begin_end(session);
    return 0;
}

static int on_tell_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *user) {
    (void)source;
    (void)info;
    tell(user);
    return 0;
}

static int watch_signals(struct session *session) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR1);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -1;
    int result = sd_event_add_signal(session->event, NULL, SIGINT, on_end_signal, session);
    if (result >= 0)
        result = sd_event_add_signal(session->event, NULL, SIGTERM, on_end_signal, session);
    return result >= 0 ? sd_event_add_signal(session->event, NULL, SIGUSR1, on_tell_signal, session) : result;
}

static enum fb_error prepare_loop(struct session *session, struct fb_cause *cause) {
    int result = sd_event_new(&session->event);
    if (result >= 0)
        result = watch_signals(session);
    if (result >= 0)
        result = sd_event_add_defer(session->event, &session->idle, on_idle, session);
    if (result >= 0)
        result = sd_event_source_set_priority(session->idle, SD_EVENT_PRIORITY_IDLE);
    if (result >= 0)
        result = sd_event_source_set_enabled(session->idle, SD_EVENT_OFF);
    if (result >= 0)
        result =
            sd_event_add_time_relative(session->event, &session->tick, CLOCK_MONOTONIC, TICK_US, 1, on_tick, session);
    if (result >= 0)
        result = sd_event_source_set_enabled(session->tick, SD_EVENT_ON);
    return result >= 0 ? FB_OK : fb_fail_errno(cause, FB_IO, -result, "event loop");
}

static enum fb_error run(struct session *session, struct amqp_trust *trust, struct fb_cause *cause) {
    const struct peers_settings settings = {
        .listen = session->settings->listen,
        .endpoint = &session->settings->endpoint,
        .trust = trust,
        .received = on_received,
        .ready = on_ready,
        .left = on_left,
        .notice = on_notice,
        .user = session,
    };
    const enum fb_error error = peers_start(session->event, &settings, &session->peers, cause);
    if (error != FB_OK)
        return error;
    const int result = sd_event_loop(session->event);
    if (result >= 0 && session->error == FB_OK)
        tell(session);
    return result < 0 ? fb_fail_errno(cause, FB_IO, -result, "event loop") : session->error;
}

enum fb_error session_run(const struct session_settings *settings, struct receiver *receiver, struct fb_cause *cause) {
    struct session session = {.settings = settings, .receiver = receiver, .cause = cause};
    session.told = receiver_totals(receiver);
    struct amqp_trust *trust = NULL;
    const struct amqp_trust_settings files = {
        .ca = settings->ca, .certificate = settings->certificate, .key = settings->key, .server = settings->listen};
    enum fb_error error = amqp_trust_load(&files, &trust, cause);
    if (error == FB_OK)
        error = prepare_loop(&session, cause);
    if (error == FB_OK)
        error = run(&session, trust, cause);
    peers_free(session.peers);
    amqp_trust_free(trust);
    sd_event_source_disable_unref(session.idle);
    sd_event_source_disable_unref(session.tick);
    sd_event_unref(session.event);
    return error;
}
