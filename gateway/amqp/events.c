/* What proton reports, and what follows from it. */
#include <proton/condition.h>
#include <proton/connection.h>
#include <proton/delivery.h>
#include <proton/event.h>
#include <proton/link.h>
#include <proton/sasl.h>
#include <proton/session.h>
#include <proton/terminus.h>
#include <proton/transport.h>
#include <stdio.h>
#include <string.h>

#include "gateway/amqp/connection.h"

#define CONDITION_TEXT_MAX 400

/* At least two frames, and always room for one whole message. */
#define INCOMING_BYTES_LEAST (1024u * 1024)

/* ": name: description", or nothing. */
static const char *condition_text(pn_condition_t *condition, char ret_text[static CONDITION_TEXT_MAX]) {
    ret_text[0] = '\0';
    if (condition == NULL || !pn_condition_is_set(condition))
        return ret_text;
    const char *description = pn_condition_get_description(condition);
    snprintf(ret_text, CONDITION_TEXT_MAX, ": %s%s%s", pn_condition_get_name(condition),
             description == NULL ? "" : ": ", description == NULL ? "" : description);
    return ret_text;
}

static void prepare_session(struct amqp *amqp, pn_session_t *session) {
    const size_t wanted = 2 * amqp->settings.receive_bytes_most;
    pn_session_set_incoming_capacity(session, wanted > INCOMING_BYTES_LEAST ? wanted : INCOMING_BYTES_LEAST);
    pn_session_open(session);
}

/* Client: not of the main link's session, so of the side session, or of one that has just been given up. */
static bool is_aside(const struct amqp *amqp, const pn_session_t *session) {
    return !amqp->server && (amqp->link == NULL || pn_link_session(amqp->link) != session);
}

/* Azure tells clients apart by these. */
static void put_link_properties(pn_data_t *properties, const char *client_version) {
    static const char version[] = "com.microsoft:client-version", api[] = "com.microsoft:api-version";
    static const char api_version[] = "2021-04-12";
    pn_data_put_map(properties);
    pn_data_enter(properties);
    pn_data_put_symbol(properties, pn_bytes(strlen(version), version));
    pn_data_put_string(properties, pn_bytes(strlen(client_version), client_version));
    pn_data_put_symbol(properties, pn_bytes(strlen(api), api));
    pn_data_put_string(properties, pn_bytes(strlen(api_version), api_version));
    pn_data_exit(properties);
}

void events_open_link(struct amqp *amqp) {
    pn_session_t *session = pn_session(amqp->driver.connection);
    prepare_session(amqp, session);
    if (amqp->settings.direction == AMQP_SEND) {
        amqp->link = pn_sender(session, amqp->settings.container);
        pn_link_set_snd_settle_mode(amqp->link, PN_SND_UNSETTLED);
        if (amqp->settings.address[0] != '\0')
            pn_terminus_set_address(pn_link_target(amqp->link), amqp->settings.address);
    } else {
        amqp->link = pn_receiver(session, amqp->settings.container);
        pn_terminus_set_address(pn_link_source(amqp->link), amqp->settings.address);
        pn_link_set_max_message_size(amqp->link, amqp->settings.receive_bytes_most);
    }
    if (amqp->settings.client_version != NULL)
        put_link_properties(pn_link_properties(amqp->link), amqp->settings.client_version);
    pn_link_open(amqp->link);
    if (amqp->cbs != NULL)
        connection_step(amqp, AMQP_SESSION);
}

/* Client: everything is asked for at once; the peer answers in order. Only a token must have been taken first. */
static void on_connection_init(struct amqp *amqp, pn_event_t *event) {
    if (amqp->server)
        return;
    pn_connection_open(pn_event_connection(event));
    if (amqp->cbs == NULL)
        events_open_link(amqp);
}

/* proton takes a second OPEN, and keeps both. */
static void on_connection_open(struct amqp *amqp, pn_event_t *event) {
    if (amqp->peer_open) {
        connection_end(amqp, "%s opened the connection twice", amqp->peer_address);
        return;
    }
    amqp->peer_open = true;
    if (amqp->server)
        pn_connection_open(pn_event_connection(event));
    if (amqp->cbs == NULL)
        connection_step(amqp, AMQP_SESSION);
    else
        cbs_open(amqp);
}

static void on_session_open(struct amqp *amqp, pn_event_t *event) {
    if (amqp->server)
        prepare_session(amqp, pn_event_session(event));
    if (!is_aside(amqp, pn_event_session(event)))
        connection_step(amqp, AMQP_ATTACH);
}

