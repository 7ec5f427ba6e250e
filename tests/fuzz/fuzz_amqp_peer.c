// links: gateway/amqp/amqp.c gateway/amqp/c[beo]*.c gateway/amqp/[de]*.c gateway/amqp/pu*.c gateway/amqp/resolve.c gateway/amqp/s*.c gateway/amqp/trail.c gateway/amqp/validity.c gateway/common/backoff.c gateway/common/clock.c gateway/common/error.c gateway/common/file.c gateway/common/hex.c
/* fuzz_amqp_peer.c - whatever a peer says once TLS is up, proton and what we make of its events do not break. The first
 * byte chooses our role; then pieces as they come out of TLS, each behind a length of 16 bits, or, where the length has
 * its highest bit set, something that the program does in between. TLS itself and the socket are played here. */
#include <assert.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/amqp/connection.h"

#define CONTAINER "gw"
#define TURNS_MOST 200 /* of the loop for one piece */
#define MESSAGE_BYTES_MOST (128u * 1024)
#define NUMBERS_MOST 512
#define SMALL_BYTES 100
#define LARGE_BYTES 100000 /* more than a slice */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
const char *__lsan_default_suppressions(void);

/* proton loses what a second SASL frame or OPEN overwrites; the connection ends there. */
const char *__lsan_default_suppressions(void) {
    return "leak:libqpid-proton";
}

static sd_event *event;
static char key_file[] = "/tmp/fuzz_amqp_peer.XXXXXX";
static struct amqp_trust trust = {.holders = 1};

/* Where proton's own assertions lead: Debian builds it with them, and a peer can break some (a first transfer without a
 * delivery-id). A program that ends so is started again; here the input is passed over. */
#define ABANDONED_MOST 4096
static jmp_buf given_up;
static const struct amqp *abandoned[ABANDONED_MOST]; /* so that they are no leaks */
static size_t abandoned_count;

void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function) {
    if (strstr(file, "/c/src/") != NULL)
        longjmp(given_up, 1);
    fprintf(stderr, "%s:%u: %s: assertion '%s' failed\n", file, line, function, assertion);
    abort();
}

static struct {
    struct amqp *amqp;
    const uint8_t *piece;
    size_t left;
    bool closed, free_at_end;
    uint64_t sent, replied;
    bool decided[NUMBERS_MOST];
    uint64_t waiting[NUMBERS_MOST]; /* messages without an answer */
    size_t waiting_count, aside;
} run;

/* The calls of tls.h and trust.c, see there. */
struct tls {
    int unused;
};

enum fb_error tls_open(struct amqp_trust *with, int descriptor, const char *host, struct tls **ret_tls,
                       struct fb_cause *cause) {
    static struct tls session;
    (void)with, (void)descriptor, (void)host, (void)cause;
    *ret_tls = &session;
    return FB_OK;
}

void tls_free(struct tls *tls) {
    (void)tls;
}

void amqp_trust_free(struct amqp_trust *with) {
    with->holders--;
}

enum tls_result tls_handshake(struct tls *tls, struct fb_cause *cause) {
    (void)tls, (void)cause;
    return TLS_DONE;
}

enum tls_result tls_read(struct tls *tls, void *ret_data, size_t size, size_t *ret_length, struct fb_cause *cause) {
    (void)tls, (void)cause;
    if (run.left == 0)
        return TLS_WANTS_READ;
    *ret_length = run.left < size ? run.left : size;
    memcpy(ret_data, run.piece, *ret_length);
    run.piece += *ret_length;
    run.left -= *ret_length;
    return TLS_DONE;
}

enum tls_result tls_write(struct tls *tls, const void *data, size_t length, size_t *ret_length,
                          struct fb_cause *cause) {
    (void)tls, (void)data, (void)cause;
    *ret_length = length;
    return TLS_DONE;
}

bool tls_alerted(const struct tls *tls) {
    (void)tls;
    return false;
}

void tls_version(const struct tls *tls, char *ret_text, size_t size) {
    (void)tls, (void)size;
    ret_text[0] = '\0';
}

void tls_peer_name(const struct tls *tls, char *ret_text, size_t size) {
    (void)tls, (void)size;
    strcpy(ret_text, "peer");
}

void tls_take_bytes(struct tls *tls, uint64_t *bytes_in, uint64_t *bytes_out) {
    (void)tls, (void)bytes_in, (void)bytes_out;
}

const struct validity_list *tls_peer_chain(const struct tls *tls) {
    static const struct validity_list none;
    (void)tls;
    return &none;
}

static void check_text(const char *text) {
    for (const char *at = text; *at != '\0'; at++)
        assert((unsigned char)*at >= 0x20 && *at != 0x7f);
}

