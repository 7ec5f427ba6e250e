#include "gateway/amqp/link_connection.h"

/* "" when each message names its own. */
static bool find_address(const struct link_settings *settings, const struct link_endpoint *endpoint,
                         char ret_address[static LINK_TEXT_MAX]) {
    ret_address[0] = '\0';
    return cloud_address_varies(endpoint->address) ||
           cloud_address(endpoint->address, settings->gateway, NULL, ret_address, LINK_TEXT_MAX);
}

enum fb_error link_connection_make(const struct link_settings *settings, const struct link_endpoint *endpoint,
                                   struct link_connection *ret_connection, struct fb_cause *cause) {
    const struct cloud_profile *profile = cloud_profile(settings->profile);
    struct link_connection *made = ret_connection;
    const bool token = settings->token_key[0] != '\0';
    made->token = (struct amqp_token_settings){.key_file = settings->token_key,
                                               .key_is_base64 = profile->key_is_base64,
                                               .policy = settings->token_policy,
                                               .resource = made->resource,
                                               .life_ms = settings->token_life_ms};
    made->settings = (struct amqp_settings){
        .container = settings->gateway,
        .host = endpoint->host,
        .port = endpoint->port,
        .direction = AMQP_SEND,
        .address = made->address,
        .token = token ? &made->token : NULL,
        .anonymous = profile->tokens,
        .client_version = profile->link_properties ? "forebay/" FOREBAY_VERSION : NULL,
        .message_bytes_most = profile->message_bytes,
        .connect_timeout_ms = settings->connect_timeout_ms,
        .open_timeout_ms = settings->open_timeout_ms,
        .credit_timeout_ms = settings->ack_timeout_ms,
        .idle_timeout_ms = settings->idle_timeout_ms,
    };
    made->resource[0] = '\0';
    if (find_address(settings, endpoint, made->address) &&
        (!token || cloud_audience(profile, endpoint->host, made->address, made->resource, sizeof made->resource)))
        return FB_OK;
    return fb_fail(cause, FB_LIMIT, "%s: too long once the gateway's name stands in it", endpoint->address);
}
