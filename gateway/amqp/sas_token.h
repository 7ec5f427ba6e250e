/* sas_token.h - shared access signatures: tokens that a key makes for a resource and a time. Pure.
 * Source: Azure, "Control access to IoT Hub with SAS" and "Authenticate access to Event Hubs with SAS".
 * Used by gateway/amqp only. */
#ifndef FB_AMQP_SAS_TOKEN_H
#define FB_AMQP_SAS_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"

#define SAS_TOKEN_MAX 2048    /* bytes with NUL */
#define SAS_TOKEN_KEY_MAX 256 /* bytes */

/* The key as a file holds it: one line of text; blanks around it do not count. ret_key: SAS_TOKEN_KEY_MAX bytes, which
 * the caller wipes. base64: the key is what the text stands for. FB_INVALID: empty, too long, not base64. */
enum fb_error sas_token_key(const char *text, size_t length, bool base64, uint8_t *ret_key, size_t *ret_length,
                            struct fb_cause *cause) FB_MUST_USE;

/* "SharedAccessSignature sr=RESOURCE&sig=SIGNATURE&se=EXPIRY[&skn=POLICY]", the first two percent-encoded.
 * expiry_s: UTC. policy: NULL or "" for the device's own key. FB_LIMIT: longer than SAS_TOKEN_MAX. */
enum fb_error sas_token_make(const uint8_t *key, size_t key_length, const char *resource, const char *policy,
                             int64_t expiry_s, char ret_token[static SAS_TOKEN_MAX],
                             struct fb_cause *cause) FB_MUST_USE;

#endif
