#include "gateway/amqp/trail.h"

#include <string.h>

#include "gateway/common/hex.h"

#define NAME_BYTES_MAX 99

/* Names may be cut in the middle of a character, or be no UTF-8 at all. */
static json_t *text_to_json(const char *text) {
    json_t *json = NULL;
    for (size_t length = strnlen(text, NAME_BYTES_MAX); json == NULL && length > 0; length--)
        json = json_stringn(text, length);
    return json != NULL ? json : json_string("");
}

json_t *trail_chain_to_json(const struct validity_list *chain) {
    json_t *list = json_array();
    for (size_t i = 0; i < chain->count && i < TRAIL_CHAIN_MAX; i++) {
        const struct validity *one = &chain->entries[i];
        char hash[2 * sizeof one->hash + 1];
        hex_encode(one->hash, sizeof one->hash, hash);
        json_array_append_new(list, json_pack("{s:o, s:o, s:s, s:I, s:I}", "subject", text_to_json(one->subject),
                                              "issuer", text_to_json(one->issuer), "sha256", hash, "from_ms",
                                              (json_int_t)one->from_ms, "until_ms", (json_int_t)one->until_ms));
    }
    return list;
}

json_t *trail_steps_to_json(const struct amqp_trail *trail) {
    json_t *steps = json_object();
    for (size_t i = 0; i <= AMQP_UP; i++)
        if (trail->reached[i])
            json_object_set_new(steps, amqp_step_word((enum amqp_step)i), json_integer(trail->step_ms[i]));
    return steps;
}

json_t *trail_failed_to_json(const struct amqp_trail *trail) {
    json_t *list = json_array();
    for (size_t i = 0; i < trail->address_count; i++) {
        const struct trail_address *one = &trail->addresses[i];
        if (one->reason[0] != '\0')
            json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "address", one->address, "step",
                                                  amqp_step_word(one->step), "reason", text_to_json(one->reason)));
    }
    return list;
}
