#include "gateway/cloud/status.h"

#include <jansson.h>

static json_t *time_or_null(int64_t time_ms) {
    return time_ms == 0 ? json_null() : json_integer(time_ms);
}

/* Reasons quote certificates and peers, which may hold anything. */
static json_t *text_or_note(const char *text) {
    json_t *json = json_string(text);
    return json != NULL ? json : json_string("(the text is not UTF-8)");
}

char *status_to_text(const struct status *status) {
    static const char *const words[] = {"off", "connecting", "up", "waiting"};
    json_t *json = json_pack(
        "{s:s, s:I, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:{s:s, s:o}}", "state",
        words[status->state], "since_ms", (json_int_t)status->since_ms, "endpoint", text_or_note(status->endpoint),
        "address", text_or_note(status->address), "step", amqp_step_word(status->step), "reason",
        text_or_note(status->reason), "tls", text_or_note(status->tls), "peer", text_or_note(status->peer),
        "last_accepted_ms", time_or_null(status->last_accepted_ms), "in_flight", (json_int_t)status->in_flight,
        "oldest_in_flight_ms", time_or_null(status->oldest_in_flight_ms), "accepted", (json_int_t)status->accepted,
        "rejected", (json_int_t)status->rejected, "released", (json_int_t)status->released, "bytes_in",
        (json_int_t)status->bytes_in, "bytes_out", (json_int_t)status->bytes_out, "retry_at_ms",
        time_or_null(status->retry_at_ms), "commands", "state", commands_state_word(status->commands), "reason",
        text_or_note(status->commands_reason));
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}
