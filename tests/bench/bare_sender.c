// links: store/*.c gateway/common/*.c
/* What the drain of a backlog is held against: proton's own I/O and TLS, and nothing else. Hands the batches that
 * fill_store has written to a peer as fast as its credit allows, and waits until all are accepted. Usage: bare_sender
 * HOST PORT ADDRESS CA CERTIFICATE KEY FILE. FILE: batches.bin of fill_store, or its folder, to read them from the
 * store. Prints the seconds that reading the store took (0 without), those from the first message to the last, and the
 * processor's seconds of the latter. */
#include <proton/connection.h>
#include <proton/delivery.h>
#include <proton/link.h>
#include <proton/message.h>
#include <proton/proactor.h>
#include <proton/sasl.h>
#include <proton/session.h>
#include <proton/ssl.h>
#include <proton/transport.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "gateway/common/file.h"
#include "store/key.h"
#include "store/store.h"

#define MESSAGE_BYTES_MOST ((size_t)160 * 1024)
#define UNSENT_BYTES_MOST ((size_t)512 * 1024)
#define FILE_BYTES_MOST ((size_t)1 << 30)
#define PATH_BYTES 512

static struct {
    const char *address;
    char *file; /* of batches, each behind its length (32 bits) */
    size_t size, at;
    unsigned long sent, accepted;
    pn_message_t *parts;
    char message[MESSAGE_BYTES_MOST];
    size_t length;
    double reading_s, begun_s, begun_cpu_s;
} bare;

