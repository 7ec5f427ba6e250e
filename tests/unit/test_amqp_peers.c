// links: gateway/amqp/*.c gateway/common/backoff.c gateway/common/clock.c gateway/common/error.c gateway/common/file.c gateway/common/hex.c gateway/common/pin.c gateway/common/pkcs11_uri.c tests/unit/amqp_world.c tests/unit/pki.c gateway/common/cloud_profile.c
/* Peers that are not ours: each is a child process with a blocking socket and, where it speaks TLS, OpenSSL alone. */
#include <arpa/inet.h>
#include <malloc.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/sslerr.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/amqp_world.h"

/* proton loses what a second SASL frame or OPEN overwrites. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libqpid-proton";
}

static int open_world(void **state) {
    struct world *world = malloc(sizeof *world);
    world_open(world);
    *state = world;
    return 0;
}

static int close_world(void **state) {
    world_close(*state);
    free(*state);
    return 0;
}

/* Run peer in a child, which ends with it; the world's server stays out of the way. */
static pid_t start_peer(struct world *world, void (*peer)(const struct world *world)) {
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(20);
        signal(SIGPIPE, SIG_IGN);
        peer(world);
        _exit(0);
    }
    return child;
}

static void end_peer(pid_t child) {
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static int take_connection(const struct world *world) {
    struct pollfd ready = {.fd = world->listener, .events = POLLIN};
    if (poll(&ready, 1, 10000) != 1)
        _exit(1);
    return accept(world->listener, NULL, NULL);
}

static int make_connection(const struct world *world) {
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(world->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(descriptor, (const struct sockaddr *)&address, sizeof address) < 0)
        _exit(1);
    return descriptor;
}

/* A TLS session as OpenSSL makes it by itself; most: highest version, 0 for any. */
static SSL *session(const struct world *world, int descriptor, const char *name, int most) {
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, most);
    if (name != NULL) {
        SSL_CTX_use_certificate_chain_file(context, world_path(world, name, "pem"));
        SSL_CTX_use_PrivateKey_file(context, world_path(world, name, "key"), SSL_FILETYPE_PEM);
    }
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, descriptor);
    return ssl;
}

static void wait_for_the_end(int descriptor) {
    char byte;
    while (read(descriptor, &byte, 1) > 0)
        ;
}

static void old_tls_server(const struct world *world) {
    const int descriptor = take_connection(world);
    SSL_accept(session(world, descriptor, "server", TLS1_1_VERSION));
    wait_for_the_end(descriptor);
}

static void plain_amqp_server(const struct world *world) {
    const int descriptor = take_connection(world);
    const char header[] = "AMQP\0\1\0\0";
    if (write(descriptor, header, 8) == 8)
        wait_for_the_end(descriptor);
}

static void server_that_hangs_up_in_the_handshake(const struct world *world) {
    const int descriptor = take_connection(world);
    char byte;
    if (read(descriptor, &byte, 1) == 1)
        shutdown(descriptor, SHUT_RDWR);
    close(descriptor);
}

static void server_that_talks_no_amqp(const struct world *world) {
    SSL *ssl = session(world, take_connection(world), "server", 0);
    if (SSL_accept(ssl) == 1 && SSL_write(ssl, "HTTP/1.1 400 Bad Request\r\n\r\n", 28) > 0)
        wait_for_the_end(SSL_get_fd(ssl));
}

#define SASL_HEADER "AMQP\3\1\0\0"
#define AMQP_HEADER "AMQP\0\1\0\0"
/* SASL frames: mechanisms EXTERNAL, init with EXTERNAL, outcome ok. AMQP: open with container "x". */
#define MECHANISMS                                                                                                     \
    "\0\0\0\x1b\2\1\0\0\0\x53\x40\xc0\x0e\1\xe0\x0b\1\xa3\x08"                                                         \
    "EXTERNAL"
#define INIT                                                                                                           \
    "\0\0\0\x1a\2\1\0\0\0\x53\x41\xc0\x0d\2\xa3\x08"                                                                   \
    "EXTERNAL"                                                                                                         \
    "\xa0\0"
#define OUTCOME "\0\0\0\x10\2\1\0\0\0\x53\x44\xc0\3\1\x50\0"
#define OPEN "\0\0\0\x11\2\0\0\0\0\x53\x10\xc0\4\1\xa1\1x"

static void listen_to(SSL *ssl) {
    char byte;
    while (SSL_read(ssl, &byte, 1) > 0)
        ;
}

/* In two records, since proton tells of what came in one only once. */
static void say(SSL *ssl, const char *bytes, size_t length, const char *then, size_t then_length) {
    if (SSL_do_handshake(ssl) == 1 && SSL_write(ssl, bytes, (int)length) > 0 &&
        SSL_write(ssl, then, (int)then_length) > 0)
        listen_to(ssl);
}