static void refuse_link(pn_link_t *link, const char *description) {
    pn_condition_set_name(pn_link_condition(link), "amqp:not-allowed");
    pn_condition_set_description(pn_link_condition(link), description);
    pn_link_open(link);
    pn_link_close(link);
}

static void serve_link(struct amqp *amqp, pn_link_t *link) {
    if (!pn_link_is_receiver(link)) {
        refuse_link(link, "nothing can be fetched here: attach a sender");
        return;
    }
    if (amqp->link != NULL) {
        refuse_link(link, "one link only");
        return;
    }
    amqp->link = link;
    pn_terminus_copy(pn_link_source(link), pn_link_remote_source(link));
    pn_terminus_copy(pn_link_target(link), pn_link_remote_target(link));
    pn_link_set_max_message_size(link, amqp->settings.receive_bytes_most);
    pn_link_open(link);
    connection_deadline(amqp, 0);
    connection_step(amqp, AMQP_UP);
}

static void on_link_open(struct amqp *amqp, pn_event_t *event) {
    pn_link_t *link = pn_event_link(event);
    if (cbs_owns(amqp, pn_link_session(link))) {
        cbs_link_ready(amqp);
        return;
    }
    if (is_aside(amqp, pn_link_session(link))) {
        if (side_has_session(amqp, pn_link_session(link)))
            side_link_open(amqp, link);
        return;
    }
    if (amqp->server) {
        if ((pn_link_state(link) & PN_LOCAL_UNINIT) != 0)
            serve_link(amqp, link);
        return;
    }
    const bool sends = amqp->settings.direction == AMQP_SEND;
    pn_terminus_t *terminus = sends ? pn_link_remote_target(link) : pn_link_remote_source(link);
    /* A peer that refuses answers with no terminus, and says why in the detach that follows (part 2, 2.6.3). */
    if (pn_terminus_get_type(terminus) == PN_UNSPECIFIED)
        return;
    connection_deadline(amqp, sends ? amqp->settings.credit_timeout_ms : 0);
    connection_step(amqp, sends ? AMQP_CREDIT : AMQP_UP);
}

static void on_link_flow(struct amqp *amqp, pn_event_t *event) {
    const pn_session_t *session = pn_link_session(pn_event_link(event));
    if (cbs_owns(amqp, session))
        cbs_link_ready(amqp);
    if (side_has_session(amqp, session))
        side_link_flow(amqp);
    if (is_aside(amqp, session) || amqp->settings.direction != AMQP_SEND || amqp->step != AMQP_CREDIT ||
        pn_link_credit(pn_event_link(event)) <= 0)
        return;
    connection_deadline(amqp, 0);
    connection_step(amqp, AMQP_UP);
}

/* A session beside the main one has ended, or a link of it; link: NULL for the session. */
static void aside_ended(struct amqp *amqp, const pn_session_t *session, const pn_link_t *link,
                        pn_condition_t *condition) {
    char why[CONDITION_TEXT_MAX];
    condition_text(condition, why);
    if (cbs_owns(amqp, session)) {
        cbs_refused(amqp, why);
    } else if (side_has_session(amqp, session)) {
        const struct connection_side *side = amqp->side;
        side_ended(amqp, link == NULL ? "" : link == side->sender ? side->target : side->source, why);
    } else if (link == NULL) {
        side_end_answered(amqp);
    }
}

/* Server: the link is over. A peer that is done closes the connection next; it must not stay for nothing. */
static void served(struct amqp *amqp) {
    amqp->link = NULL;
    amqp->unanswered = 0;
    connection_deadline(amqp, amqp->settings.open_timeout_ms);
}

/* Server: proton keeps what was closed until the connection ends, so it is freed: a peer may ask again for years. */
static void on_link_close(struct amqp *amqp, pn_event_t *event) {
    pn_link_t *link = pn_event_link(event);
    if (is_aside(amqp, pn_link_session(link))) {
        aside_ended(amqp, pn_link_session(link), link, pn_link_remote_condition(link));
        return;
    }
    if (!amqp->server) {
        char text[CONDITION_TEXT_MAX];
        connection_reason(amqp, "the peer detached the link to %s%s", amqp->settings.address,
                          condition_text(pn_link_remote_condition(link), text));
        pump_goodbye(amqp, NULL, NULL);
        return;
    }
    const bool ours = link == amqp->link;
    pn_link_close(link);
    pn_link_free(link);
    if (ours)
        served(amqp);
}

