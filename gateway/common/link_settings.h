/* link_settings.h - what forebay-cloud must know to hold the link: read by config, told by core (LINK_CONFIG). */
#ifndef FB_COMMON_LINK_SETTINGS_H
#define FB_COMMON_LINK_SETTINGS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/cloud_profile.h"
#include "gateway/common/error.h"
#include "gateway/common/pin.h"

#define LINK_TEXT_MAX 256 /* bytes with NUL */
#define LINK_PATH_MAX 1024
#define LINK_PINS_MAX 8
#define LINK_CRLS_MAX 4

/* Ranges: the configuration and the message hold to the same ones. */
#define LINK_WINDOW_MESSAGES_MIN 1
#define LINK_WINDOW_MESSAGES_MAX 1024
#define LINK_WINDOW_BYTES_MIN (256 * 1024)
#define LINK_WINDOW_BYTES_MAX (16 * 1024 * 1024)
#define LINK_TIMEOUT_MIN_MS 1000 /* connect, open, acknowledgement */
#define LINK_IDLE_MIN_MS 2000    /* half of it is what the peer is told, and RabbitMQ 4 takes no less than a second */
#define LINK_TIMEOUT_MAX_MS 600000
#define LINK_TOKEN_LIFE_MIN_MS 10000
#define LINK_TOKEN_LIFE_MAX_MS 86400000
#define LINK_RETRY_FIRST_MIN_MS 100
#define LINK_RETRY_FIRST_MAX_MS 60000
#define LINK_RETRY_MOST_MIN_MS 1000
#define LINK_RETRY_MOST_MAX_MS 300000
#define LINK_RETURN_MIN_MS 1000
#define LINK_RETURN_MAX_MS 86400000
#define LINK_SPARES_MAX 7

/* A peer that takes the link. */
struct link_endpoint {
    char host[LINK_TEXT_MAX];
    uint16_t port;
    char address[LINK_TEXT_MAX];
};

struct link_settings {
    char gateway[64];         /* the gateway's name: AMQP container id */
    char host[LINK_TEXT_MAX]; /* DNS name or address literal; must stand in the peer's certificate (SAN) */
    uint16_t port;            /* 5671 */
    enum cloud_kind profile;
    char address[LINK_TEXT_MAX]; /* AMQP target: "/queues/NAME", "/exchanges/E/{kind}" ...: cloud_address() */
    struct link_endpoint spares[LINK_SPARES_MAX]; /* spare_count of them, in the order of preference */
    uint8_t spare_count;
    char ca[LINK_PATH_MAX];           /* PEM file: the only authorities that are trusted */
    char certificate[LINK_PATH_MAX];  /* PEM file: this device's certificate and chain; "": none, with token_key */
    char key[LINK_PATH_MAX];          /* its private key: PEM file, or "pkcs11:..." (pkcs11_uri.h) */
    char key_pin_file[LINK_PATH_MAX]; /* file with the PIN of the token that holds the key; "": none */
    char pins[LINK_PINS_MAX][PIN_TEXT_MAX]; /* pin_count of them: one must be in the peer's chain; none: any chain */
    uint32_t pin_count;
    char crls[LINK_CRLS_MAX][LINK_PATH_MAX]; /* crl_count of them, PEM files: lists of revoked certificates */
    uint32_t crl_count;                      /* 0: revocation is not checked */
    char token_key[LINK_PATH_MAX];           /* file with the key that signs SAS tokens; "": no tokens */
    char token_policy[LINK_TEXT_MAX];        /* whose key that is; "": the device's own */
    uint32_t token_life_ms;                  /* of each token, default 1 h; renewed at 80 % of it */
    enum cloud_encoding encoding;            /* of batches */
    enum cloud_compression compression;      /* of JSON */
    uint32_t window_messages;                /* unsettled messages at most, default 256 */
    uint32_t window_bytes;                   /* and bytes, default 4 MiB */
    uint32_t connect_timeout_ms;             /* for each of DNS, TCP, TLS; default 10 s */
    uint32_t open_timeout_ms;                /* SASL to attach; default 15 s: RabbitMQ delays a refusal by 3 s */
    uint32_t idle_timeout_ms;                /* a silent peer is gone after it; default 60 s */
    uint32_t ack_timeout_ms;                 /* so is one that acknowledges nothing, or gives no credit; default 60 s */
    uint32_t return_after_ms;                /* from a spare, the preferred one is asked so often; default 30 min */
    uint32_t retry_first_ms;                 /* back-off, default 1 s */
    uint32_t retry_most_ms;                  /* default 5 min; at least retry_first_ms */
};

/* The endpoint of this rank: 0 is the preferred one, then the spares. */
struct link_endpoint link_settings_endpoint(const struct link_settings *settings, size_t rank);
/* "amqps://HOST:PORT" */
#define LINK_URL_MAX (LINK_TEXT_MAX + 32)
void link_endpoint_url(const struct link_endpoint *endpoint, char ret_url[static LINK_URL_MAX]);

/* All members as one object (NULL when out of memory), and back: every field required, unknown ones refused, types,
 * lengths and ranges checked; ret_settings is untouched on failure. */
json_t *link_settings_to_json(const struct link_settings *settings);
enum fb_error link_settings_from_json(const json_t *json, struct link_settings *ret_settings,
                                      struct fb_cause *cause) FB_MUST_USE;

#endif