static double seconds_of(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double now_s(void) {
    return seconds_of(CLOCK_MONOTONIC);
}

/* All threads of this program. */
static double cpu_s(void) {
    return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

static void read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        exit(1);
    bare.size = (size_t)ftell(file);
    rewind(file);
    bare.file = malloc(bare.size);
    if (bare.file == NULL || fread(bare.file, 1, bare.size, file) != bare.size)
        exit(1);
    fclose(file);
}

static void must(enum fb_error error, const struct fb_cause *cause) {
    if (error == FB_OK)
        return;
    fprintf(stderr, "bare_sender: %s\n", cause->text);
    exit(1);
}

static struct store *open_store(const char *folder) {
    char path[PATH_BYTES], key_path[PATH_BYTES];
    struct key_ring *ring;
    struct store *store;
    struct store_opening opening;
    struct fb_cause cause;
    must(file_join(folder, "store.db", path, sizeof path, &cause), &cause);
    must(file_join(folder, "store.key", key_path, sizeof key_path, &cause), &cause);
    must(key_open(key_path, &ring, &cause), &cause);
    const struct store_settings settings = {.path = path, .gateway = "bench", .quota_bytes = UINT64_C(8) << 30};
    must(store_open(&settings, ring->key, &store, &opening, &cause), &cause);
    key_close(ring);
    return store;
}

/* As forebay-core does it: one after the other, each held against its hash. */
static void read_store(const char *folder) {
    static struct store_batch batch;
    struct fb_cause cause;
    struct store *store = open_store(folder);
    bare.file = malloc(FILE_BYTES_MOST); /* touched as far as it is used */
    if (bare.file == NULL)
        exit(1);
    const double begun_s = now_s();
    for (uint64_t number = 1; number <= store_last_number(store); number++) {
        must(store_next(store, number, number, &batch, &cause), &cause);
        const uint32_t length = (uint32_t)batch.length;
        if (bare.size + sizeof length + length > FILE_BYTES_MOST)
            exit(1);
        memcpy(bare.file + bare.size, &length, sizeof length);
        memcpy(bare.file + bare.size + sizeof length, batch.bytes, length);
        bare.size += sizeof length + length;
    }
    bare.reading_s = now_s() - begun_s;
    store_close(store);
}

static void read_batches(const char *path) {
    struct stat status;
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        read_store(path);
    else
        read_file(path);
}

/* The next batch of the file as a message, into bare.message. False behind the last one. */
static bool encode_next(void) {
    uint32_t length;
    if (bare.at == bare.size)
        return false;
    memcpy(&length, bare.file + bare.at, sizeof length);
    pn_message_clear(bare.parts);
    pn_message_set_durable(bare.parts, true);
    pn_message_set_inferred(bare.parts, true);
    pn_message_set_subject(bare.parts, "batch");
    pn_data_put_binary(pn_message_body(bare.parts), pn_bytes(length, bare.file + bare.at + sizeof length));
    bare.length = sizeof bare.message;
    if (pn_message_encode(bare.parts, bare.message, &bare.length) != 0)
        exit(1);
    bare.at += sizeof length + length;
    return true;
}

static void send_some(pn_link_t *sender) {
    while (pn_link_credit(sender) > 0 && pn_session_outgoing_bytes(pn_link_session(sender)) < UNSENT_BYTES_MOST &&
           encode_next()) {
        if (bare.sent == 0) {
            bare.begun_s = now_s();
            bare.begun_cpu_s = cpu_s();
        }
        bare.sent++;
        pn_delivery(sender, pn_dtag((const char *)&bare.sent, sizeof bare.sent));
        pn_link_send(sender, bare.message, bare.length);
        pn_link_advance(sender);
    }
}

static void settle(pn_delivery_t *delivery) {
    if (pn_delivery_remote_state(delivery) != PN_ACCEPTED) {
        fputs("bare_sender: not accepted\n", stderr);
        exit(1);
    }
    pn_delivery_settle(delivery);
    if (++bare.accepted < bare.sent || bare.at < bare.size)
        return;
    printf("%.6f %.6f %.6f\n", bare.reading_s, now_s() - bare.begun_s, cpu_s() - bare.begun_cpu_s);
    exit(0);
}

static void open_link(pn_connection_t *connection) {
    pn_connection_set_container(connection, "bare");
    pn_connection_open(connection);
    pn_session_t *session = pn_session(connection);
    pn_session_open(session);
    pn_link_t *sender = pn_sender(session, "bare");
    pn_terminus_set_address(pn_link_target(sender), bare.address);
    pn_link_open(sender);
}

static void fail(pn_condition_t *condition) {
    fprintf(stderr, "bare_sender: %s: %s\n", pn_condition_get_name(condition), pn_condition_get_description(condition));
    exit(1);
}

static void on_init(pn_event_t *event) {
    open_link(pn_event_connection(event));
}

static void on_flow(pn_event_t *event) {
    send_some(pn_event_link(event));
}

static void on_delivery(pn_event_t *event) {
    settle(pn_event_delivery(event));
    send_some(pn_event_link(event));
}

/* Something was written: there may be room again. */
static void on_transport(pn_event_t *event) {
    pn_link_t *sender = pn_link_head(pn_event_connection(event), 0);
    if (sender != NULL)
        send_some(sender);
}

static void on_link_close(pn_event_t *event) {
    fail(pn_link_remote_condition(pn_event_link(event)));
}

static void on_transport_closed(pn_event_t *event) {
    fail(pn_transport_condition(pn_event_transport(event)));
}

static const struct {
    pn_event_type_t type;
    void (*handle)(pn_event_t *event);
} handlers[] = {
    {PN_CONNECTION_INIT, on_init},
    {PN_LINK_FLOW, on_flow},
    {PN_DELIVERY, on_delivery},
    {PN_TRANSPORT, on_transport},
    {PN_LINK_REMOTE_CLOSE, on_link_close},
    {PN_TRANSPORT_CLOSED, on_transport_closed},
};

static void handle(pn_event_t *event) {
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
        if (handlers[i].type == pn_event_type(event))
            handlers[i].handle(event);
}

int main(int argc, char **argv) {
    if (argc != 8) {
        fputs("Usage: bare_sender HOST PORT ADDRESS CA CERTIFICATE KEY FILE\n", stderr);
        return 2;
    }
    char where[PN_MAX_ADDR];
    bare.address = argv[3];
    bare.parts = pn_message();
    read_batches(argv[7]);
    pn_ssl_domain_t *domain = pn_ssl_domain(PN_SSL_MODE_CLIENT);
    if (pn_ssl_domain_set_credentials(domain, argv[5], argv[6], NULL) != 0 ||
        pn_ssl_domain_set_trusted_ca_db(domain, argv[4]) != 0 ||
        pn_ssl_domain_set_peer_authentication(domain, PN_SSL_VERIFY_PEER, NULL) != 0)
        return 1;
    pn_connection_t *connection = pn_connection();
    pn_transport_t *transport = pn_transport();
    pn_ssl_init(pn_ssl(transport), domain, NULL);
    pn_connection_set_hostname(connection, argv[1]);
    pn_sasl_allowed_mechs(pn_sasl(transport), "EXTERNAL");
    pn_transport_set_max_frame(transport, 65536);
    pn_proactor_t *proactor = pn_proactor();
    pn_proactor_addr(where, sizeof where, argv[1], argv[2]);
    pn_proactor_connect2(proactor, connection, transport, where);
    for (;;) {
        pn_event_batch_t *batch = pn_proactor_wait(proactor);
        for (pn_event_t *event; (event = pn_event_batch_next(batch)) != NULL;)
            handle(event);
        pn_proactor_done(proactor, batch);
    }
}
