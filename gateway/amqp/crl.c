#include "gateway/amqp/crl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>

#include "gateway/common/file.h"

/* The largest public lists have some MB. */
#define CRL_BYTES_MAX ((size_t)16 * 1024 * 1024)

enum fb_error crl_read(X509_STORE *store, const char *pem, size_t length, struct fb_cause *cause) {
    BIO *bio = BIO_new_mem_buf(pem, (int)length);
    size_t count = 0;
    enum fb_error error = FB_OK;
    X509_CRL *crl;
    while (error == FB_OK && bio != NULL && (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
        if (X509_STORE_add_crl(store, crl) != 1)
            error = fb_fail(cause, FB_MEMORY, "out of memory");
        X509_CRL_free(crl);
        count++;
    }
    BIO_free(bio);
    const unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    if (error != FB_OK)
        return error;
    if (count == 0)
        return fb_fail(cause, FB_INVALID, "holds no list of revoked certificates in PEM form (X509 CRL)");
    if (ERR_GET_LIB(code) != ERR_LIB_PEM || ERR_GET_REASON(code) != PEM_R_NO_START_LINE)
        return fb_fail(cause, FB_INVALID, "is damaged behind its list number %zu", count);
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return FB_OK;
}

enum fb_error crl_load(X509_STORE *store, const char *path, struct fb_cause *cause) {
    FB_CLEANUP(file_free) char *pem = NULL;
    size_t length = 0;
    if (file_read(path, CRL_BYTES_MAX, &pem, &length, cause) != FB_OK)
        return FB_INVALID; /* the cause names the file */
    const enum fb_error error = crl_read(store, pem, length, cause);
    return error == FB_OK ? FB_OK : fb_context(cause, error, "%s", path);
}
