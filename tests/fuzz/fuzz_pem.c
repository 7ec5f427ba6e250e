// links: gateway/amqp/certificate.c gateway/amqp/crl.c gateway/amqp/private_key.c gateway/amqp/token_key.c gateway/amqp/validity.c gateway/common/error.c gateway/common/file.c gateway/common/pkcs11_uri.c
/* Any bytes as one of the files of trust: certificates and lists for the status, lists for the check, a key. */
#include <assert.h>
#include <string.h>

#include "gateway/amqp/crl.h"
#include "gateway/amqp/private_key.h"
#include "gateway/amqp/validity.h"

static void try_validity(const char *pem, size_t size) {
    struct validity_list list;
    validity_read(pem, size, &list);
    assert(list.count <= VALIDITY_MAX);
    json_t *array = json_array();
    validity_list_to_json(&list, "authority", "/ca.pem", array);
    assert(json_array_size(array) == list.count);
    for (size_t i = 0; i < list.count; i++) {
        assert(strlen(list.entries[i].subject) < sizeof list.entries[i].subject);
        assert(json_is_object(json_array_get(array, i)));
    }
    json_decref(array);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *pem = (const char *)data;
    EVP_PKEY *key = NULL;
    struct fb_cause cause;
    try_validity(pem, size);
    X509_STORE *store = X509_STORE_new();
    if (crl_read(store, pem, size, &cause) != FB_OK)
        assert(cause.text[0] != '\0');
    X509_STORE_free(store);
    if (private_key_read(pem, size, &key, &cause) != FB_OK)
        assert(key == NULL && cause.text[0] != '\0');
    EVP_PKEY_free(key);
    return 0;
}
