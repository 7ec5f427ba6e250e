#include "gateway/amqp/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/amqp/certificate.h"
#include "gateway/amqp/tls_text.h"
#include "gateway/amqp/verify.h"

struct tls {
    SSL *ssl;
    struct amqp_trust *trust;
    struct verify verify;
    bool up;                      /* the handshake is over */
    bool dead;                    /* after a failure OpenSSL must not be asked for more */
    bool alerted;                 /* see tls_alerted() */
    uint64_t bytes_in, bytes_out; /* already told by tls_take_bytes() */
};

static bool look_for(SSL *ssl, const char *host) {
    unsigned char address[sizeof(struct in6_addr)];
    X509_VERIFY_PARAM *parameters = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(parameters,
                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(parameters, host) == 1;
    /* The name also goes out as SNI, which address literals must not (RFC 6066, 3). OpenSSL's macro wants it writable
     * and only copies it. */
    char *name = (char *)(uintptr_t)host;
    return X509_VERIFY_PARAM_set1_host(parameters, host, 0) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

enum fb_error tls_open(struct amqp_trust *trust, int descriptor, const char *host, struct tls **ret_tls,
                       struct fb_cause *cause) {
    struct tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    tls->trust = trust;
    trust->holders++;
    tls->verify = (struct verify){.trust = trust, .host = host};
    tls->ssl = SSL_new(trust->context);
    if (tls->ssl == NULL || SSL_set_fd(tls->ssl, descriptor) != 1 || !verify_attach(tls->ssl, &tls->verify) ||
        (host != NULL && !look_for(tls->ssl, host))) {
        ERR_clear_error();
        tls->dead = true;
        tls_free(tls);
        return fb_fail(cause, FB_MEMORY, "OpenSSL cannot start a session for %s", host == NULL ? "a client" : host);
    }
    if (host != NULL)
        SSL_set_connect_state(tls->ssl);
    else
        SSL_set_accept_state(tls->ssl);
    *ret_tls = tls;
    return FB_OK;
}

void tls_free(struct tls *tls) {
    if (tls == NULL)
        return;
    if (tls->up && !tls->dead)
        SSL_shutdown(tls->ssl);
    SSL_free(tls->ssl);
    ERR_clear_error();
    amqp_trust_free(tls->trust);
    free(tls);
}

/* What OpenSSL's last call came to. errno_value: errno right after it. */
static enum tls_result judge(struct tls *tls, int returned, int errno_value, struct fb_cause *cause) {
    const int error = SSL_get_error(tls->ssl, returned);
    if (error == SSL_ERROR_NONE)
        return TLS_DONE;
    if (error == SSL_ERROR_WANT_READ)
        return TLS_WANTS_READ;
    if (error == SSL_ERROR_WANT_WRITE)
        return TLS_WANTS_WRITE;
    if (error == SSL_ERROR_ZERO_RETURN)
        return TLS_CLOSED;
    tls->dead = true;
    if (error == SSL_ERROR_SYSCALL && errno_value == 0)
        return TLS_CLOSED;
    const unsigned long code = ERR_peek_error();
    if (error == SSL_ERROR_SYSCALL)
        fb_fail_errno(cause, FB_CLOSED, errno_value, "the connection broke");
    else if (tls->verify.refusal.text[0] != '\0')
        *cause = tls->verify.refusal;
    else
        tls->alerted = tls_text_of_error(code, cause);
    return TLS_FAILED;
}

enum tls_result tls_handshake(struct tls *tls, struct fb_cause *cause) {
    ERR_clear_error();
    errno = 0;
    const int returned = SSL_do_handshake(tls->ssl);
    const enum tls_result result = judge(tls, returned, errno, cause);
    tls->up = result == TLS_DONE;
    return result;
}

enum tls_result tls_read(struct tls *tls, void *ret_data, size_t size, size_t *ret_length, struct fb_cause *cause) {
    ERR_clear_error();
    errno = 0;
    const int returned = SSL_read_ex(tls->ssl, ret_data, size, ret_length);
    return judge(tls, returned, errno, cause);
}

enum tls_result tls_write(struct tls *tls, const void *data, size_t length, size_t *ret_length,
                          struct fb_cause *cause) {
    ERR_clear_error();
    errno = 0;
    const int returned = SSL_write_ex(tls->ssl, data, length, ret_length);
    return judge(tls, returned, errno, cause);
}

bool tls_alerted(const struct tls *tls) {
    return tls->alerted;
}

void tls_version(const struct tls *tls, char *ret_text, size_t size) {
    snprintf(ret_text, size, "%s %s", SSL_get_version(tls->ssl), SSL_get_cipher_name(tls->ssl));
}

void tls_peer_name(const struct tls *tls, char *ret_text, size_t size) {
    const X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    ret_text[0] = '\0';
    if (certificate != NULL)
        certificate_peer_name(certificate, ret_text, size);
}

void tls_take_bytes(struct tls *tls, uint64_t *bytes_in, uint64_t *bytes_out) {
    const uint64_t in = BIO_number_read(SSL_get_rbio(tls->ssl)), out = BIO_number_written(SSL_get_wbio(tls->ssl));
    *bytes_in += in - tls->bytes_in;
    *bytes_out += out - tls->bytes_out;
    tls->bytes_in = in;
    tls->bytes_out = out;
}

const struct validity_list *tls_peer_chain(const struct tls *tls) {
    return &tls->verify.chain;
}
