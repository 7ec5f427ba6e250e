/* cloud_profile.h - what differs between the clouds that take the link: one row each. Used by the configuration and by
 * forebay-cloud. Pure. */
#ifndef FB_COMMON_CLOUD_PROFILE_H
#define FB_COMMON_CLOUD_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cloud_kind { CLOUD_AMQP, CLOUD_AZURE_IOTHUB, CLOUD_AZURE_EVENTHUBS };
enum cloud_encoding { CLOUD_BATCH, CLOUD_SENML_JSON };
enum cloud_compression { CLOUD_NONE, CLOUD_ZSTD, CLOUD_GZIP };

/* In the order of the enums, NULL at the end: "amqp", "azure-iothub", "azure-eventhubs"; "batch", "senml+json"; "none",
 * "zstd", "gzip". Words of the configuration; the last ones of the property content-encoding, too. */
extern const char *const cloud_kind_words[];
extern const char *const cloud_encoding_words[];
extern const char *const cloud_compression_words[];

struct cloud_profile {
    const char *address;    /* when none is configured; NULL: one must be */
    uint32_t message_bytes; /* the largest message, 0: what the peer says */
    char separator;         /* between the parts of a message id */
    bool tokens;            /* takes SAS tokens by put-token on $cbs */
    bool certificates;      /* takes client certificates */
    bool policy;            /* a token names the policy whose key signed it */
    bool key_is_base64;     /* the token's key is what its text stands for, not the text itself */
    const char *audience;   /* what a token is for: a template with {host} and {entity} */
    const char *entity_end; /* what of the address is not the entity's name; "": all is */
    bool partition_key;     /* messages are kept in order by the annotation x-opt-partition-key */
    bool link_properties;   /* the link names client and API version */
};

const struct cloud_profile *cloud_profile(enum cloud_kind kind);

/* Put values in place of {name}s. ret_text: size bytes of room. False when it does not fit. */
struct cloud_value {
    const char *name, *value;
};
bool cloud_fill(const char *template_text, const struct cloud_value *values, size_t count, char *ret_text, size_t size);

/* True unless the text has a brace that is no {gateway} or {kind}. */
bool cloud_template_valid(const char *template_text);
/* True when each kind of message has an address of its own. */
bool cloud_address_varies(const char *template_text);
/* The address for a kind of message ("batch" ...); kind: NULL leaves {kind} as it is. */
bool cloud_address(const char *template_text, const char *gateway, const char *kind, char *ret_address, size_t size);
/* What a token for this address must be made for. */
bool cloud_audience(const struct cloud_profile *profile, const char *host, const char *address, char *ret_audience,
                    size_t size);

#endif
