/* Messages, and what becomes of them. */
#include <proton/delivery.h>
#include <proton/disposition.h>
#include <proton/link.h>
#include <proton/session.h>
#include <proton/transport.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/amqp/codec.h"
#include "gateway/amqp/connection.h"
#include "gateway/common/clock.h"

/* proton keeps the buffer of a settled delivery for the next one, so what is handed over at a time times the messages
 * in flight is what stays allocated. Each slice becomes a frame of its own, which costs the peer time: most batches are
 * one. */
#define SLICE_BYTES 32768

/* Sender: the tag is the number, and the context is set once the outcome has been told. Receiver: the context is the
 * number, since the tag is the peer's. */
uint64_t delivery_number(pn_delivery_t *delivery) {
    if (pn_link_is_receiver(pn_delivery_link(delivery)))
        return (uintptr_t)pn_delivery_get_context(delivery);
    uint64_t number = 0;
    const pn_delivery_tag_t tag = pn_delivery_tag(delivery);
    if (tag.size == sizeof number)
        memcpy(&number, tag.start, sizeof number);
    return number;
}

/* Deliveries are settled about in order, so the one looked for is near the head. */
static pn_delivery_t *find(const struct amqp *amqp, uint64_t number) {
    if (!amqp->driver_ready || amqp->link == NULL)
        return NULL;
    pn_delivery_t *delivery = pn_unsettled_head(amqp->link);
    while (delivery != NULL && delivery_number(delivery) != number)
        delivery = pn_unsettled_next(delivery);
    return delivery;
}

size_t amqp_send_room(const struct amqp *amqp) {
    if (!amqp->driver_ready || amqp->ended || amqp->closing || amqp->step != AMQP_UP || amqp->link == NULL ||
        amqp->outgoing != NULL || !pn_link_is_sender(amqp->link) || pn_link_credit(amqp->link) <= 0)
        return 0;
    const size_t waiting = pn_session_outgoing_bytes(pn_link_session(amqp->link));
    return waiting < CONNECTION_SEND_BYTES_MAX ? CONNECTION_SEND_BYTES_MAX - waiting : 0;
}

bool amqp_held_back(const struct amqp *amqp) {
    return amqp->driver_ready && amqp->link != NULL && !amqp->write_blocked &&
           pn_session_outgoing_bytes(pn_link_session(amqp->link)) > 0;
}

uint64_t amqp_message_bytes_most(const struct amqp *amqp) {
    const uint64_t ours = amqp->settings.message_bytes_most;
    const bool linked = amqp->driver_ready && amqp->link != NULL;
    const uint64_t theirs = linked ? pn_link_remote_max_message_size(amqp->link) : 0;
    return theirs != 0 && (ours == 0 || theirs < ours) ? theirs : ours;
}

static void drop_outgoing(struct amqp *amqp) {
    free(amqp->outgoing);
    amqp->outgoing = NULL;
    amqp->outgoing_delivery = NULL;
}

void delivery_feed(struct amqp *amqp) {
    if (amqp->outgoing == NULL || pn_delivery_pending(amqp->outgoing_delivery) > 0)
        return;
    const size_t left = amqp->outgoing_length - amqp->outgoing_sent;
    const size_t slice = left < SLICE_BYTES ? left : SLICE_BYTES;
    pn_link_send(amqp->link, amqp->outgoing + amqp->outgoing_sent, slice);
    amqp->outgoing_sent += slice;
    if (amqp->outgoing_sent < amqp->outgoing_length)
        return;
    pn_link_advance(amqp->link);
    drop_outgoing(amqp);
}

/* Noted at once where it ends: until the next round it may have come back, and nobody would be told. */
static bool note_room(struct amqp *amqp) {
    const bool room = amqp_send_room(amqp) > 0;
    amqp->starved = amqp->starved || !room;
    return room;
}

