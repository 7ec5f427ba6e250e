/* The side session: commands in, replies out, in a session of their own, so that what the peer refuses there (it ends
 * the session), or leaves unanswered, does not touch the main link. Opened again after a while whenever it ends. */
#include <proton/connection.h>
#include <proton/delivery.h>
#include <proton/disposition.h>
#include <proton/link.h>
#include <proton/session.h>
#include <proton/terminus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/amqp/codec.h"
#include "gateway/amqp/connection.h"
#include "gateway/common/backoff.h"
#include "gateway/common/clock.h"

#define TIMER_ACCURACY_US 100000
#define TEXT_MAX 400
/* proton keeps a session until the peer has ended it too: a peer that never does gets no more of them. */
#define ENDS_OWED_MOST 3
/* Bytes of a message before its body: header, properties, annotations of a broker. */
#define SECTIONS_BYTES_MAX 8192

static struct connection_side *side_of(struct amqp *amqp) {
    return amqp->side;
}

static bool is_up(const struct connection_side *side) {
    return side->receiver_up && side->sender_up;
}

static void tell(struct amqp *amqp, bool up, const char *reason) {
    if (amqp->settings.handlers->side_changed != NULL)
        amqp->settings.handlers->side_changed(amqp, up, reason, amqp->settings.user);
}

/* proton keeps what was closed until the connection ends, so it is freed: an endless retry must not grow. */
static void forget(struct amqp *amqp) {
    struct connection_side *side = amqp->side;
    if (side->session != NULL) {
        if ((pn_session_state(side->session) & PN_REMOTE_CLOSED) == 0)
            amqp->side_ends++;
        pn_session_close(side->session);
        pn_session_free(side->session);
    }
    side->session = NULL;
    side->receiver = side->sender = NULL;
    side->receiver_up = side->sender_up = false;
    side->unanswered = 0;
    side->blocked = false;
}

/* The one timer: until the next try, for the peer to agree, or for the peer to take a reply. wait_ms: 0 for no limit.
 */
