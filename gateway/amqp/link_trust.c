#include "gateway/amqp/link_trust.h"

_Static_assert(LINK_PINS_MAX == AMQP_PINS_MAX && LINK_CRLS_MAX == AMQP_CRLS_MAX, "all that is configured is used");

enum fb_error link_trust_load(const struct link_settings *settings, struct amqp_trust **ret_trust,
                              struct fb_cause *cause) {
    struct amqp_trust_settings files = {.ca = settings->ca,
                                        .certificate = settings->certificate,
                                        .key = settings->key,
                                        .key_pin_file = settings->key_pin_file};
    for (uint32_t i = 0; i < settings->pin_count; i++)
        files.pins[i] = settings->pins[i];
    for (uint32_t i = 0; i < settings->crl_count; i++)
        files.crls[i] = settings->crls[i];
    return amqp_trust_load(&files, ret_trust, cause);
}
