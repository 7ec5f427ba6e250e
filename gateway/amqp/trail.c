#include "gateway/amqp/trail.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gateway/amqp/certificate.h"

static void date_text(const ASN1_TIME *date, char ret_text[static TRAIL_DATE_MAX]) {
    struct tm when;
    if (ASN1_TIME_to_tm(date, &when) != 1 || strftime(ret_text, TRAIL_DATE_MAX, "%Y-%m-%dT%H:%M:%SZ", &when) == 0)
        ret_text[0] = '\0';
}

static void fingerprint(const X509 *certificate, char ret_text[static TRAIL_SHA256_MAX]) {
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    ret_text[0] = '\0';
    if (X509_digest(certificate, EVP_sha256(), hash, &length) != 1)
        return;
    for (unsigned i = 0; i < length; i++)
        snprintf(ret_text + 2 * (size_t)i, 3, "%02x", hash[i]);
}

void trail_take_chain(struct trail_chain *ret_chain, const STACK_OF(X509) * chain) {
    ret_chain->count = 0;
    for (int i = 0; i < sk_X509_num(chain) && ret_chain->count < TRAIL_CHAIN_MAX; i++) {
        const X509 *certificate = sk_X509_value(chain, i);
        struct trail_certificate *taken = &ret_chain->certificates[ret_chain->count++];
        certificate_subject(certificate, taken->subject, sizeof taken->subject);
        certificate_issuer(certificate, taken->issuer, sizeof taken->issuer);
        fingerprint(certificate, taken->sha256);
        date_text(X509_get0_notBefore(certificate), taken->not_before);
        date_text(X509_get0_notAfter(certificate), taken->not_after);
    }
}

/* Names may be cut in the middle of a character, or be no UTF-8 at all. */
static json_t *text_to_json(const char *text) {
    json_t *json = NULL;
    for (size_t length = strlen(text); json == NULL && length > 0; length--)
        json = json_stringn(text, length);
    return json != NULL ? json : json_string("");
}

json_t *trail_chain_to_json(const struct trail_chain *chain) {
    json_t *list = json_array();
    for (size_t i = 0; i < chain->count; i++) {
        const struct trail_certificate *one = &chain->certificates[i];
        json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:s, s:s}", "sha256", one->sha256, "subject",
                                              text_to_json(one->subject), "issuer", text_to_json(one->issuer),
                                              "not_before", one->not_before, "not_after", one->not_after));
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
