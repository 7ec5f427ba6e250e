#include "gateway/amqp/sasl.h"

#include <proton/sasl.h>
#include <proton/sasl_plugin.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void nothing_to_free(pn_transport_t *transport) {
    (void)transport;
}

static const char *list_mechanisms(pn_transport_t *transport) {
    (void)transport;
    return "EXTERNAL";
}

static bool init_server(pn_transport_t *transport) {
    pnx_sasl_set_desired_state(transport, SASL_POSTED_MECHANISMS);
    return true;
}

static bool init_client(pn_transport_t *transport) {
    (void)transport;
    return true;
}

static void prepare_write(pn_transport_t *transport) {
    (void)transport;
}

/* An authorization id may be sent along; the certificate's name is used whatever it says. proton hands on, and keeps,
 * as many of these frames as come: one is right. */
static void process_init(pn_transport_t *transport, const char *mechanism, const pn_bytes_t *received) {
    (void)received;
    struct sasl_server *server = pnx_sasl_get_context(transport);
    server->repeated = server->asked;
    server->asked = true;
    if (!server->repeated && strcmp(mechanism, "EXTERNAL") == 0)
        pnx_sasl_set_succeeded(transport, server->user, NULL);
    else
        pnx_sasl_set_failed(transport);
    pnx_sasl_set_desired_state(transport, SASL_POSTED_OUTCOME);
}

/* EXTERNAL asks nothing back, so an answer is a breach of the protocol. */
static void process_response(pn_transport_t *transport, const pn_bytes_t *received) {
    (void)received;
    pnx_sasl_set_failed(transport);
    pnx_sasl_set_desired_state(transport, SASL_POSTED_OUTCOME);
}

/* Whether a list of words with a space between them has this one. */
static bool has_word(const char *list, const char *word) {
    const size_t length = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += length)
        if ((at == list || at[-1] == ' ') && (at[length] == '\0' || at[length] == ' '))
            return true;
    return false;
}

static bool process_mechanisms(pn_transport_t *transport, const char *mechanisms) {
    static const struct {
        const char *name, *answer;
    } known[] = {{"EXTERNAL", ""}, {"ANONYMOUS", "anonymous"}};
    struct sasl_client *client = pnx_sasl_get_context(transport);
    /* proton takes the list as often as it comes, and would keep each choice. */
    if (client->chosen)
        return true;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (has_word(client->ways, known[i].name) && has_word(mechanisms, known[i].name)) {
            pnx_sasl_set_selected_mechanism(transport, known[i].name);
            pnx_sasl_set_bytes_out(transport, pn_bytes(strlen(known[i].answer), known[i].answer));
            pnx_sasl_set_desired_state(transport, SASL_POSTED_INIT);
            client->chosen = true;
            return true;
        }
    snprintf(client->offered, sizeof client->offered, "%s", mechanisms);
    return false;
}

static void process_challenge(pn_transport_t *transport, const pn_bytes_t *received) {
    (void)transport, (void)received;
}

static void process_outcome(pn_transport_t *transport, const pn_bytes_t *received) {
    (void)transport, (void)received;
}

static bool can_encrypt(pn_transport_t *transport) {
    (void)transport;
    return false;
}

static ssize_t max_encrypt_size(pn_transport_t *transport) {
    (void)transport;
    return 0;
}

static ssize_t no_layer(pn_transport_t *transport, pn_bytes_t in, pn_bytes_t *out) {
    (void)transport, (void)in, (void)out;
    return 0;
}

static const pnx_sasl_implementation implementation = {
    .free = nothing_to_free,
    .list_mechanisms = list_mechanisms,
    .init_server = init_server,
    .init_client = init_client,
    .prepare_write = prepare_write,
    .process_init = process_init,
    .process_response = process_response,
    .process_mechanisms = process_mechanisms,
    .process_challenge = process_challenge,
    .process_outcome = process_outcome,
    .can_encrypt = can_encrypt,
    .max_encrypt_size = max_encrypt_size,
    .encode = no_layer,
    .decode = no_layer,
};

void sasl_serve(pn_transport_t *transport, struct sasl_server *server) {
    pn_sasl(transport);
    pnx_sasl_set_implementation(transport, &implementation, server);
    pn_sasl_allowed_mechs(pn_sasl(transport), "EXTERNAL");
    pn_transport_require_auth(transport, true);
}

void sasl_sign_in(pn_transport_t *transport, struct sasl_client *client) {
    pn_sasl(transport);
    pnx_sasl_set_implementation(transport, &implementation, client);
}
