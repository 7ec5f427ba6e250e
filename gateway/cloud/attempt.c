#include "gateway/cloud/attempt.h"

#include "gateway/amqp/trail.h"
#include "gateway/common/clock.h"

/* What is left out when it is too long, in this order. Without them the limits of the other texts hold it below. */
static const char *const details[] = {"failed_addresses", "chain", "steps"};

/* Reasons quote peers, which may say anything. */
static json_t *text_or_note(const char *text) {
    json_t *json = json_string(text);
    return json != NULL ? json : json_string("(the text is not UTF-8)");
}

static void add_trail(json_t *json, struct amqp *amqp) {
    const struct amqp_trail *trail = amqp_trail(amqp);
    json_object_set_new(json, "started_ms", json_integer(trail->started_ms));
    json_object_set_new(json, "peer", json_string(amqp_peer_address(amqp)));
    json_object_set_new(json, "peer_name", text_or_note(amqp_peer_name(amqp)));
    json_object_set_new(json, "tls", json_string(amqp_tls_version(amqp)));
    json_object_set_new(json, "bytes_in", json_integer((json_int_t)trail->bytes_in));
    json_object_set_new(json, "bytes_out", json_integer((json_int_t)trail->bytes_out));
    json_object_set_new(json, "steps", trail_steps_to_json(trail));
    json_object_set_new(json, "failed_addresses", trail_failed_to_json(trail));
    json_object_set_new(json, "chain", trail_chain_to_json(amqp_peer_chain(amqp)));
}

static void shorten(json_t *json) {
    for (size_t i = 0; i < sizeof details / sizeof details[0]; i++)
        if (json_dumpb(json, NULL, 0, JSON_COMPACT) > ATTEMPT_BYTES_MAX)
            json_object_del(json, details[i]);
}

json_t *attempt_to_json(const struct attempt *attempt, struct amqp *amqp) {
    char url[LINK_URL_MAX];
    link_endpoint_url(&attempt->endpoint, url);
    json_t *json = json_pack("{s:s, s:s, s:I, s:I, s:o, s:o, s:s, s:o, s:I}", "what", attempt->what, "outcome",
                             attempt->outcome, "started_ms", (json_int_t)clock_utc_ms(), "duration_ms",
                             (json_int_t)attempt->duration_ms, "endpoint", text_or_note(url), "address",
                             text_or_note(attempt->endpoint.address), "step", amqp_step_word(attempt->step), "reason",
                             text_or_note(attempt->reason), "accepted", (json_int_t)attempt->accepted);
    if (json != NULL && amqp != NULL)
        add_trail(json, amqp);
    if (json != NULL)
        shorten(json);
    return json;
}
