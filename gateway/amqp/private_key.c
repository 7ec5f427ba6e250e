#include "gateway/amqp/private_key.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdlib.h>

#include "gateway/amqp/token_key.h"
#include "gateway/common/file.h"
#include "gateway/common/pkcs11_uri.h"

#define KEY_BYTES_MAX ((size_t)64 * 1024)

/* A key with a passphrase must be an error, not a question on a terminal nobody sees. */
static int no_passphrase(char *ret_text, int size, int writing, void *user) {
    (void)ret_text, (void)size, (void)writing;
    *(bool *)user = true;
    return -1;
}

enum fb_error private_key_read(const char *pem, size_t length, EVP_PKEY **ret_key, struct fb_cause *cause) {
    bool asked = false;
    BIO *bio = BIO_new_mem_buf(pem, (int)length);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
    BIO_free(bio);
    ERR_clear_error();
    if (key == NULL && asked)
        return fb_fail(cause, FB_INVALID, "is protected by a passphrase; store the key without one");
    if (key == NULL)
        return fb_fail(cause, FB_INVALID, "holds no private key in PEM form");
    *ret_key = key;
    return FB_OK;
}

static enum fb_error load_file(const char *path, EVP_PKEY **ret_key, struct fb_cause *cause) {
    char *pem = NULL;
    size_t length = 0;
    if (file_read(path, KEY_BYTES_MAX, &pem, &length, cause) != FB_OK)
        return FB_INVALID; /* the cause names the file */
    const enum fb_error error = private_key_read(pem, length, ret_key, cause);
    OPENSSL_cleanse(pem, length);
    free(pem);
    return error == FB_OK ? FB_OK : fb_context(cause, error, "%s", path);
}

enum fb_error private_key_load(const char *source, const char *pin_file, EVP_PKEY **ret_key, struct fb_cause *cause) {
    return pkcs11_uri_is(source) ? token_key_load(source, pin_file, ret_key, cause) : load_file(source, ret_key, cause);
}
