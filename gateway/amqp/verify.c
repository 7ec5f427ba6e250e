#include "gateway/amqp/verify.h"

#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

#include "gateway/amqp/certificate.h"
#include "gateway/amqp/tls.h"

static struct verify *verify_of(X509_STORE_CTX *store) {
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    return SSL_get_app_data(ssl);
}

/* Called once for each problem of the peer's chain; the first one is the reason. */
static int on_certificate(int good, X509_STORE_CTX *store) {
    struct verify *verify = verify_of(store);
    if (good || verify->refusal.text[0] != '\0')
        return good;
    const struct certificate_problem problem = {
        .error = X509_STORE_CTX_get_error(store),
        .certificate = X509_STORE_CTX_get_current_cert(store),
        .crl = X509_STORE_CTX_get0_current_crl(store),
        .host = verify->host,
        .authorities = verify->trust->authorities,
    };
    certificate_refusal(&problem, &verify->refusal);
    return 0;
}

static bool key_hash(const X509 *certificate, uint8_t ret_hash[static PIN_BYTES]) {
    unsigned char *bytes = NULL;
    const int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &bytes);
    const bool good = length > 0 && EVP_Digest(bytes, (size_t)length, ret_hash, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(bytes);
    return good;
}

static bool pinned(const struct amqp_trust *trust, const uint8_t hash[static PIN_BYTES]) {
    for (size_t i = 0; i < trust->pin_count; i++)
        if (memcmp(trust->pins[i], hash, PIN_BYTES) == 0)
            return true;
    return false;
}

/* One key of the chain that was verified, the peer's own or an issuer's, must be pinned. */
static bool check_pins(struct verify *verify, const STACK_OF(X509) * chain) {
    uint8_t hash[PIN_BYTES];
    char subject[CERTIFICATE_TEXT_MAX], pin[PIN_TEXT_MAX];
    for (int i = 0; i < sk_X509_num(chain); i++)
        if (key_hash(sk_X509_value(chain, i), hash) && pinned(verify->trust, hash))
            return true;
    const X509 *own = sk_X509_value(chain, 0);
    if (!key_hash(own, hash))
        memset(hash, 0, sizeof hash);
    certificate_subject(own, subject, sizeof subject);
    pin_write(hash, pin);
    fb_fail(&verify->refusal, FB_DENIED,
            "certificate of %s is good, but no key of its chain is among the pins; its own is %s", subject, pin);
    return false;
}

static int on_chain(X509_STORE_CTX *store, void *user) {
    (void)user;
    struct verify *verify = verify_of(store);
    const STACK_OF(X509) *presented = X509_STORE_CTX_get0_untrusted(store);
    verify->chain.count = 0;
    for (int i = 0; i < sk_X509_num(presented); i++)
        validity_add(&verify->chain, sk_X509_value(presented, i));
    if (X509_verify_cert(store) != 1)
        return 0;
    if (verify->trust->pin_count == 0 || check_pins(verify, X509_STORE_CTX_get0_chain(store)))
        return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

void verify_install(SSL_CTX *context) {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_certificate);
    SSL_CTX_set_cert_verify_callback(context, on_chain, NULL);
}

bool verify_attach(SSL *ssl, struct verify *verify) {
    return SSL_set_app_data(ssl, verify) == 1;
}
