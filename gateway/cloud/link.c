#include "gateway/cloud/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/amqp/link_trust.h"
#include "gateway/amqp/trail.h"
#include "gateway/cloud/attempt.h"
#include "gateway/cloud/certificates.h"
#include "gateway/cloud/endpoints.h"
#include "gateway/cloud/link_expiry.h"
#include "gateway/cloud/link_parcels.h"
#include "gateway/cloud/link_return.h"
#include "gateway/common/backoff.h"
#include "gateway/common/clock.h"
#include "gateway/common/log.h"

#define TIMER_ACCURACY_US 1000

struct link {
    sd_event *event;
    const struct link_handlers *handlers;
    void *user;
    bool has_settings;
    struct link_settings settings;
    bool core_present; /* core has said what it wants, so it may be asked for parcels */
    bool stopping;
    struct amqp *amqp;            /* NULL between two attempts */
    struct link_parcels *parcels; /* started while the link is up */
    struct commands commands;
    struct endpoints endpoints;
    struct link_endpoint endpoint; /* the one in use, or tried last */
    struct link_return *way_back;  /* started while a spare is in use */
    int64_t began_ms;              /* monotonic: the attempt, or the session once it is up */
    uint64_t accepted_before;      /* status.accepted when the attempt began */
    struct certificates *certificates;
    bool files_changed;             /* while an attempt was under way that had read them before */
    struct link_expiry *expiry;     /* started while the link is up */
    char closing_for[FB_CAUSE_MAX]; /* why it is ended here, the next one to follow at once; "": it is not */
    sd_event_source *retry;
    struct status status;
    uint64_t ended_in, ended_out; /* bytes of the connections before this one */
    char logged[FB_CAUSE_MAX];    /* the reason that was logged last: the same one again is no news */
};

static void count_bytes(struct link *link) {
    const struct amqp_trail *trail = link->amqp != NULL ? amqp_trail(link->amqp) : NULL;
    link->status.bytes_in = link->ended_in + (trail != NULL ? trail->bytes_in : 0);
    link->status.bytes_out = link->ended_out + (trail != NULL ? trail->bytes_out : 0);
}

static void changed(struct link *link) {
    link->handlers->changed(link->user);
}

static void set_state(struct link *link, enum status_state state) {
    if (link->status.state != state)
        link->status.since_ms = clock_utc_ms();
    link->status.state = state;
    changed(link);
}

