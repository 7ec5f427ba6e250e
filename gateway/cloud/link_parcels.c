#include "gateway/cloud/link_parcels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cloud/parcel.h"
#include "gateway/cloud/renderer.h"
#include "gateway/cloud/transit.h"
#include "gateway/cloud/window.h"
#include "gateway/common/clock.h"
#include "gateway/common/log.h"

#define TIMER_ACCURACY_US 1000
/* In ack_timeout: how often it is looked at whether messages are still on their way. One that was through right after
 * a look leaves the peer so much less of it, for its answer. */
#define LOOKS 4

struct link_parcels {
    const struct link_parcels_handlers *handlers;
    void *user;
    const struct link_settings *settings; /* NULL before the first ones */
    struct amqp *amqp;                    /* NULL while stopped */
    const char *address;
    struct window window;
    struct renderer *renderer;
    int64_t last_answer_ms; /* monotonic; of the peer, or when the link came up */
    struct transit transit;
    sd_event_source *silence;
};

static void disarm(struct link_parcels *parcels) {
    sd_event_source_set_enabled(parcels->silence, SD_EVENT_OFF);
}

static int64_t overdue_ms(const struct link_parcels *parcels) {
    const int64_t answered_ms = parcels->last_answer_ms, moved_ms = parcels->transit.moved_ms;
    return window_due_ms(&parcels->window, answered_ms > moved_ms ? answered_ms : moved_ms,
                         parcels->settings->ack_timeout_ms);
}

static void look(struct link_parcels *parcels) {
    struct amqp_progress progress = amqp_progress(parcels->amqp);
    progress.handed += parcels->window.waiting_bytes;
    transit_look(&parcels->transit, &progress, parcels->last_answer_ms, clock_monotonic_ms());
}

static void arm(struct link_parcels *parcels) {
    const int64_t due_ms = overdue_ms(parcels);
    if (due_ms == 0) {
        disarm(parcels);
        return;
    }
    const int64_t left_ms = due_ms - clock_monotonic_ms(), look_ms = parcels->settings->ack_timeout_ms / LOOKS;
    const int64_t wait_ms = left_ms < look_ms ? left_ms : look_ms;
    sd_event_source_set_time_relative(parcels->silence, wait_ms > 0 ? (uint64_t)wait_ms * 1000 : 1);
    sd_event_source_set_enabled(parcels->silence, SD_EVENT_ONESHOT);
}

/* News only ever puts off when the first answer is overdue: a timer that runs finds that out by itself. */
static void watch_silence(struct link_parcels *parcels) {
    int enabled = SD_EVENT_OFF;
    sd_event_source_get_enabled(parcels->silence, &enabled);
    if (enabled != SD_EVENT_OFF)
        return;
    parcels->transit = (struct transit){0};
    look(parcels);
    arm(parcels);
}

static int on_silence(sd_event_source *source, uint64_t now_us, void *user) {
    (void)source, (void)now_us;
    struct link_parcels *parcels = user;
    char reason[FB_CAUSE_MAX];
    look(parcels);
    const int64_t due_ms = overdue_ms(parcels);
    if (due_ms == 0 || due_ms > clock_monotonic_ms()) {
        arm(parcels);
        return 0;
    }
    const int64_t waited_ms = clock_monotonic_ms() - window_oldest_ms(&parcels->window);
    snprintf(reason, sizeof reason,
             "the peer left messages unanswered for %u s; %u wait for it, the oldest for %lld s%s",
             parcels->settings->ack_timeout_ms / 1000, parcels->window.open, (long long)waited_ms / 1000,
             amqp_held_back(parcels->amqp) ? "; it takes no more, as RabbitMQ when it is short of memory or disk" : "");
    parcels->handlers->silent(reason, parcels->user);
    return 0;
}

