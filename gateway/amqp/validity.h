/* validity.h - until when certificates and lists of revoked ones hold, for the status. Used by gateway/amqp,
 * forebay-cloud, and forebay-core for the page's certificate. */
#ifndef FB_AMQP_VALIDITY_H
#define FB_AMQP_VALIDITY_H

#include <jansson.h>
#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/amqp/certificate.h"

/* Of one file or one chain; more are not looked at. */
#define VALIDITY_MAX 16

struct validity {
    char subject[CERTIFICATE_TEXT_MAX]; /* common name, or whole subject; of a list: its issuer's */
    char issuer[CERTIFICATE_TEXT_MAX];  /* whose certificate signed it; of a list: "" */
    uint8_t hash[32];                   /* SHA-256 of the whole */
    int64_t from_ms, until_ms;          /* UTC; until_ms 0: a list that does not say when the next one comes */
};

struct validity_list {
    struct validity entries[VALIDITY_MAX];
    size_t count;
};

/* Put the certificate at the end; one that does not fit any more is left out. */
void validity_add(struct validity_list *list, const X509 *certificate);

/* All certificates and lists of revoked ones in a PEM text of length bytes, in its order. Other parts are skipped. */
void validity_read(const char *pem, size_t length, struct validity_list *ret_list);

/* Append an object for each entry to the array:
 * {"use", "file", "subject", "sha256", "from_ms", "until_ms" (null for 0), "error": ""}. file: NULL for none. */
void validity_list_to_json(const struct validity_list *list, const char *use, const char *file, json_t *array);

/* The same for a file that is read now. One that cannot be read, or holds nothing, gives one object with "error" and
 * without subject, hash and times. */
void validity_file_to_json(const char *use, const char *file, json_t *array);

#endif
