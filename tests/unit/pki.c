#include "tests/unit/pki.h"

#include <assert.h>
#include <limits.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "gateway/common/pin.h"

#define DAY_S (24L * 3600)

static FILE *file_open(const char *folder, const char *name, const char *ending) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s.%s", folder, name, ending);
    FILE *file = fopen(path, "we");
    assert(file != NULL);
    return file;
}

static void write_certificate(const char *folder, const char *name, X509 *certificate) {
    FILE *file = file_open(folder, name, "pem");
    assert(PEM_write_X509(file, certificate) == 1);
    fclose(file);
}

static void write_key(const char *folder, const struct pki_request *request, EVP_PKEY *key) {
    FILE *file = file_open(folder, request->name, "key");
    const char *passphrase = request->passphrase;
    const EVP_CIPHER *cipher = passphrase == NULL ? NULL : EVP_aes_256_cbc();
    assert(PEM_write_PrivateKey(file, key, cipher, (const unsigned char *)passphrase,
                                passphrase == NULL ? 0 : (int)strlen(passphrase), NULL, NULL) == 1);
    fclose(file);
}

static void extend(X509 *certificate, X509 *issuer, int nid, const char *value) {
    if (value == NULL)
        return;
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert(extension != NULL);
    assert(X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static X509 *begin(const char *name, EVP_PKEY *key, int from_days, int to_days) {
    X509 *certificate = X509_new();
    assert(certificate != NULL);
    uint64_t serial = 0;
    assert(RAND_bytes((unsigned char *)&serial, sizeof serial) == 1);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial);
    X509_set_version(certificate, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(certificate), from_days * DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(certificate), to_days * DAY_S);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
                               -1, 0);
    X509_set_pubkey(certificate, key);
    return certificate;
}

struct pki_authority pki_authority_make(const char *folder, const char *name) {
    struct pki_authority authority = {.key = EVP_EC_gen("P-256")};
    assert(authority.key != NULL);
    authority.certificate = begin(name, authority.key, -365, 3650);
    X509_set_issuer_name(authority.certificate, X509_get_subject_name(authority.certificate));
    extend(authority.certificate, authority.certificate, NID_basic_constraints, "critical,CA:TRUE");
    extend(authority.certificate, authority.certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
    assert(X509_sign(authority.certificate, authority.key, EVP_sha256()) > 0);
    write_certificate(folder, name, authority.certificate);
    return authority;
}

void pki_authority_done(struct pki_authority *authority) {
    X509_free(authority->certificate);
    EVP_PKEY_free(authority->key);
}

void pki_issue(const char *folder, const struct pki_authority *authority, const struct pki_request *request) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert(key != NULL);
    const bool always = request->from_days == 0 && request->to_days == 0;
    X509 *certificate = begin(request->name, key, always ? -1 : request->from_days, always ? 1 : request->to_days);
    X509_set_issuer_name(certificate, X509_get_subject_name(authority->certificate));
    extend(certificate, authority->certificate, NID_basic_constraints, "critical,CA:FALSE");
    extend(certificate, authority->certificate, NID_subject_alt_name, request->names);
    extend(certificate, authority->certificate, NID_ext_key_usage, request->purpose);
    assert(X509_sign(certificate, authority->key, EVP_sha256()) > 0);
    write_certificate(folder, request->name, certificate);
    write_key(folder, request, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static X509 *read_certificate(const char *folder, const char *name) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s.pem", folder, name);
    FILE *file = fopen(path, "re");
    assert(file != NULL);
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    assert(certificate != NULL);
    fclose(file);
    return certificate;
}

static void add_revoked(X509_CRL *crl, X509 *certificate, const ASN1_TIME *when) {
    X509_REVOKED *entry = X509_REVOKED_new();
    assert(X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate)) == 1);
    ASN1_TIME *copy = ASN1_STRING_dup(when);
    assert(X509_REVOKED_set_revocationDate(entry, copy) == 1);
    assert(X509_CRL_add0_revoked(crl, entry) == 1);
    ASN1_TIME_free(copy);
}

void pki_revoke(const char *folder, const struct pki_authority *authority, const char *name, const char *revoked,
                int from_days, int to_days) {
    X509_CRL *crl = X509_CRL_new();
    assert(X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1);
    assert(X509_CRL_set_issuer_name(crl, X509_get_subject_name(authority->certificate)) == 1);
    ASN1_TIME *from = X509_gmtime_adj(NULL, from_days * DAY_S), *to = X509_gmtime_adj(NULL, to_days * DAY_S);
    assert(X509_CRL_set1_lastUpdate(crl, from) == 1 && X509_CRL_set1_nextUpdate(crl, to) == 1);
    X509 *certificate = revoked == NULL ? NULL : read_certificate(folder, revoked);
    if (certificate != NULL)
        add_revoked(crl, certificate, from);
    assert(X509_CRL_sort(crl) == 1 && X509_CRL_sign(crl, authority->key, EVP_sha256()) > 0);
    FILE *file = file_open(folder, name, "pem");
    assert(PEM_write_X509_CRL(file, crl) == 1);
    fclose(file);
    X509_free(certificate);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    X509_CRL_free(crl);
}

void pki_pin(const char *folder, const char *name, char *ret_text) {
    X509 *certificate = read_certificate(folder, name);
    unsigned char *bytes = NULL;
    uint8_t pin[PIN_BYTES];
    const int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &bytes);
    assert(length > 0 && EVP_Digest(bytes, (size_t)length, pin, NULL, EVP_sha256(), NULL) == 1);
    pin_write(pin, ret_text);
    OPENSSL_free(bytes);
    X509_free(certificate);
}
