#include "gateway/amqp/validity.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/common/file.h"

#define FILE_BYTES_MAX ((size_t)16 * 1024 * 1024)

static int64_t time_ms(const ASN1_TIME *date) {
    struct tm when;
    return date != NULL && ASN1_TIME_to_tm(date, &when) == 1 ? (int64_t)timegm(&when) * 1000 : 0;
}

void validity_add(struct validity_list *list, const X509 *certificate) {
    if (list->count == VALIDITY_MAX)
        return;
    struct validity *entry = &list->entries[list->count++];
    *entry = (struct validity){.from_ms = time_ms(X509_get0_notBefore(certificate)),
                               .until_ms = time_ms(X509_get0_notAfter(certificate))};
    certificate_subject(certificate, entry->subject, sizeof entry->subject);
    certificate_name(X509_get_issuer_name(certificate), entry->issuer, sizeof entry->issuer);
    X509_digest(certificate, EVP_sha256(), entry->hash, NULL);
}

static void add_crl(struct validity_list *list, const X509_CRL *crl) {
    if (list->count == VALIDITY_MAX)
        return;
    struct validity *entry = &list->entries[list->count++];
    *entry = (struct validity){.from_ms = time_ms(X509_CRL_get0_lastUpdate(crl)),
                               .until_ms = time_ms(X509_CRL_get0_nextUpdate(crl))};
    certificate_name(X509_CRL_get_issuer(crl), entry->subject, sizeof entry->subject);
    X509_CRL_digest(crl, EVP_sha256(), entry->hash, NULL);
}

/* Only these two kinds are taken apart: a key in the same file stays text. */
static void add_part(struct validity_list *list, const char *name, const unsigned char *bytes, long length) {
    if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_TRUSTED) == 0 ||
        strcmp(name, PEM_STRING_X509_OLD) == 0) {
        X509 *certificate = d2i_X509(NULL, &bytes, length);
        if (certificate != NULL)
            validity_add(list, certificate);
        X509_free(certificate);
    } else if (strcmp(name, PEM_STRING_X509_CRL) == 0) {
        X509_CRL *crl = d2i_X509_CRL(NULL, &bytes, length);
        if (crl != NULL)
            add_crl(list, crl);
        X509_CRL_free(crl);
    }
}

void validity_read(const char *pem, size_t length, struct validity_list *ret_list) {
    char *name = NULL, *header = NULL;
    unsigned char *bytes = NULL;
    long part_length = 0;
    BIO *bio = BIO_new_mem_buf(pem, (int)length);
    ret_list->count = 0;
    while (bio != NULL && PEM_read_bio(bio, &name, &header, &bytes, &part_length) == 1) {
        add_part(ret_list, name, bytes, part_length);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(bytes, (size_t)part_length);
    }
    BIO_free(bio);
    ERR_clear_error();
}

static json_t *text_or_note(const char *text) {
    json_t *json = json_string(text);
    return json != NULL ? json : json_string("(not UTF-8)");
}

static json_t *time_or_null(int64_t when_ms) {
    return when_ms == 0 ? json_null() : json_integer(when_ms);
}

void validity_list_to_json(const struct validity_list *list, const char *use, const char *file, json_t *array) {
    for (size_t i = 0; i < list->count; i++) {
        const struct validity *entry = &list->entries[i];
        char hash[2 * sizeof entry->hash + 1];
        for (size_t byte = 0; byte < sizeof entry->hash; byte++)
            snprintf(hash + 2 * byte, 3, "%02x", entry->hash[byte]);
        json_array_append_new(array, json_pack("{s:s, s:o, s:o, s:s, s:I, s:o, s:s}", "use", use, "file",
                                               file == NULL ? json_null() : text_or_note(file), "subject",
                                               text_or_note(entry->subject), "sha256", hash, "from_ms",
                                               (json_int_t)entry->from_ms, "until_ms", time_or_null(entry->until_ms),
                                               "error", ""));
    }
}

void validity_file_to_json(const char *use, const char *file, json_t *array) {
    struct validity_list list = {.count = 0};
    struct fb_cause cause = {"holds no certificate in PEM form"};
    FB_CLEANUP(file_free) char *pem = NULL;
    size_t length = 0;
    if (file_read(file, FILE_BYTES_MAX, &pem, &length, &cause) == FB_OK)
        validity_read(pem, length, &list);
    validity_list_to_json(&list, use, file, array);
    if (list.count == 0)
        json_array_append_new(array,
                              json_pack("{s:s, s:o, s:n, s:n, s:n, s:n, s:o}", "use", use, "file", text_or_note(file),
                                        "subject", "sha256", "from_ms", "until_ms", "error", text_or_note(cause.text)));
}