static void server_that_opens_twice(const struct world *world) {
    static const char words[] = SASL_HEADER MECHANISMS MECHANISMS OUTCOME AMQP_HEADER OPEN;
    SSL *ssl = session(world, take_connection(world), "server", 0);
    SSL_set_accept_state(ssl);
    say(ssl, words, sizeof words - 1, OPEN, sizeof OPEN - 1);
}

static void client_that_signs_in_twice(const struct world *world) {
    static const char words[] = SASL_HEADER INIT AMQP_HEADER OPEN;
    SSL *ssl = session(world, make_connection(world), "client", 0);
    SSL_set_connect_state(ssl);
    say(ssl, words, sizeof words - 1, INIT, sizeof INIT - 1);
}

/* On channel 1: a session begins; a link with the name "x" to an address "q"; the session ends. */
#define BEGIN "\0\0\0\x1a\2\0\0\1\0\x53\x11\xc0\x0d\4\x40\x43\x70\x7f\xff\xff\xff\x70\x7f\xff\xff\xff"
#define ATTACH                                                                                                         \
    "\0\0\0\x24\2\0\0\1\0\x53\x12\xc0\x17\7\xa1\1x\x43\x42\x50\2\x50\0\0\x53\x28\x45\0\x53\x29\xc0\4\1\xa1\1q"
#define END "\0\0\0\x0c\2\0\0\1\0\x53\x17\x45"

static unsigned sessions;

static void client_of_many_sessions(const struct world *world) {
    static const char words[] = SASL_HEADER INIT AMQP_HEADER OPEN, once[] = BEGIN END, last[] = BEGIN ATTACH;
    SSL *ssl = session(world, make_connection(world), "client", 0);
    if (SSL_connect(ssl) != 1 || SSL_write(ssl, words, sizeof words - 1) <= 0)
        _exit(1);
    for (unsigned i = 0; i < sessions; i++)
        if (SSL_write(ssl, once, sizeof once - 1) <= 0)
            _exit(2);
    if (SSL_write(ssl, last, sizeof last - 1) <= 0)
        _exit(3);
    listen_to(ssl);
}

/* Ends with 0 only if the client refuses. */
static void server_that_renegotiates(const struct world *world) {
    SSL *ssl = session(world, take_connection(world), "server", TLS1_2_VERSION);
    char byte;
    if (SSL_accept(ssl) != 1 || SSL_renegotiate(ssl) != 1 || SSL_do_handshake(ssl) != 1)
        _exit(2);
    while (SSL_read(ssl, &byte, 1) > 0) /* what the client says of AMQP, then its alert */
        ;
    if (ERR_GET_REASON(ERR_peek_last_error()) != SSL_R_NO_RENEGOTIATION)
        _exit(3);
}

static void client_without_certificate(const struct world *world) {
    SSL *ssl = session(world, make_connection(world), NULL, 0);
    char byte;
    if (SSL_connect(ssl) == 1)
        SSL_read(ssl, &byte, 1);
}

static void old_tls_client(const struct world *world) {
    SSL_connect(session(world, make_connection(world), "client", TLS1_1_VERSION));
}

static void client_that_talks_no_tls(const struct world *world) {
    const int descriptor = make_connection(world);
    if (write(descriptor, "GET / HTTP/1.1\r\n\r\n", 18) == 18)
        wait_for_the_end(descriptor);
}

static void expect_refused_server(struct world *world, void (*peer)(const struct world *world), enum amqp_step step,
                                  const char *text) {
    world->server_silent = true;
    const pid_t child = start_peer(world, peer);
    world_expect_refusal(world, step, text);
    end_peer(child);
}

static void expect_refused_client(struct world *world, void (*peer)(const struct world *world), enum amqp_step step,
                                  const char *text) {
    const pid_t child = start_peer(world, peer);
    world_run_until(world, &world->server.closed);
    if (strstr(world->server.reason, text) == NULL)
        fail_msg("expected \"%s\", got \"%s\"", text, world->server.reason);
    assert_int_equal(world->server.closed_step, step);
    end_peer(child);
}

static void a_server_with_old_tls_only_is_refused(void **state) {
    expect_refused_server(*state, old_tls_server, AMQP_TLS,
                          "TLS alert 70 (protocol version): it speaks neither TLS 1.2 nor TLS 1.3");
}

static void a_server_without_tls_is_recognised(void **state) {
    expect_refused_server(*state, plain_amqp_server, AMQP_TLS,
                          "the peer does not speak TLS; is this the port for AMQPS?");
}

static void a_server_that_hangs_up_in_the_handshake_is_told_apart(void **state) {
    expect_refused_server(*state, server_that_hangs_up_in_the_handshake, AMQP_TLS, "127.0.0.1 ");
}