enum fb_error amqp_send(struct amqp *amqp, uint64_t delivery, const struct amqp_message *message,
                        struct fb_cause *cause) {
    if (amqp_send_room(amqp) == 0)
        return fb_fail(cause, FB_AGAIN, "no room");
    char *bytes = NULL;
    size_t length = 0;
    const enum fb_error error = codec_encode(message, clock_utc_ms(), &bytes, &length, cause);
    if (error != FB_OK)
        return error;
    const uint64_t most = amqp_message_bytes_most(amqp);
    if (most != 0 && length > most) {
        free(bytes);
        return fb_fail(cause, FB_LIMIT, "a message of %zu bytes is larger than the %llu that the peer takes", length,
                       (unsigned long long)most);
    }
    amqp->outgoing = bytes;
    amqp->outgoing_length = length;
    amqp->outgoing_sent = 0;
    amqp->outgoing_delivery = pn_delivery(amqp->link, pn_dtag((const char *)&delivery, sizeof delivery));
    delivery_feed(amqp);
    note_room(amqp);
    connection_wake(amqp);
    return FB_OK;
}

void amqp_settle(struct amqp *amqp, uint64_t delivery) {
    pn_delivery_t *found = find(amqp, delivery);
    if (found == NULL)
        return;
    if (found == amqp->outgoing_delivery) { /* decided before the peer had it whole */
        drop_outgoing(amqp);
        pn_delivery_abort(found);
    } else {
        pn_delivery_settle(found);
    }
    connection_wake(amqp);
}

static const char *reason_of(pn_delivery_t *delivery, char ret_text[static DELIVERY_REASON_MAX]) {
    pn_condition_t *condition = pn_disposition_condition(pn_delivery_remote(delivery));
    ret_text[0] = '\0';
    if (!pn_condition_is_set(condition))
        return ret_text;
    const char *description = pn_condition_get_description(condition);
    snprintf(ret_text, DELIVERY_REASON_MAX, "%s%s%s", pn_condition_get_name(condition), description == NULL ? "" : ": ",
             description == NULL ? "" : description);
    return ret_text;
}

static enum amqp_outcome outcome_of(uint64_t state) {
    switch (state) {
    case PN_ACCEPTED:
        return AMQP_ACCEPTED;
    case PN_REJECTED:
        return AMQP_REJECTED;
    case PN_RELEASED:
        return AMQP_RELEASED;
    default:
        return AMQP_MODIFIED; /* also for a peer that settles and does not say how: it must not count as taken */
    }
}

bool delivery_decided(pn_delivery_t *delivery, enum amqp_outcome *ret_outcome,
                      char ret_reason[static DELIVERY_REASON_MAX]) {
    const uint64_t state = pn_delivery_remote_state(delivery);
    const bool decided = state == PN_ACCEPTED || state == PN_REJECTED || state == PN_RELEASED || state == PN_MODIFIED ||
                         pn_delivery_settled(delivery);
    pn_delivery_clear(delivery);
    if (!decided || pn_delivery_get_context(delivery) != NULL)
        return false;
    pn_delivery_set_context(delivery, delivery); /* told */
    *ret_outcome = outcome_of(state);
    reason_of(delivery, ret_reason);
    return true;
}

static void sent_changed(struct amqp *amqp, pn_delivery_t *delivery) {
    enum amqp_outcome outcome;
    char reason[DELIVERY_REASON_MAX];
    if (delivery_decided(delivery, &outcome, reason))
        amqp->settings.handlers->outcome(amqp, delivery_number(delivery), outcome, reason, amqp->settings.user);
}

static void too_large(struct amqp *amqp) {
    connection_reason(amqp, "the peer sent a message larger than %zu bytes", amqp->settings.receive_bytes_most);
    pump_goodbye(amqp, "amqp:link:message-size-exceeded", "message larger than was announced");
}

