#include "store/record_chain.h"

#include <openssl/evp.h>

static void put(uint8_t *bytes, uint64_t number) {
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
}

bool record_hash(const uint8_t previous[static RECORD_HASH_BYTES], unsigned kind, uint64_t number, int64_t time_ms,
                 const void *body, size_t length, uint8_t ret_hash[static RECORD_HASH_BYTES]) {
    uint8_t head[17] = {(uint8_t)kind};
    put(head + 1, number);
    put(head + 9, (uint64_t)time_ms);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const bool good = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                      EVP_DigestUpdate(context, previous, RECORD_HASH_BYTES) == 1 &&
                      EVP_DigestUpdate(context, head, sizeof head) == 1 &&
                      EVP_DigestUpdate(context, body, length) == 1 && EVP_DigestFinal_ex(context, ret_hash, NULL) == 1;
    EVP_MD_CTX_free(context);
    return good;
}
