/* amqp_trust_load() and its pair: the certificates of this end, as one SSL_CTX for many connections. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/amqp/amqp.h"
#include "gateway/amqp/certificate.h"
#include "gateway/amqp/tls.h"

/* AEAD with forward secrecy; TLS 1.3 has nothing else. */
#define CIPHERS_TLS12 "ECDHE+AESGCM:ECDHE+CHACHA20"

/* A key with a passphrase must be an error, not a question on a terminal nobody sees. */
static int no_passphrase(char *ret_text, int size, int writing, void *user) {
    (void)ret_text, (void)size, (void)writing;
    *(bool *)user = true;
    return -1;
}

static enum fb_error readable(const char *path, struct fb_cause *cause) {
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return fb_fail_errno(cause, FB_INVALID, errno, "%s", path);
    fclose(file);
    return FB_OK;
}

static enum fb_error load_authorities(struct amqp_trust *trust, const char *path, struct fb_cause *cause) {
    if (readable(path, cause) != FB_OK)
        return FB_INVALID;
    if (SSL_CTX_load_verify_file(trust->context, path) != 1)
        return fb_fail(cause, FB_INVALID, "%s: holds no certificate in PEM form", path);
    if (trust->server)
        SSL_CTX_set_client_CA_list(trust->context, SSL_load_client_CA_file(path));
    trust->authorities = strdup(path);
    return trust->authorities == NULL ? fb_fail(cause, FB_MEMORY, "out of memory") : FB_OK;
}

static enum fb_error load_certificate(struct amqp_trust *trust, const char *path, struct fb_cause *cause) {
    if (readable(path, cause) != FB_OK)
        return FB_INVALID;
    if (SSL_CTX_use_certificate_chain_file(trust->context, path) != 1) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        return fb_fail(cause, FB_INVALID, "%s: holds no usable certificate in PEM form: %s", path,
                       reason == NULL ? "" : reason);
    }
    const enum fb_error error = certificate_in_time(SSL_CTX_get0_certificate(trust->context), cause);
    return error == FB_OK ? FB_OK : fb_context(cause, error, "%s", path);
}

static enum fb_error load_key(struct amqp_trust *trust, const char *path, struct fb_cause *cause) {
    if (readable(path, cause) != FB_OK)
        return FB_INVALID;
    bool asked = false;
    SSL_CTX_set_default_passwd_cb(trust->context, no_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(trust->context, &asked);
    const int loaded = SSL_CTX_use_PrivateKey_file(trust->context, path, SSL_FILETYPE_PEM);
    SSL_CTX_set_default_passwd_cb_userdata(trust->context, NULL);
    SSL_CTX_set_default_passwd_cb(trust->context, NULL);
    if (loaded == 1)
        return FB_OK;
    if (asked)
        return fb_fail(cause, FB_INVALID, "%s: is protected by a passphrase; store the key without one", path);
    if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH)
        return fb_fail(cause, FB_INVALID, "%s: does not belong to the certificate", path);
    return fb_fail(cause, FB_INVALID, "%s: holds no private key in PEM form", path);
}

static enum fb_error make_context(struct amqp_trust *trust, struct fb_cause *cause) {
    trust->context = SSL_CTX_new(trust->server ? TLS_server_method() : TLS_client_method());
    if (trust->context == NULL)
        return fb_fail(cause, FB_MEMORY, "OpenSSL cannot make a context");
    SSL_CTX_set_min_proto_version(trust->context, TLS1_2_VERSION);
    if (SSL_CTX_set_cipher_list(trust->context, CIPHERS_TLS12) != 1)
        return fb_fail(cause, FB_INVALID, "OpenSSL has none of the cipher suites " CIPHERS_TLS12);
    /* No session is ever resumed: each connection checks the certificates anew. An end of file needs no close_notify,
     * since AMQP has its own goodbye. */
    SSL_CTX_set_session_cache_mode(trust->context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(trust->context, 0);
    SSL_CTX_set_options(trust->context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                            SSL_OP_IGNORE_UNEXPECTED_EOF);
    /* The engine's buffer moves between two tries, and idle connections should not keep 34 KB each. */
    SSL_CTX_set_mode(trust->context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    return FB_OK;
}

enum fb_error amqp_trust_load(const char *ca, const char *certificate, const char *key, bool server,
                              struct amqp_trust **ret_trust, struct fb_cause *cause) {
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes with write(2) */
    struct amqp_trust *trust = calloc(1, sizeof *trust);
    if (trust == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    trust->holders = 1;
    trust->server = server;
    ERR_clear_error();
    enum fb_error error = make_context(trust, cause);
    if (error == FB_OK)
        error = load_authorities(trust, ca, cause);
    if (error == FB_OK)
        error = load_certificate(trust, certificate, cause);
    if (error == FB_OK)
        error = load_key(trust, key, cause);
    ERR_clear_error();
    if (error == FB_OK)
        *ret_trust = trust;
    else
        amqp_trust_free(trust);
    return error;
}

void amqp_trust_free(struct amqp_trust *trust) {
    if (trust == NULL || --trust->holders > 0)
        return;
    SSL_CTX_free(trust->context);
    free(trust->authorities);
    free(trust);
}