enum fb_error link_parcels_new(sd_event *event, const struct link_parcels_handlers *handlers, void *user,
                               struct link_parcels **ret_parcels, struct fb_cause *cause) {
    struct link_parcels *parcels = calloc(1, sizeof *parcels);
    if (parcels == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    *parcels = (struct link_parcels){.handlers = handlers, .user = user};
    enum fb_error error = renderer_new(&parcels->renderer, cause);
    if (error == FB_OK &&
        sd_event_add_time(event, &parcels->silence, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_US, on_silence, parcels) < 0)
        error = fb_fail(cause, FB_MEMORY, "out of memory");
    if (error != FB_OK) {
        link_parcels_free(parcels);
        return error;
    }
    disarm(parcels);
    *ret_parcels = parcels;
    return FB_OK;
}

void link_parcels_free(struct link_parcels *parcels) {
    if (parcels == NULL)
        return;
    window_done(&parcels->window);
    renderer_free(parcels->renderer);
    sd_event_source_disable_unref(parcels->silence);
    free(parcels);
}

enum fb_error link_parcels_configure(struct link_parcels *parcels, const struct link_settings *settings,
                                     struct fb_cause *cause) {
    parcels->settings = settings;
    window_done(&parcels->window);
    return window_init(&parcels->window, settings->window_messages, settings->window_bytes, cause);
}

void link_parcels_start(struct link_parcels *parcels, struct amqp *amqp, const char *address) {
    parcels->amqp = amqp;
    parcels->address = address;
    parcels->last_answer_ms = clock_monotonic_ms();
}

static void forget_all(struct link_parcels *parcels) {
    window_forget_all(&parcels->window);
    renderer_stop(parcels->renderer);
    disarm(parcels);
}

void link_parcels_stop(struct link_parcels *parcels) {
    forget_all(parcels);
    parcels->amqp = NULL;
}

void link_parcels_core_gone(struct link_parcels *parcels) {
    for (uint32_t i = 0; i < parcels->window.end; i++)
        if (parcels->window.parcels[i].state == WINDOW_DECIDED)
            amqp_settle(parcels->amqp, parcels->window.parcels[i].delivery);
    forget_all(parcels);
}

uint32_t link_parcels_bytes_most(const struct link_parcels *parcels) {
    /* A batch that goes as JSON goes in as many messages as it takes. */
    const bool whole = !renderer_takes(parcels->settings, PARCEL_BATCH);
    return whole ? parcel_bytes_most(amqp_message_bytes_most(parcels->amqp)) : 0;
}

bool link_parcels_grant(struct link_parcels *parcels, uint32_t *ret_messages, uint32_t *ret_bytes) {
    return window_grant(&parcels->window, ret_messages, ret_bytes);
}

static void tell(struct link_parcels *parcels, struct window_parcel *parcel, enum parcel_outcome outcome,
                 const char *reason) {
    const enum parcel_kind kind = parcel->kind;
    const uint64_t number = parcel->number;
    /* Only an accepted parcel waits until core has written that down; core hands the others out again anyway. */
    if (outcome == PARCEL_ACCEPTED)
        window_decided(&parcels->window, parcel);
    else
        window_forget(&parcels->window, parcel);
    log_event(LOG_LEVEL_DEBUG, "parcel-decided", "kind=%d number=%llu outcome=%d %s", (int)kind,
              (unsigned long long)number, (int)outcome, reason);
    parcels->handlers->decided(kind, number, outcome, reason, parcels->user);
}

/* Hand the next message of a parcel over that goes as JSON, in several when it is long. */
static void forward_rendered(struct link_parcels *parcels, struct window_parcel *parcel) {
    const size_t peer_most = parcel_bytes_most(amqp_message_bytes_most(parcels->amqp));
    const size_t most = peer_most == 0 ? RENDERER_BODY_BYTES_MAX : peer_most;
    struct renderer_body body = {0};
    struct fb_cause cause;
    enum fb_error error = FB_OK;
    if (renderer_at(parcels->renderer) != parcel->delivery)
        error = renderer_begin(parcels->renderer, parcel->delivery, parcel->bytes, parcel->length,
                               parcels->settings->compression, most, &cause);
    if (error == FB_OK)
        error = renderer_next(parcels->renderer, &body, &cause);
    if (error == FB_OK)
        error = parcel_send_rendered(parcels->amqp, parcels->settings, parcels->address, parcel, &body, &cause);
    if (error != FB_OK || body.last)
        renderer_stop(parcels->renderer);
    parcel->messages++;
    if (error == FB_OK && body.last)
        window_sent(&parcels->window, parcel);
    else if (error != FB_OK)
        tell(parcels, parcel, error == FB_AGAIN || error == FB_MEMORY ? PARCEL_RELEASED : PARCEL_REJECTED, cause.text);
}

/* Hand a parcel over while amqp has room. bytes: borrowed; the parcel's own when it has been waiting. */
static void forward(struct link_parcels *parcels, struct window_parcel *parcel, const uint8_t *bytes) {
    struct fb_cause cause;
    if (renderer_takes(parcels->settings, parcel->kind)) {
        forward_rendered(parcels, parcel);
        return;
    }
    const enum fb_error error = parcel_send(parcels->amqp, parcels->settings, parcels->address, parcel, bytes, &cause);
    if (error == FB_OK)
        window_sent(&parcels->window, parcel);
    else
        tell(parcels, parcel, error == FB_LIMIT ? PARCEL_REJECTED : PARCEL_RELEASED, cause.text);
}

static void keep(struct link_parcels *parcels, struct window_parcel *parcel, const uint8_t *bytes) {
    parcel->bytes = malloc(parcel->length);
    if (parcel->bytes == NULL)
        tell(parcels, parcel, PARCEL_RELEASED, "forebay-cloud is out of memory");
    else
        memcpy(parcel->bytes, bytes, parcel->length);
}

/* One that was begun is finished first, whatever has come since. */
static struct window_parcel *next_waiting(const struct link_parcels *parcels) {
    const uint64_t begun = renderer_at(parcels->renderer);
    struct window_parcel *parcel = begun == 0 ? NULL : window_of_delivery(&parcels->window, begun);
    return parcel != NULL && parcel->state == WINDOW_WAITING ? parcel : window_first_waiting(&parcels->window);
}

static void forward_waiting(struct link_parcels *parcels) {
    struct window_parcel *parcel;
    while (amqp_send_room(parcels->amqp) > 0 && (parcel = next_waiting(parcels)) != NULL)
        forward(parcels, parcel, parcel->bytes);
}

/* With JSON every record bears its names: the catalogue itself stays here. */
static void learn(struct link_parcels *parcels, struct window_parcel *parcel, const uint8_t *bytes) {
    struct fb_cause cause;
    if (renderer_learn(parcels->renderer, bytes, parcel->length, &cause) == FB_OK)
        tell(parcels, parcel, PARCEL_ACCEPTED, "");
    else
        tell(parcels, parcel, PARCEL_REJECTED, cause.text);
}

enum fb_error link_parcels_take(struct link_parcels *parcels, const struct cloud_message *parcel,
                                struct fb_cause *cause) {
    struct window_parcel *taken;
    const bool rendered = renderer_takes(parcels->settings, parcel->kind);
    const bool must_wait = rendered || amqp_send_room(parcels->amqp) == 0 || parcels->window.waiting_bytes > 0;
    const enum fb_error error =
        window_take(&parcels->window, parcel->kind, parcel->number, parcel->length, clock_monotonic_ms(), &taken);
    if (error == FB_FULL)
        return fb_fail(cause, FB_FULL, "core sent more than it was asked for");
    if (error == FB_OK) {
        taken->historical = parcel->historical;
        memcpy(taken->store, parcel->store, sizeof taken->store);
        if (rendered && parcel->kind == PARCEL_CATALOGUE)
            learn(parcels, taken, parcel->bytes);
        else if (must_wait)
            keep(parcels, taken, parcel->bytes);
        else
            forward(parcels, taken, parcel->bytes);
    }
    if (rendered)
        forward_waiting(parcels);
    watch_silence(parcels);
    return FB_OK;
}

bool link_parcels_settled(struct link_parcels *parcels, enum parcel_kind kind, uint64_t number) {
    struct window_parcel *parcel = window_of_number(&parcels->window, kind, number);
    /* One that is in flight anew must not be forgotten for the answer to an earlier outcome. */
    if (parcel == NULL || parcel->state != WINDOW_DECIDED)
        return false;
    amqp_settle(parcels->amqp, parcel->delivery);
    window_forget(&parcels->window, parcel);
    return true;
}

void link_parcels_writable(struct link_parcels *parcels) {
    forward_waiting(parcels);
}

/* True when this outcome leaves a parcel of several messages open: the others have not all been accepted yet. */
static bool stays_open(const struct link_parcels *parcels, struct window_parcel *parcel, enum amqp_outcome outcome) {
    if (parcel == NULL || outcome != AMQP_ACCEPTED || !renderer_takes(parcels->settings, parcel->kind))
        return false;
    parcel->accepted++;
    return parcel->state == WINDOW_WAITING || parcel->accepted < parcel->messages;
}

void link_parcels_outcome(struct link_parcels *parcels, uint64_t delivery, enum amqp_outcome outcome,
                          const char *reason) {
    static const enum parcel_outcome outcomes[] = {[AMQP_ACCEPTED] = PARCEL_ACCEPTED,
                                                   [AMQP_REJECTED] = PARCEL_REJECTED,
                                                   [AMQP_RELEASED] = PARCEL_RELEASED,
                                                   [AMQP_MODIFIED] = PARCEL_MODIFIED};
    parcels->last_answer_ms = clock_monotonic_ms();
    window_answered(&parcels->window, parcel_of_delivery(delivery), parcels->last_answer_ms);
    struct window_parcel *parcel = window_of_delivery(&parcels->window, parcel_of_delivery(delivery));
    const bool open = stays_open(parcels, parcel, outcome);
    if (!open && (parcel == NULL || parcel->kind == PARCEL_BATCH || outcome != AMQP_ACCEPTED))
        parcels->handlers->counted(outcome, parcels->user);
    /* Without a parcel it was handed out by a core that has gone since. */
    if (parcel == NULL || outcome != AMQP_ACCEPTED || parcel->messages > 0)
        amqp_settle(parcels->amqp, delivery);
    if (parcel != NULL && !open) {
        char text[FB_CAUSE_MAX];
        tell(parcels, parcel, outcomes[outcome], parcel_reason(outcome, reason, parcels->address, text));
    }
    watch_silence(parcels);
}

uint32_t link_parcels_in_flight(const struct link_parcels *parcels, int64_t *ret_oldest_ms) {
    *ret_oldest_ms = window_oldest_ms(&parcels->window);
    return parcels->window.count;
}