void delivery_refuse(pn_delivery_t *delivery, const char *name, const char *description) {
    pn_condition_t *condition = pn_disposition_condition(pn_delivery_local(delivery));
    pn_condition_set_name(condition, name);
    pn_condition_set_description(condition, description);
    pn_delivery_update(delivery, PN_REJECTED);
    pn_delivery_settle(delivery);
}

static void take(struct amqp *amqp, pn_delivery_t *delivery, size_t length) {
    char *bytes = malloc(length + 1);
    if (bytes == NULL) {
        connection_end(amqp, "out of memory for a message of %zu bytes", length);
        return;
    }
    const ssize_t got = length == 0 ? 0 : pn_link_recv(amqp->link, bytes, length);
    pn_link_advance(amqp->link);
    struct codec_message decoded;
    struct fb_cause cause;
    if (codec_decode(bytes, got > 0 ? (size_t)got : 0, &decoded, &cause) != FB_OK) {
        delivery_refuse(delivery, "amqp:decode-error", cause.text);
    } else {
        const uint64_t number = ++amqp->delivery;
        amqp->unanswered++;
        pn_delivery_set_context(delivery, (void *)(uintptr_t)number);
        amqp->settings.handlers->received(amqp, number, &decoded.message, amqp->settings.user);
        codec_done(&decoded);
    }
    free(bytes);
}

static void received_changed(struct amqp *amqp, pn_delivery_t *delivery) {
    if (pn_delivery_aborted(delivery)) {
        pn_delivery_settle(delivery);
        return;
    }
    if (!pn_delivery_readable(delivery) || amqp->closing)
        return;
    const size_t length = pn_delivery_pending(delivery);
    if (length > amqp->settings.receive_bytes_most)
        too_large(amqp);
    else if (!pn_delivery_partial(delivery))
        take(amqp, delivery, length);
}

void delivery_changed(struct amqp *amqp, pn_delivery_t *delivery) {
    if (amqp->link == NULL || pn_delivery_link(delivery) != amqp->link)
        return;
    if (pn_link_is_sender(amqp->link))
        sent_changed(amqp, delivery);
    else
        received_changed(amqp, delivery);
}

void delivery_answer(pn_delivery_t *delivery, enum amqp_outcome outcome, const char *reason) {
    static const uint64_t states[] = {[AMQP_ACCEPTED] = PN_ACCEPTED, [AMQP_RELEASED] = PN_RELEASED};
    if (outcome == AMQP_REJECTED) {
        delivery_refuse(delivery, "amqp:precondition-failed", reason == NULL ? "" : reason);
    } else if (outcome == AMQP_MODIFIED) {
        pn_disposition_set_failed(pn_delivery_local(delivery), true);
        pn_delivery_update(delivery, PN_MODIFIED);
        pn_delivery_settle(delivery);
    } else {
        pn_delivery_update(delivery, states[outcome]);
        pn_delivery_settle(delivery);
    }
}

void amqp_answer(struct amqp *amqp, uint64_t delivery, enum amqp_outcome outcome, const char *reason) {
    pn_delivery_t *found = find(amqp, delivery);
    if (found == NULL)
        return;
    amqp->unanswered--;
    delivery_answer(found, outcome, reason);
    connection_wake(amqp);
}

void delivery_grant(struct amqp *amqp) {
    if (amqp->link == NULL || amqp->step != AMQP_UP || amqp->closing || !pn_link_is_receiver(amqp->link))
        return;
    const uint32_t most = amqp->settings.receive_credit;
    const uint32_t held = (uint32_t)pn_link_credit(amqp->link) + amqp->unanswered;
    /* By halves: a flow frame for each message would double the traffic of small ones. */
    if (held < most && (most - held >= (most + 1) / 2))
        pn_link_flow(amqp->link, (int)(most - held));
}

void delivery_room(struct amqp *amqp) {
    if (!note_room(amqp) || !amqp->starved)
        return;
    amqp->starved = false;
    if (amqp->settings.handlers->writable != NULL)
        amqp->settings.handlers->writable(amqp, amqp->settings.user);
}