static void on_session_close(struct amqp *amqp, pn_event_t *event) {
    pn_session_t *session = pn_event_session(event);
    if (is_aside(amqp, session)) {
        aside_ended(amqp, session, NULL, pn_session_remote_condition(session));
        return;
    }
    if (amqp->server) {
        /* Another one is beside it, such as for commands, which there are none of here. */
        const bool ours = amqp->link != NULL && pn_link_session(amqp->link) == session;
        pn_session_close(session);
        pn_session_free(session);
        if (ours)
            served(amqp);
        return;
    }
    char text[CONDITION_TEXT_MAX];
    connection_reason(amqp, "the peer ended the session for %s%s", amqp->settings.address,
                      condition_text(pn_session_remote_condition(session), text));
    pump_goodbye(amqp, NULL, NULL);
}

static void on_connection_close(struct amqp *amqp, pn_event_t *event) {
    char text[CONDITION_TEXT_MAX];
    connection_reason(amqp, "%s closed the connection%s", amqp->peer_address,
                      condition_text(pn_connection_remote_condition(pn_event_connection(event)), text));
    pump_goodbye(amqp, NULL, NULL);
}

/* proton's words are of no use: it only says which way was tried, or "none". */
static void not_signed_in(struct amqp *amqp, const char *condition) {
    const char *tried = pn_sasl_get_mech(pn_sasl(amqp->driver.transport));
    const char *offered = amqp->sasl.offered[0] != '\0' ? amqp->sasl.offered : "nothing";
    if (tried == NULL)
        connection_reason(amqp, "the peer offers none of our ways to sign in (%s); it offers %s", amqp->sasl.ways,
                          offered);
    else if (strcmp(tried, "ANONYMOUS") == 0)
        connection_reason(amqp, "the peer does not let us sign in without a name (ANONYMOUS)%s", condition);
    else
        connection_reason(amqp, "the peer does not accept the name in our certificate%s", condition);
}

static void on_transport_error(struct amqp *amqp, pn_event_t *event) {
    pn_condition_t *condition = pn_transport_condition(pn_event_transport(event));
    const char *description = pn_condition_get_description(condition);
    if (description != NULL && strstr(description, "local-idle-timeout") != NULL) {
        connection_end(amqp, "%s was silent for %u ms", amqp->peer_address, amqp->settings.idle_timeout_ms);
        return;
    }
    char text[CONDITION_TEXT_MAX];
    const char *name = pn_condition_get_name(condition);
    const bool refused = !amqp->server && name != NULL && strcmp(name, "amqp:unauthorized-access") == 0;
    condition_text(condition, text);
    if (refused)
        not_signed_in(amqp, text);
    else
        connection_reason(amqp, "AMQP failed%s", text);
    /* With a full socket proton never gets its last frame out. */
    amqp->closing = true;
    connection_deadline(amqp, CONNECTION_GOODBYE_MS);
}

static void on_delivery(struct amqp *amqp, pn_event_t *event) {
    pn_delivery_t *delivery = pn_event_delivery(event);
    const pn_session_t *session = pn_link_session(pn_delivery_link(delivery));
    if (cbs_owns(amqp, session))
        cbs_delivery(amqp, delivery);
    else if (side_has_session(amqp, session))
        side_delivery(amqp, delivery);
    else
        delivery_changed(amqp, delivery);
}

static void (*const handlers[])(struct amqp *, pn_event_t *) = {
    [PN_CONNECTION_INIT] = on_connection_init,
    [PN_CONNECTION_REMOTE_OPEN] = on_connection_open,
    [PN_SESSION_REMOTE_OPEN] = on_session_open,
    [PN_LINK_REMOTE_OPEN] = on_link_open,
    [PN_LINK_FLOW] = on_link_flow,
    [PN_DELIVERY] = on_delivery,
    [PN_LINK_REMOTE_CLOSE] = on_link_close,
    [PN_LINK_REMOTE_DETACH] = on_link_close,
    [PN_SESSION_REMOTE_CLOSE] = on_session_close,
    [PN_CONNECTION_REMOTE_CLOSE] = on_connection_close,
    [PN_TRANSPORT_ERROR] = on_transport_error,
};

void events_handle(struct amqp *amqp, pn_event_t *event) {
    const size_t type = (size_t)pn_event_type(event);
    if (type < sizeof handlers / sizeof handlers[0] && handlers[type] != NULL)
        handlers[type](amqp, event);
}
