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

enum fb_error link_trust_connection(const struct link_settings *settings, const struct link_endpoint *endpoint,
                                    struct link_connection *ret_connection, struct fb_cause *cause) {
    const enum fb_error error = link_connection_make(settings, endpoint, ret_connection, cause);
    return error == FB_OK ? link_trust_load(settings, &ret_connection->settings.trust, cause) : error;
}