static struct amqp_message message_of(size_t length) {
    static const uint8_t body[LARGE_BYTES];
    return (struct amqp_message){.message_id = "m",
                                 .subject = "batch",
                                 .group_id = "g",
                                 .correlation_id = "c",
                                 .content_type = "application/json",
                                 .body = body,
                                 .body_length = length};
}

static void on_step(struct amqp *amqp, enum amqp_step step, void *user) {
    (void)user;
    assert(step >= AMQP_TLS && step <= AMQP_UP && !run.closed);
    (void)amqp_message_bytes_most(amqp);
}

static void on_writable(struct amqp *amqp, void *user) {
    (void)user;
    for (unsigned i = 0; i < 4 && amqp_send_room(amqp) > 0 && run.sent < NUMBERS_MOST; i++) {
        const struct amqp_message message = message_of(i == 3 ? LARGE_BYTES : SMALL_BYTES);
        struct fb_cause cause;
        const enum fb_error error = amqp_send(amqp, run.sent, &message, &cause);
        assert(error == FB_OK || error == FB_LIMIT);
        if (error != FB_OK)
            break;
        run.sent++;
    }
}

static void on_outcome(struct amqp *amqp, uint64_t delivery, enum amqp_outcome outcome, const char *reason,
                       void *user) {
    (void)reason, (void)user;
    assert(delivery < run.sent && !run.decided[delivery]);
    assert(outcome >= AMQP_ACCEPTED && outcome <= AMQP_MODIFIED);
    run.decided[delivery] = true;
    if (delivery % 3 != 0)
        amqp_settle(amqp, delivery);
}

static void note(uint64_t delivery) {
    if (run.waiting_count < NUMBERS_MOST)
        run.waiting[run.waiting_count++] = delivery;
}

static void on_received(struct amqp *amqp, uint64_t delivery, const struct amqp_message *message, void *user) {
    (void)user;
    assert(message->body_length <= MESSAGE_BYTES_MOST);
    if (delivery % 2 == 0)
        note(delivery);
    else
        amqp_answer(amqp, delivery, 1 + delivery % 4, "as it comes");
}

static void on_side_changed(struct amqp *amqp, bool up, const char *reason, void *user) {
    (void)amqp, (void)user;
    assert(up == (reason[0] == '\0'));
    check_text(reason);
    run.aside = 0;
}

static void reply(struct amqp *amqp) {
    const struct amqp_message message = message_of(SMALL_BYTES);
    struct fb_cause cause;
    const enum fb_error error = amqp_side_send(amqp, run.replied, &message, &cause);
    assert(error == FB_OK || error == FB_AGAIN || error == FB_LIMIT);
    run.replied += error == FB_OK;
}

static void on_side_received(struct amqp *amqp, uint64_t delivery, const struct amqp_message *message, void *user) {
    (void)user;
    assert(message->body_length <= AMQP_SIDE_BYTES_MAX);
    if (delivery % 2 == 0) {
        assert(++run.aside <= AMQP_SIDE_CREDIT);
        note(delivery);
    } else {
        reply(amqp);
        amqp_side_answer(amqp, delivery, 1 + delivery % 4, "as it comes");
    }
}

static void on_side_refused(struct amqp *amqp, const char *reason, void *user) {
    (void)amqp, (void)reason, (void)user;
}

static void on_side_writable(struct amqp *amqp, void *user) {
    (void)user;
    reply(amqp);
}

static void on_side_outcome(struct amqp *amqp, uint64_t delivery, enum amqp_outcome outcome, const char *reason,
                            void *user) {
    (void)amqp, (void)reason, (void)user;
    assert(delivery < run.replied && outcome >= AMQP_ACCEPTED && outcome <= AMQP_MODIFIED);
}

static void on_closed(struct amqp *amqp, enum amqp_step step, const char *reason, void *user) {
    (void)user;
    assert(!run.closed && step <= AMQP_UP && reason[0] != '\0');
    check_text(reason);
    run.closed = true;
    if (run.free_at_end) {
        amqp_free(amqp);
        run.amqp = NULL;
    }
}

static const struct amqp_handlers handlers = {
    .step = on_step,
    .writable = on_writable,
    .outcome = on_outcome,
    .received = on_received,
    .side_changed = on_side_changed,
    .side_received = on_side_received,
    .side_refused = on_side_refused,
    .side_writable = on_side_writable,
    .side_outcome = on_side_outcome,
    .closed = on_closed,
};

