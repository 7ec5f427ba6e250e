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
#include "gateway/amqp/crl.h"
#include "gateway/amqp/private_key.h"
#include "gateway/amqp/tls.h"
#include "gateway/amqp/verify.h"

/* AEAD with forward secrecy; TLS 1.3 has nothing else. */
#define CIPHERS_TLS12 "ECDHE+AESGCM:ECDHE+CHACHA20"

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

static enum fb_error load_key(struct amqp_trust *trust, const struct amqp_trust_settings *settings,
                              struct fb_cause *cause) {
    EVP_PKEY *key = NULL;
    const enum fb_error error = private_key_load(settings->key, settings->key_pin_file, &key, cause);
    if (error != FB_OK)
        return error;
    const int fits = SSL_CTX_use_PrivateKey(trust->context, key);
    EVP_PKEY_free(key);
    return fits == 1 ? FB_OK : fb_fail(cause, FB_INVALID, "%s: does not belong to the certificate", settings->key);
}

static enum fb_error load_lists(struct amqp_trust *trust, const char *const *paths, struct fb_cause *cause) {
    enum fb_error error = FB_OK;
    for (size_t i = 0; error == FB_OK && i < AMQP_CRLS_MAX && paths[i] != NULL; i++)
        error = crl_load(SSL_CTX_get_cert_store(trust->context), paths[i], cause);
    return error;
}

static enum fb_error read_pins(struct amqp_trust *trust, const char *const *pins, struct fb_cause *cause) {
    for (size_t i = 0; i < AMQP_PINS_MAX && pins[i] != NULL; i++) {
        const enum fb_error error = pin_read(pins[i], trust->pins[trust->pin_count++], cause);
        if (error != FB_OK)
            return fb_context(cause, error, "pin %s", pins[i]);
    }
    return FB_OK;
}

static enum fb_error make_context(struct amqp_trust *trust, struct fb_cause *cause) {
    trust->context = SSL_CTX_new(trust->server ? TLS_server_method() : TLS_client_method());
    if (trust->context == NULL)
        return fb_fail(cause, FB_MEMORY, "OpenSSL cannot make a context");
    SSL_CTX_set_min_proto_version(trust->context, TLS1_2_VERSION);
    if (SSL_CTX_set_cipher_list(trust->context, CIPHERS_TLS12) != 1)
        return fb_fail(cause, FB_INVALID, "OpenSSL has none of the cipher suites " CIPHERS_TLS12);
    verify_install(trust->context);
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

static enum fb_error load(struct amqp_trust *trust, const struct amqp_trust_settings *settings,
                          struct fb_cause *cause) {
    enum fb_error error = make_context(trust, cause);
    if (error == FB_OK)
        error = load_authorities(trust, settings->ca, cause);
    const bool shown = settings->certificate != NULL && settings->certificate[0] != '\0';
    if (error == FB_OK && shown)
        error = load_certificate(trust, settings->certificate, cause);
    if (error == FB_OK && shown)
        error = load_key(trust, settings, cause);
    if (error == FB_OK)
        error = load_lists(trust, settings->crls, cause);
    if (error == FB_OK)
        error = read_pins(trust, settings->pins, cause);
    return error;
}

enum fb_error amqp_trust_load(const struct amqp_trust_settings *settings, struct amqp_trust **ret_trust,
                              struct fb_cause *cause) {
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes with write(2) */
    struct amqp_trust *trust = calloc(1, sizeof *trust);
    if (trust == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    trust->holders = 1;
    trust->server = settings->server;
    ERR_clear_error();
    const enum fb_error error = load(trust, settings, cause);
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