static void a_server_that_talks_no_amqp_is_recognised(void **state) {
    expect_refused_server(*state, server_that_talks_no_amqp, AMQP_SASL, "AMQP failed: amqp:connection:framing-error");
}

static void a_server_that_opens_twice_is_left(void **state) {
    expect_refused_server(*state, server_that_opens_twice, AMQP_SESSION, "127.0.0.1 opened the connection twice");
}

static void a_client_that_signs_in_twice_is_refused(void **state) {
    expect_refused_client(*state, client_that_signs_in_twice, AMQP_SESSION, "127.0.0.1 signed in twice");
}

/* What the server holds once the client has begun and ended so many sessions; 0 with another allocator than glibc's,
 * which looks for leaks by itself. */
static size_t held_after(struct world *world, unsigned count) {
    sessions = count;
    world->server.up = false;
    const pid_t child = start_peer(world, client_of_many_sessions);
    world_run_until(world, &world->server.up);
    const size_t held = mallinfo2().uordblks + mallinfo2().hblkhd;
    end_peer(child);
    world_run_until(world, &world->server.closed);
    return held;
}

static void a_client_may_begin_and_end_sessions_for_years(void **state) {
    struct world *world = *state;
    held_after(world, 10); /* what is kept for the next one */
    const size_t few = held_after(world, 10), many = held_after(world, 1000);
    assert_true(many <= few + 64 * 1024);
}

static void nothing_is_renegotiated(void **state) {
    struct world *world = *state;
    int status = -1;
    world->server_silent = true;
    const pid_t child = start_peer(world, server_that_renegotiates);
    world_connect(world);
    world_run_until(world, &world->client.closed);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_client_without_certificate_is_refused(void **state) {
    expect_refused_client(*state, client_without_certificate, AMQP_TLS, "the peer showed no certificate");
}

static void a_client_with_old_tls_only_is_refused(void **state) {
    expect_refused_client(*state, old_tls_client, AMQP_TLS,
                          "the peer offers only TLS 1.1 or older; 1.2 or 1.3 is needed");
}

static void a_client_that_talks_http_is_recognised(void **state) {
    expect_refused_client(*state, client_that_talks_no_tls, AMQP_TLS, "the peer speaks HTTP, not AMQPS");
}

static void expect_unusable(const char *ca, const char *certificate, const char *key, const char *text) {
    struct amqp_trust *trust = NULL;
    struct fb_cause cause;
    const struct amqp_trust_settings settings = {.ca = ca, .certificate = certificate, .key = key};
    assert_int_equal(amqp_trust_load(&settings, &trust, &cause), FB_INVALID);
    if (strstr(cause.text, text) == NULL)
        fail_msg("expected \"%s\", got \"%s\"", text, cause.text);
    assert_null(trust);
}

static void unusable_files_are_named_with_what_is_wrong(void **state) {
    const struct world *world = *state;
    char ca[256], certificate[256], key[256];
    snprintf(ca, sizeof ca, "%s", world_path(world, "ca", "pem"));
    snprintf(certificate, sizeof certificate, "%s", world_path(world, "client", "pem"));
    snprintf(key, sizeof key, "%s", world_path(world, "client", "key"));
    expect_unusable("/nowhere/ca.pem", certificate, key, "/nowhere/ca.pem: No such file or directory");
    expect_unusable(key, certificate, key, "client.key: holds no certificate in PEM form");
    expect_unusable(ca, key, key, "client.key: holds no usable certificate in PEM form");
    expect_unusable(ca, certificate, certificate, "client.pem: holds no private key in PEM form");
    expect_unusable(ca, certificate, world_path(world, "server", "key"), "does not belong to the certificate");
    expect_unusable(ca, world_path(world, "locked", "pem"), world_path(world, "locked", "key"),
                    "locked.key: is protected by a passphrase; store the key without one");
    expect_unusable(ca, world_path(world, "expired", "pem"), world_path(world, "expired", "key"),
                    "expired.pem: certificate of expired expired on 20");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_server_with_old_tls_only_is_refused),
        TEST(a_server_without_tls_is_recognised),
        TEST(a_server_that_hangs_up_in_the_handshake_is_told_apart),
        TEST(a_server_that_talks_no_amqp_is_recognised),
        TEST(a_server_that_opens_twice_is_left),
        TEST(a_client_that_signs_in_twice_is_refused),
        TEST(a_client_may_begin_and_end_sessions_for_years),
        TEST(nothing_is_renegotiated),
        TEST(a_client_without_certificate_is_refused),
        TEST(a_client_with_old_tls_only_is_refused),
        TEST(a_client_that_talks_http_is_recognised),
        TEST(unusable_files_are_named_with_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