static void arm(sd_event_source *timer, int64_t wait_ms) {
    sd_event_source_set_time_relative(timer, wait_ms > 0 ? (uint64_t)wait_ms * 1000 : 1);
    sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

/* End a connection that works: whether there may be another one shows at once. */
static void close_for(struct link *link, const char *why) {
    snprintf(link->closing_for, sizeof link->closing_for, "%s", why);
    amqp_close(link->amqp);
}

static void disarm(sd_event_source *timer) {
    sd_event_source_set_enabled(timer, SD_EVENT_OFF);
}

/* Core may send more when it is there, the link is up, and the window has room. */
static void ask(struct link *link) {
    uint32_t messages, bytes;
    if (link->status.state == STATUS_UP && link->core_present && !link->stopping &&
        link_parcels_grant(link->parcels, &messages, &bytes))
        link->handlers->next(messages, bytes, link->user);
}

/* The parcels have got on: that may make room, and shows in the status. */
static void moved(struct link *link) {
    ask(link);
    changed(link);
}

static void note_attempt(struct link *link, const char *what, const char *outcome, enum amqp_step step,
                         const char *reason) {
    const struct attempt attempt = {
        .what = what,
        .outcome = outcome,
        .endpoint = link->endpoint,
        .step = step,
        .reason = reason,
        .duration_ms = clock_monotonic_ms() - link->began_ms,
        .accepted = link->status.accepted - link->accepted_before,
    };
    link->handlers->attempted(attempt_to_json(&attempt, link->amqp), link->user);
}

/* The attempt or the connection ends for this reason. */
static void note_end(struct link *link, const char *outcome, enum amqp_step step, const char *reason) {
    if (link->status.state == STATUS_UP)
        note_attempt(link, "connection", outcome, step, reason);
    else if (link->status.state == STATUS_CONNECTING)
        note_attempt(link, "attempt", "failed", step, reason);
}

static void down(struct link *link) {
    const bool was_up = link->status.state == STATUS_UP;
    commands_link(&link->commands, NULL);
    link_parcels_stop(link->parcels);
    count_bytes(link);
    link->ended_in = link->status.bytes_in;
    link->ended_out = link->status.bytes_out;
    amqp_free(link->amqp);
    link->amqp = NULL;
    link_return_stop(link->way_back);
    link_expiry_stop(link->expiry);
    disarm(link->retry);
    link->status.tls[0] = '\0';
    link->status.peer[0] = '\0';
    link->status.retry_at_ms = 0;
    if (was_up && link->core_present)
        link->handlers->down(link->user);
}

static void presented(struct link *link, const struct amqp *amqp) {
    certificates_presented(link->certificates, amqp_peer_chain(amqp));
    link->handlers->certificates(link->user);
}

/* The attempt or the session is over: wait, then try again. */
static void failed(struct link *link, enum amqp_step step, const char *reason) {
    const bool closing = link->closing_for[0] != '\0';
    note_end(link, link->stopping || closing ? "closed" : "broken", step, reason);
    down(link);
    if (link->stopping) {
        link->handlers->stopped(link->user);
        return;
    }
    const uint32_t backoff_ms = closing ? 0 : endpoints_failed(&link->endpoints, backoff_random());
    const uint32_t wait_ms = link->files_changed ? 0 : backoff_ms; /* what was refused may be good now */
    link->status.step = step;
    snprintf(link->status.reason, sizeof link->status.reason, "%s", reason);
    link->status.retry_at_ms = clock_utc_ms() + wait_ms;
    if (strcmp(link->logged, reason) != 0)
        log_event(LOG_LEVEL_WARNING, "link-down", "endpoint=%s step=%s retry_in_ms=%u %s", link->status.endpoint,
                  amqp_step_word(step), wait_ms, reason);
    snprintf(link->logged, sizeof link->logged, "%s", reason);
    arm(link->retry, wait_ms);
    set_state(link, STATUS_WAITING);
}

static void on_closed(struct amqp *amqp, enum amqp_step step, const char *reason, void *user) {
    struct link *link = user;
    presented(link, amqp);
    failed(link, step, link->closing_for[0] != '\0' ? link->closing_for : reason);
}

/* Parcels of the first session of core's have been forgotten by now, so up() comes before anything is asked for. */
static void begin_session(struct link *link) {
    if (link->status.state != STATUS_UP || !link->core_present)
        return;
    link->handlers->up(link_parcels_bytes_most(link->parcels), link->user);
    ask(link);
}

static void came_up(struct link *link) {
    note_attempt(link, "attempt", "up", AMQP_UP, "");
    link->began_ms = clock_monotonic_ms();
    if (link->endpoints.now > 0)
        link_return_start(link->way_back, &link->settings,
                          endpoints_stay_ms(&link->endpoints, link->settings.return_after_ms));
    link_expiry_start(link->expiry);
    link->status.reason[0] = '\0';
    log_event(LOG_LEVEL_NOTICE, "link-up", "endpoint=%s address=%s tls=\"%s\"", link->status.endpoint,
              link->status.address, link->status.tls);
    link->logged[0] = '\0';
    link_parcels_start(link->parcels, link->amqp, link->endpoint.address);
    set_state(link, STATUS_UP);
    commands_link(&link->commands, link->amqp);
    begin_session(link);
}

/* A connection that works stays until the new files are usable as a whole; whether the peer is still trusted under
 * them, the next one shows. */
static void use_changed_files(struct link *link) {
    struct amqp_trust *trust = NULL;
    struct fb_cause cause;
    link->files_changed = false;
    if (link_trust_load(&link->settings, &trust, &cause) != FB_OK) {
        log_event(LOG_LEVEL_WARNING, "link-files-unusable", "the connection stays as it is: %s", cause.text);
    } else {
        amqp_trust_free(trust);
        close_for(link, "closed here, to use renewed certificate files");
    }
}

static void on_step(struct amqp *amqp, enum amqp_step step, void *user) {
    struct link *link = user;
    link->status.step = step;
    log_event(LOG_LEVEL_DEBUG, "step", "step=%s peer=%s", amqp_step_word(step), amqp_peer_address(amqp));
    snprintf(link->status.tls, sizeof link->status.tls, "%s", amqp_tls_version(amqp));
    snprintf(link->status.peer, sizeof link->status.peer, "%s", amqp_peer_address(amqp));
    if (step == AMQP_SASL)
        presented(link, amqp);
    /* Before anything is sent: under the new files the peer may not be trusted any more. */
    if (step == AMQP_UP && link->files_changed)
        use_changed_files(link);
    if (step == AMQP_UP && link->closing_for[0] == '\0')
        came_up(link);
    else
        changed(link);
}

static void on_writable(struct amqp *amqp, void *user) {
    (void)amqp;
    struct link *link = user;
    link_parcels_writable(link->parcels);
    moved(link);
}

static void on_outcome(struct amqp *amqp, uint64_t delivery, enum amqp_outcome outcome, const char *reason,
                       void *user) {
    (void)amqp;
    struct link *link = user;
    link_parcels_outcome(link->parcels, delivery, outcome, reason);
    moved(link);
}

static void on_side_changed(struct amqp *amqp, bool up, const char *reason, void *user) {
    (void)amqp;
    struct link *link = user;
    commands_side_changed(&link->commands, up, reason);
    changed(link);
}

static void on_side_received(struct amqp *amqp, uint64_t delivery, const struct amqp_message *message, void *user) {
    (void)amqp;
    struct link *link = user;
    commands_side_received(&link->commands, delivery, message);
}

static void on_side_refused(struct amqp *amqp, const char *reason, void *user) {
    (void)amqp, (void)user;
    log_event(LOG_LEVEL_WARNING, "command-refused", "%s", reason);
}

static void on_side_writable(struct amqp *amqp, void *user) {
    (void)amqp;
    struct link *link = user;
    commands_side_writable(&link->commands);
}

static void on_side_outcome(struct amqp *amqp, uint64_t delivery, enum amqp_outcome outcome, const char *reason,
                            void *user) {
    (void)amqp;
    struct link *link = user;
    commands_side_outcome(&link->commands, delivery, outcome, reason);
}

static const struct amqp_handlers amqp_handlers = {.step = on_step,
                                                   .writable = on_writable,
                                                   .outcome = on_outcome,
                                                   .side_changed = on_side_changed,
                                                   .side_received = on_side_received,
                                                   .side_refused = on_side_refused,
                                                   .side_writable = on_side_writable,
                                                   .side_outcome = on_side_outcome,
                                                   .closed = on_closed};

static void attempt(struct link *link) {
    struct link_connection wanted;
    struct fb_cause cause;
    link->closing_for[0] = '\0';
    link->files_changed = false;
    link->endpoint = link_settings_endpoint(&link->settings, link->endpoints.now);
    link->began_ms = clock_monotonic_ms();
    link->accepted_before = link->status.accepted;
    link_endpoint_url(&link->endpoint, link->status.endpoint);
    snprintf(link->status.address, sizeof link->status.address, "%s", link->endpoint.address);
    link->status.retry_at_ms = 0;
    link->status.step = AMQP_DNS;
    set_state(link, STATUS_CONNECTING);
    if (link_trust_connection(&link->settings, &link->endpoint, &wanted, &cause) != FB_OK) {
        failed(link, AMQP_TLS, cause.text);
        return;
    }
    wanted.settings.handlers = &amqp_handlers;
    wanted.settings.user = link;
    const enum fb_error error = amqp_connect(link->event, &wanted.settings, &link->amqp, &cause);
    amqp_trust_free(wanted.settings.trust);
    if (error != FB_OK)
        failed(link, AMQP_DNS, cause.text);
}

static void on_asked(json_t *asked, void *user) {
    const struct link *link = user;
    link->handlers->attempted(asked, link->user);
}

static void on_taken(void *user) {
    struct link *link = user;
    if (link->stopping)
        return;
    note_end(link, "closed", AMQP_UP, "the preferred endpoint takes the link again");
    down(link);
    endpoints_return(&link->endpoints);
    attempt(link);
}

static const struct link_return_handlers return_handlers = {.asked = on_asked, .taken = on_taken};

static int on_retry(sd_event_source *source, uint64_t now_us, void *user) {
    (void)source, (void)now_us;
    attempt(user);
    return 0;
}

static void on_files_changed(void *user) {
    struct link *link = user;
    link->handlers->certificates(link->user);
    if (link->stopping || link->closing_for[0] != '\0')
        return;
    if (link->status.state == STATUS_CONNECTING) {
        link->files_changed = true;
    } else if (link->status.state == STATUS_WAITING) { /* what was refused may be good now */
        disarm(link->retry);
        attempt(link);
    } else {
        use_changed_files(link);
    }
}

static void on_expired(const char *reason, void *user) {
    struct link *link = user;
    if (!link->stopping && link->closing_for[0] == '\0')
        close_for(link, reason);
}

static void on_decided(enum parcel_kind kind, uint64_t number, enum parcel_outcome outcome, const char *reason,
                       void *user) {
    const struct link *link = user;
    link->handlers->decided(kind, number, outcome, reason, link->user);
}

static void on_counted(enum amqp_outcome outcome, void *user) {
    struct link *link = user;
    if (outcome == AMQP_ACCEPTED) {
        link->status.accepted++;
        link->status.last_accepted_ms = clock_utc_ms();
        endpoints_worked(&link->endpoints);
    } else if (outcome == AMQP_REJECTED) {
        link->status.rejected++;
    } else {
        link->status.released++;
    }
}

static void on_silent(const char *reason, void *user) {
    struct link *link = user;
    failed(link, link->status.step, reason);
}

static const struct link_parcels_handlers parcels_handlers = {
    .decided = on_decided, .counted = on_counted, .silent = on_silent};

static enum fb_error add_retry(struct link *link, struct fb_cause *cause) {
    if (sd_event_add_time(link->event, &link->retry, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_US, on_retry, link) < 0)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    disarm(link->retry);
    return FB_OK;
}

/* What the link consists of and outlives each connection. */
static enum fb_error add_parts(struct link *link, struct fb_cause *cause) {
    enum fb_error error = certificates_new(link->event, on_files_changed, link, &link->certificates, cause);
    if (error == FB_OK)
        error = link_parcels_new(link->event, &parcels_handlers, link, &link->parcels, cause);
    if (error == FB_OK)
        error = link_return_new(link->event, &return_handlers, link, &link->way_back, cause);
    if (error == FB_OK)
        error = link_expiry_new(link->event, link->certificates, on_expired, link, &link->expiry, cause);
    return error == FB_OK ? add_retry(link, cause) : error;
}

static void on_command(const struct command *command, void *user) {
    const struct link *link = user;
    link->handlers->command(command, link->user);
}

enum fb_error link_new(sd_event *event, const struct link_handlers *handlers, void *user, struct link **ret_link,
                       struct fb_cause *cause) {
    struct link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    link->event = sd_event_ref(event);
    link->handlers = handlers;
    link->user = user;
    link->status.since_ms = clock_utc_ms();
    commands_init(&link->commands, on_command, link);
    const enum fb_error error = add_parts(link, cause);
    if (error != FB_OK) {
        link_free(link);
        return error;
    }
    *ret_link = link;
    return FB_OK;
}

void link_free(struct link *link) {
    if (link == NULL)
        return;
    amqp_free(link->amqp);
    link_return_free(link->way_back);
    link_expiry_free(link->expiry);
    link_parcels_free(link->parcels);
    commands_done(&link->commands);
    certificates_free(link->certificates);
    sd_event_source_disable_unref(link->retry);
    sd_event_unref(link->event);
    free(link);
}

static void apply(struct link *link, const struct link_settings *settings) {
    note_end(link, "closed", link->status.step, "the configuration has changed");
    down(link);
    link->has_settings = settings != NULL;
    link->status.reason[0] = '\0';
    link->logged[0] = '\0';
    link->closing_for[0] = '\0';
    certificates_watch(link->certificates, settings);
    link->handlers->certificates(link->user);
    if (settings == NULL) {
        set_state(link, STATUS_OFF);
        return;
    }
    link->settings = *settings;
    link->endpoints =
        endpoints_new((uint8_t)(1 + settings->spare_count), settings->retry_first_ms, settings->retry_most_ms);
    struct fb_cause cause;
    if (link_parcels_configure(link->parcels, &link->settings, &cause) != FB_OK) {
        failed(link, AMQP_DNS, cause.text);
        return;
    }
    attempt(link);
}

static bool same_settings(const struct link_settings *a, const struct link_settings *b) {
    json_t *json_a = link_settings_to_json(a);
    json_t *json_b = link_settings_to_json(b);
    const bool same = json_equal(json_a, json_b);
    json_decref(json_a);
    json_decref(json_b);
    return same;
}

void link_configure(struct link *link, const struct link_settings *settings) {
    if (link->stopping)
        return;
    const bool same =
        settings == NULL ? !link->has_settings : link->has_settings && same_settings(&link->settings, settings);
    const bool known = link->core_present;
    if (!same)
        apply(link, settings);
    link->core_present = true;
    if (!known)
        commands_core(&link->commands, true);
    if (!known)
        begin_session(link);
    changed(link);
}

void link_core_gone(struct link *link) {
    link->core_present = false;
    commands_core(&link->commands, false);
    link_parcels_core_gone(link->parcels);
    changed(link);
}

enum fb_error link_forward(struct link *link, const struct cloud_message *parcel, struct fb_cause *cause) {
    if (link->status.state != STATUS_UP || link->stopping)
        return FB_OK;
    const enum fb_error error = link_parcels_take(link->parcels, parcel, cause);
    if (error == FB_OK)
        moved(link);
    return error;
}

void link_settled(struct link *link, enum parcel_kind kind, uint64_t number) {
    if (link_parcels_settled(link->parcels, kind, number))
        moved(link);
}

void link_commands(struct link *link, const struct cloud_message *config) {
    commands_configure(&link->commands, config->address, config->replies, config->gateway);
    changed(link);
}

void link_reply(struct link *link, const struct cloud_message *reply) {
    commands_reply(&link->commands, reply);
}

void link_stop(struct link *link) {
    link->stopping = true;
    if (link->amqp != NULL)
        amqp_close(link->amqp);
    else
        link->handlers->stopped(link->user);
}

/* What changes with every message is looked up here, for the few times that somebody asks. */
const struct status *link_status(struct link *link) {
    int64_t oldest_ms;
    link->status.commands = link->commands.state;
    snprintf(link->status.commands_reason, sizeof link->status.commands_reason, "%s", link->commands.reason);
    count_bytes(link);
    link->status.in_flight = link_parcels_in_flight(link->parcels, &oldest_ms);
    link->status.oldest_in_flight_ms = oldest_ms == 0 ? 0 : clock_utc_ms() - (clock_monotonic_ms() - oldest_ms);
    return &link->status;
}

json_t *link_certificates(const struct link *link) {
    return certificates_to_json(link->certificates);
}