static void begin_as(uint8_t role) {
    const struct amqp_token_settings token = {
        .key_file = key_file, .policy = "", .resource = "hub.example/devices/a", .life_ms = 3600000};
    const bool server = role % 4 == 2;
    const struct amqp_settings settings = {
        .trust = &trust,
        .container = CONTAINER,
        .host = "peer.example",
        .port = 5671,
        .direction = role % 4 == 1 || server ? AMQP_RECEIVE : AMQP_SEND,
        .address = server ? NULL : "/queues/readings",
        .token = role % 4 == 3 ? &token : NULL,
        .message_bytes_most = 256u * 1024,
        .connect_timeout_ms = 60000,
        .open_timeout_ms = 60000,
        .credit_timeout_ms = 60000,
        .idle_timeout_ms = 60000,
        .receive_credit = 10,
        .receive_bytes_most = MESSAGE_BYTES_MOST,
        .handlers = &handlers,
    };
    struct fb_cause cause;
    int pair[2];
    memset(&run, 0, sizeof run);
    run.free_at_end = (role & 8) != 0;
    assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    close(pair[1]);
    if (server) {
        assert(amqp_accept(event, pair[0], &settings, &run.amqp, &cause) == FB_OK);
        return;
    }
    /* The client's way from its name to the socket is not the peer's to say anything about. */
    assert(amqp_connect(event, &settings, &run.amqp, &cause) == FB_OK);
    run.amqp->started = true;
    run.amqp->descriptor = pair[0];
    if ((role & 4) != 0)
        assert(amqp_side(run.amqp, "/queues/commands", "/queues/replies", &cause) == FB_OK);
    connection_enter(run.amqp);
    connect_secure(run.amqp);
    connection_leave(run.amqp);
}

static void settle(void) {
    for (unsigned turn = 0; turn < TURNS_MOST && run.amqp != NULL && !run.closed; turn++)
        if (sd_event_run(event, 0) <= 0)
            return;
}

/* As if so much time had passed. */
static void expire(sd_event_source *timer) {
    int running = SD_EVENT_OFF;
    if (timer != NULL && sd_event_source_get_enabled(timer, &running) > 0)
        sd_event_source_set_time(timer, 1);
}

static void act(uint8_t what) {
    struct fb_cause cause;
    const bool server = run.amqp->server;
    switch (what % 8) {
    case 0:
        amqp_close(run.amqp);
        break;
    case 1:
    case 2:
        if (!server && !run.closed)
            assert(amqp_side(run.amqp, what % 8 == 1 ? "/queues/commands" : NULL, "/queues/replies", &cause) == FB_OK);
        break;
    case 3:
        while (run.waiting_count > 0) {
            const uint64_t delivery = run.waiting[--run.waiting_count];
            if (run.amqp->settings.direction == AMQP_RECEIVE)
                amqp_answer(run.amqp, delivery, 1 + delivery % 4, NULL);
            else
                amqp_side_answer(run.amqp, delivery, 1 + delivery % 4, NULL);
        }
        run.aside = 0;
        break;
    case 4:
        for (uint64_t number = 0; number < run.sent && !run.closed; number++)
            amqp_settle(run.amqp, number);
        break;
    case 5:
        if (!run.closed)
            reply(run.amqp);
        break;
    case 6:
        if (run.amqp->side != NULL)
            expire(run.amqp->side->timer);
        break;
    default:
        expire(run.amqp->deadline);
        break;
    }
}

static void play(const uint8_t *data, size_t size) {
    begin_as(data[0]);
    settle();
    for (size_t at = 1; at + 2 <= size && run.amqp != NULL && !run.closed;) {
        const size_t length = (size_t)data[at] << 8 | data[at + 1];
        at += 2;
        if ((length & 0x8000) != 0) {
            act((uint8_t)length);
        } else {
            run.piece = data + at;
            run.left = length < size - at ? length : size - at;
            at += run.left;
        }
        settle();
    }
    amqp_free(run.amqp);
    assert(trust.holders == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (event == NULL)
        LLVMFuzzerInitialize(NULL, NULL);
    if (size == 0)
        return 0;
    if (setjmp(given_up) == 0) {
        play(data, size);
        return 0;
    }
    abandoned[abandoned_count++ % ABANDONED_MOST] = run.amqp;
    trust.holders = 1;
    assert(sd_event_new(&event) >= 0);
    return -1;
}

static void remove_key(void) {
    unlink(key_file);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    static const char key[] = "Zm9yZWJheSBmb3JlYmF5IGZvcmViYXkgZm9yZWJheSE=\n";
    const int descriptor = mkstemp(key_file);
    assert(descriptor >= 0 && write(descriptor, key, sizeof key - 1) == sizeof key - 1);
    close(descriptor);
    atexit(remove_key);
    assert(sd_event_new(&event) >= 0);
    return 0;
}
