/* pki.h - certificates for tests: authorities and what they sign, made on the spot and written as PEM files. */
#ifndef FB_TESTS_PKI_H
#define FB_TESTS_PKI_H

#include <openssl/evp.h>
#include <openssl/x509.h>

struct pki_authority {
    X509 *certificate;
    EVP_PKEY *key;
};

struct pki_request {
    const char *name;       /* common name, and name of the files: name.pem and name.key */
    const char *names;      /* subject alternative names, "DNS:localhost,IP:127.0.0.1"; NULL: none */
    const char *purpose;    /* extended key usage, "serverAuth"; NULL: any */
    const char *passphrase; /* of the key file; NULL: none */
    int from_days, to_days; /* validity, counted from today; 0 and 0: from yesterday to tomorrow */
};

/* A self-signed authority whose certificate is folder/name.pem. Every failure ends the test program. */
struct pki_authority pki_authority_make(const char *folder, const char *name);
void pki_authority_done(struct pki_authority *authority);

/* A certificate of that authority and its key, written to the folder. */
void pki_issue(const char *folder, const struct pki_authority *authority, const struct pki_request *request);

/* The authority's list of revoked certificates, folder/name.pem, in force between these days counted from today.
 * revoked: name of the one certificate in the folder that stands in it, NULL for none. */
void pki_revoke(const char *folder, const struct pki_authority *authority, const char *name, const char *revoked,
                int from_days, int to_days);

/* The pin (gateway/common/pin.h) of the key of the certificate folder/name.pem. */
void pki_pin(const char *folder, const char *name, char *ret_text);

#endif