static void arm(const struct connection_side *side, uint32_t wait_ms) {
    sd_event_source_set_time_relative(side->timer, (uint64_t)wait_ms * 1000);
    sd_event_source_set_enabled(side->timer, wait_ms > 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static void failed(struct amqp *amqp, const char *reason) {
    struct connection_side *side = side_of(amqp);
    char text[FB_CAUSE_MAX];
    snprintf(text, sizeof text, "%s", reason);
    for (char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
    forget(amqp);
    arm(side, backoff_next_ms(&side->backoff, backoff_random()));
    tell(amqp, false, text);
}

/* A time limit for the peer; on a slow line it counts from when the bytes that are ahead now are through. */
static void limit(struct amqp *amqp, uint32_t wait_ms) {
    struct connection_side *side = amqp->side;
    side->seen = amqp_progress(amqp);
    side->counts_to = side->seen.handed + pn_session_outgoing_bytes(side->session);
    arm(side, wait_ms);
}

/* Some of those bytes have got through since the limit was set, or put off: heartbeats alone do not count. */
static bool on_its_way(struct amqp *amqp) {
    struct connection_side *side = amqp->side;
    const struct amqp_progress now = amqp_progress(amqp), seen = side->seen;
    side->seen = now;
    return seen.on_its_way && seen.acknowledged < side->counts_to && now.acknowledged > seen.acknowledged;
}

/* Time for the oldest reply to be taken, while there is one; anew: that has just become another one. */
static void watch_replies(struct amqp *amqp, bool anew) {
    const struct connection_side *side = amqp->side;
    int running = SD_EVENT_OFF;
    sd_event_source_get_enabled(side->timer, &running);
    if (pn_unsettled_head(side->sender) == NULL && !side->blocked)
        arm(side, 0);
    else if (anew || running == SD_EVENT_OFF)
        limit(amqp, amqp->settings.credit_timeout_ms);
}

/* What was waited for has not come. */
static void late(struct amqp *amqp) {
    const struct connection_side *side = side_of(amqp);
    char text[TEXT_MAX + CONNECTION_NAME_MAX];
    if (!is_up(side))
        snprintf(text, sizeof text, "the peer did not agree to the way back at %.200s in %u ms",
                 side->sender_up ? side->source : side->target, amqp->settings.open_timeout_ms);
    else if (pn_unsettled_head(side->sender) != NULL)
        snprintf(text, sizeof text, "the peer left a reply to %.200s unanswered for %u ms", side->target,
                 amqp->settings.credit_timeout_ms);
    else
        snprintf(text, sizeof text, "the peer gave no credit for a reply to %.200s in %u ms", side->target,
                 amqp->settings.credit_timeout_ms);
    failed(amqp, text);
}

static int on_timer(sd_event_source *source, uint64_t now_us, void *user) {
    (void)source, (void)now_us;
    struct amqp *amqp = user;
    connection_enter(amqp);
    if (!connection_over(amqp) && !amqp->closing) {
        const struct connection_side *side = side_of(amqp);
        if (side->session == NULL)
            side_open(amqp);
        else if (on_its_way(amqp))
            arm(side, is_up(side) ? amqp->settings.credit_timeout_ms : amqp->settings.open_timeout_ms);
        else
            late(amqp);
    }
    connection_wake(amqp);
    connection_leave(amqp);
    return 0;
}

void side_open(struct amqp *amqp) {
    struct connection_side *side = side_of(amqp);
    if (side == NULL || side->session != NULL || amqp->step != AMQP_UP || amqp->closing || !amqp->driver_ready)
        return;
    if (amqp->side_ends >= ENDS_OWED_MOST) {
        failed(amqp, "the peer has left the end of earlier sessions of the way back unanswered");
        return;
    }
    char name[CONNECTION_NAME_MAX];
    side->session = pn_session(amqp->driver.connection);
    if (side->session == NULL) {
        failed(amqp, "out of memory");
        return;
    }
    pn_session_set_incoming_capacity(side->session, (size_t)AMQP_SIDE_CREDIT * 2 * CONNECTION_FRAME_BYTES_MAX);
    pn_session_open(side->session);
    snprintf(name, sizeof name, "%.200s/commands", amqp->settings.container);
    side->receiver = pn_receiver(side->session, name);
    pn_link_set_rcv_settle_mode(side->receiver, PN_RCV_FIRST);
    pn_link_set_max_message_size(side->receiver, AMQP_SIDE_BYTES_MAX + SECTIONS_BYTES_MAX);
    pn_terminus_set_address(pn_link_source(side->receiver), side->source);
    snprintf(name, sizeof name, "%.200s/replies", amqp->settings.container);
    side->sender = pn_sender(side->session, name);
    pn_link_set_snd_settle_mode(side->sender, PN_SND_UNSETTLED);
    pn_terminus_set_address(pn_link_target(side->sender), side->target);
    /* Commands first come when both are there: a reply must have somewhere to go. */
    pn_link_open(side->sender);
    pn_link_open(side->receiver);
    limit(amqp, amqp->settings.open_timeout_ms);
}

bool side_has_session(const struct amqp *amqp, const pn_session_t *session) {
    return amqp->side != NULL && session != NULL && amqp->side->session == session;
}

void side_link_open(struct amqp *amqp, pn_link_t *link) {
    struct connection_side *side = side_of(amqp);
    const bool sender = link == side->sender;
    pn_terminus_t *terminus = sender ? pn_link_remote_target(link) : pn_link_remote_source(link);
    if (pn_terminus_get_type(terminus) == PN_UNSPECIFIED)
        return; /* a refusal follows */
    const bool was_up = is_up(side);
    side->sender_up = side->sender_up || sender;
    side->receiver_up = side->receiver_up || !sender;
    if (!is_up(side) || was_up)
        return;
    arm(side, 0);
    tell(amqp, true, "");
}

void side_link_flow(struct amqp *amqp) {
    struct connection_side *side = side_of(amqp);
    if (!is_up(side) || !amqp_side_room(amqp))
        return;
    side->blocked = false;
    watch_replies(amqp, false);
    if (amqp->settings.handlers->side_writable != NULL)
        amqp->settings.handlers->side_writable(amqp, amqp->settings.user);
}

void side_ended(struct amqp *amqp, const char *address, const char *condition) {
    char text[TEXT_MAX + CONNECTION_NAME_MAX];
    snprintf(text, sizeof text, "the peer ended the way back%s%s%s", address[0] != '\0' ? " at " : "", address,
             condition);
    failed(amqp, text);
}

void side_end_answered(struct amqp *amqp) {
    if (amqp->side_ends > 0)
        amqp->side_ends--;
}

static void refuse_message(struct amqp *amqp, pn_delivery_t *delivery, const char *why) {
    delivery_refuse(delivery, "amqp:decode-error", why);
    if (amqp->settings.handlers->side_refused != NULL)
        amqp->settings.handlers->side_refused(amqp, why, amqp->settings.user);
}

static void take(struct amqp *amqp, pn_delivery_t *delivery, const char *bytes, size_t length) {
    struct connection_side *side = side_of(amqp);
    struct codec_message decoded;
    struct fb_cause cause;
    if (codec_decode(bytes, length, &decoded, &cause) != FB_OK) {
        refuse_message(amqp, delivery, cause.text);
        return;
    }
    if (decoded.message.body_length > AMQP_SIDE_BYTES_MAX) {
        refuse_message(amqp, delivery, "the message is too large");
    } else {
        const uint64_t number = ++side->delivery;
        side->unanswered++;
        pn_delivery_set_context(delivery, (void *)(uintptr_t)number);
        amqp->settings.handlers->side_received(amqp, number, &decoded.message, amqp->settings.user);
    }
    codec_done(&decoded);
}

/* What is too large is read and thrown away piece by piece, then refused as a whole: it must not come again. */
static void received(struct amqp *amqp, pn_delivery_t *delivery) {
    static char bytes[AMQP_SIDE_BYTES_MAX + SECTIONS_BYTES_MAX];
    struct connection_side *side = side_of(amqp);
    if (pn_delivery_aborted(delivery)) {
        side->oversized = false;
        pn_delivery_settle(delivery);
        return;
    }
    if (!pn_delivery_readable(delivery) || amqp->closing)
        return;
    const size_t pending = pn_delivery_pending(delivery);
    side->oversized = side->oversized || pending > sizeof bytes;
    if (pn_delivery_partial(delivery) && !side->oversized)
        return;
    size_t length = 0;
    for (size_t left = pending; left > 0;) {
        const ssize_t got = pn_link_recv(side->receiver, bytes, left < sizeof bytes ? left : sizeof bytes);
        if (got <= 0)
            break;
        length = (size_t)got;
        left -= (size_t)got < left ? (size_t)got : left;
    }
    if (pn_delivery_partial(delivery))
        return;
    const bool oversized = side->oversized;
    side->oversized = false;
    pn_link_advance(side->receiver);
    if (oversized)
        refuse_message(amqp, delivery, "the message is too large");
    else
        take(amqp, delivery, bytes, length);
}

void side_delivery(struct amqp *amqp, pn_delivery_t *delivery) {
    struct connection_side *side = side_of(amqp);
    enum amqp_outcome outcome;
    char reason[DELIVERY_REASON_MAX];
    uint64_t number;
    if (pn_delivery_link(delivery) == side->receiver) {
        received(amqp, delivery);
    } else if (delivery_decided(delivery, &outcome, reason)) {
        const bool oldest = delivery == pn_unsettled_head(side->sender);
        number = delivery_number(delivery);
        pn_delivery_settle(delivery);
        /* Only this shows that the way back works; that it came up does not. */
        side->backoff.failures = 0;
        watch_replies(amqp, oldest);
        amqp->settings.handlers->side_outcome(amqp, number, outcome, reason, amqp->settings.user);
    }
}

void side_grant(struct amqp *amqp) {
    const struct connection_side *side = amqp->side;
    if (side == NULL || !is_up(side) || amqp->closing)
        return;
    const int held = pn_link_credit(side->receiver) + (int)side->unanswered;
    if (held < AMQP_SIDE_CREDIT)
        pn_link_flow(side->receiver, AMQP_SIDE_CREDIT - held);
}

void side_free(struct amqp *amqp) {
    struct connection_side *side = side_of(amqp);
    if (side == NULL)
        return;
    sd_event_source_disable_unref(side->timer);
    free(side->source);
    free(side->target);
    free(side);
    amqp->side = NULL;
}

static enum fb_error make(struct amqp *amqp, const char *source, const char *target) {
    struct connection_side *side = amqp->side = calloc(1, sizeof *side);
    if (side == NULL)
        return FB_MEMORY;
    side->backoff = (struct backoff){.first_ms = AMQP_SIDE_RETRY_FIRST_MS, .most_ms = AMQP_SIDE_RETRY_MOST_MS};
    side->source = strdup(source);
    side->target = strdup(target);
    if (side->source == NULL || side->target == NULL ||
        sd_event_add_time(amqp->event, &side->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_US, on_timer, amqp) < 0)
        return FB_MEMORY;
    return sd_event_source_set_enabled(side->timer, SD_EVENT_OFF) < 0 ? FB_MEMORY : FB_OK;
}

enum fb_error amqp_side(struct amqp *amqp, const char *source, const char *target, struct fb_cause *cause) {
    if (amqp->side != NULL && amqp->driver_ready)
        forget(amqp);
    side_free(amqp);
    if (source == NULL) {
        connection_wake(amqp);
        return FB_OK;
    }
    if (make(amqp, source, target) != FB_OK) {
        side_free(amqp);
        return fb_fail(cause, FB_MEMORY, "out of memory");
    }
    side_open(amqp);
    connection_wake(amqp);
    return FB_OK;
}

bool amqp_side_room(const struct amqp *amqp) {
    const struct connection_side *side = amqp->side;
    return side != NULL && amqp->driver_ready && !amqp->ended && !amqp->closing && is_up(side) &&
           pn_link_credit(side->sender) > 0 && pn_session_outgoing_bytes(side->session) < CONNECTION_SEND_BYTES_MAX;
}

/* A reply waits for the peer: not for ever. */
static void no_room(struct amqp *amqp) {
    struct connection_side *side = amqp->side;
    if (side == NULL || !is_up(side) || amqp->ended || amqp->closing)
        return;
    side->blocked = true;
    watch_replies(amqp, false);
}

enum fb_error amqp_side_send(struct amqp *amqp, uint64_t delivery, const struct amqp_message *message,
                             struct fb_cause *cause) {
    if (!amqp_side_room(amqp)) {
        no_room(amqp);
        return fb_fail(cause, FB_AGAIN, "no room");
    }
    char *bytes = NULL;
    size_t length = 0;
    enum fb_error error = codec_encode(message, clock_utc_ms(), &bytes, &length, cause);
    if (error != FB_OK)
        return error;
    const uint64_t most = pn_link_remote_max_message_size(amqp->side->sender);
    if (most != 0 && length > most) {
        error = fb_fail(cause, FB_LIMIT, "a reply of %zu bytes is larger than the %llu that the peer takes", length,
                        (unsigned long long)most);
    } else {
        (void)pn_delivery(amqp->side->sender, pn_dtag((const char *)&delivery, sizeof delivery));
        pn_link_send(amqp->side->sender, bytes, length);
        pn_link_advance(amqp->side->sender);
        watch_replies(amqp, false);
        connection_wake(amqp);
    }
    free(bytes);
    return error;
}

void amqp_side_answer(struct amqp *amqp, uint64_t delivery, enum amqp_outcome outcome, const char *reason) {
    struct connection_side *side = amqp->side;
    if (side == NULL || side->receiver == NULL || !amqp->driver_ready)
        return;
    pn_delivery_t *found = pn_unsettled_head(side->receiver);
    while (found != NULL && delivery_number(found) != delivery)
        found = pn_unsettled_next(found);
    if (found == NULL)
        return;
    side->unanswered--;
    delivery_answer(found, outcome, reason);
    connection_wake(amqp);
}
