#include "tests/unit/amqp_world.h"

#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/common/clock.h"
#include "tests/unit/pki.h"

#define GIVE_UP_MS 10000
/* Also the resolution of the loops' timers here. */
#define POLL_MS 2

static const struct pki_request good[] = {
    {.name = "server", .names = "DNS:localhost,IP:127.0.0.1,IP:::1"},
    {.name = "client", .purpose = "clientAuth"},
    {.name = "wrong-name", .names = "DNS:gw.example,DNS:broker.example"},
    {.name = "wrong-address", .names = "IP:192.0.2.7,DNS:localhost"},
    {.name = "127.0.0.1"},
    {.name = "expired", .names = "IP:127.0.0.1", .from_days = -30, .to_days = -2},
    {.name = "not-yet", .names = "IP:127.0.0.1", .from_days = 2, .to_days = 30},
    {.name = "client-only", .names = "IP:127.0.0.1", .purpose = "clientAuth"},
    {.name = "locked", .passphrase = "secret"},
};
static const struct pki_request foreign[] = {
    {.name = "foreign-server", .names = "DNS:localhost,IP:127.0.0.1"},
    {.name = "foreign-client"},
};

static void make_certificates(const char *folder) {
    struct pki_authority ca = pki_authority_make(folder, "ca");
    struct pki_authority other = pki_authority_make(folder, "other-ca");
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        pki_issue(folder, &ca, &good[i]);
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        pki_issue(folder, &other, &foreign[i]);
    pki_authority_done(&ca);
    pki_authority_done(&other);
}

const char *world_path(const struct world *world, const char *name, const char *ending) {
    static char paths[16][256];
    static unsigned next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s.%s", world->folder, name, ending);
    return path;
}

struct amqp_trust_settings world_trust_settings(const struct world *world, const char *ca, const char *name,
                                                bool server) {
    return (struct amqp_trust_settings){.ca = world_path(world, ca, "pem"),
                                        .certificate = world_path(world, name, "pem"),
                                        .key = world_path(world, name, "key"),
                                        .server = server};
}

void world_trust(struct world *world, struct end *end, const char *ca, const char *name) {
    amqp_trust_free(end->trust);
    end->trust = NULL;
    const struct amqp_trust_settings settings = world_trust_settings(world, ca, name, end == &world->server);
    struct fb_cause cause;
    assert_int_equal(amqp_trust_load(&settings, &end->trust, &cause), FB_OK);
}

static void on_step(struct amqp *amqp, enum amqp_step step, void *user) {
    struct end *end = user;
    end->step = step;
    end->up = end->up || step == AMQP_UP;
    if (end->free_at_step != 0 && end->free_at_step == step) {
        end->amqp = NULL;
        end->closed = true;
        amqp_free(amqp);
    }
}

static void on_writable(struct amqp *amqp, void *user) {
    struct end *end = user;
    static const uint8_t body[4096];
    const struct amqp_message message = {.message_id = "1",
                                         .subject = "batch",
                                         .group_id = "gw-1",
                                         .content_type = "text/plain",
                                         .body = body,
                                         .body_length = sizeof body};
    assert_true(amqp_send_room(amqp) > 0);
    end->writables++;
    while (end->to_send > 0 && amqp_send_room(amqp) > 0)
        assert_int_equal(amqp_send(amqp, end->to_send--, &message, NULL), FB_OK);
}

static void on_outcome(struct amqp *amqp, uint64_t delivery, enum amqp_outcome outcome, const char *reason,
                       void *user) {
    struct end *end = user;
    end->outcomes++;
    end->last_delivery = delivery;
    end->last_outcome = outcome;
    snprintf(end->last_reason, sizeof end->last_reason, "%s", reason);
    amqp_settle(amqp, delivery);
}

static void on_received(struct amqp *amqp, uint64_t delivery, const struct amqp_message *message, void *user) {
    struct end *end = user;
    end->received++;
    end->last_delivery = delivery;
    snprintf(end->message_id, sizeof end->message_id, "%s", message->message_id);
    snprintf(end->subject, sizeof end->subject, "%s", message->subject);
    snprintf(end->group_id, sizeof end->group_id, "%s", message->group_id);
    snprintf(end->content_type, sizeof end->content_type, "%s", message->content_type);
    end->historical = message->historical;
    end->body_length = message->body_length;
    end->first_byte = message->body_length > 0 ? message->body[0] : 0;
    if (!end->hold)
        amqp_answer(amqp, delivery, end->answer, end->answer == AMQP_REJECTED ? "the disk is full" : NULL);
}

static void on_closed(struct amqp *amqp, enum amqp_step step, const char *reason, void *user) {
    struct end *end = user;
    if (amqp == end->earlier) {
        end->earlier = NULL;
        amqp_free(amqp);
        return;
    }
    assert_false(end->closed);
    end->closed = true;
    end->closed_step = step;
    snprintf(end->reason, sizeof end->reason, "%s", reason);
    end->peer_chain = *amqp_peer_chain(amqp);
    end->amqp = NULL;
    amqp_free(amqp);
}

static const struct amqp_handlers handlers = {
    .step = on_step, .writable = on_writable, .outcome = on_outcome, .received = on_received, .closed = on_closed};

static int on_accept(sd_event_source *source, int descriptor, uint32_t events, void *user) {
    (void)source, (void)events;
    struct world *world = user;
    const int accepted = accept4(descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    amqp_free(world->server.earlier);
    world->server.earlier = world->server.amqp;
    world->server_settings.trust = world->server.trust;
    world->server.closed = false;
    struct fb_cause cause;
    assert_int_equal(amqp_accept(world->server.event, accepted, &world->server_settings, &world->server.amqp, &cause),
                     FB_OK);
    return 0;
}

static void listen_somewhere(struct world *world) {
    world->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    assert_int_equal(bind(world->listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(world->listener, 16), 0);
    assert_int_equal(getsockname(world->listener, (struct sockaddr *)&address, &length), 0);
    world->port = ntohs(address.sin_port);
}

void world_open(struct world *world) {
    *world = (struct world){.folder = "/tmp/forebay-test-XXXXXX"};
    assert_non_null(mkdtemp(world->folder));
    make_certificates(world->folder);
    assert_true(sd_event_new(&world->client.event) >= 0);
    assert_true(sd_event_new(&world->server.event) >= 0);
    world_trust(world, &world->client, "ca", "client");
    world_trust(world, &world->server, "ca", "server");
    world->server.answer = AMQP_ACCEPTED;
    listen_somewhere(world);
    assert_true(sd_event_add_io(world->server.event, &world->accept, world->listener, EPOLLIN, on_accept, world) >= 0);
    world->client_settings = (struct amqp_settings){
        .container = "gw-1",
        .host = "127.0.0.1",
        .port = world->port,
        .direction = AMQP_SEND,
        .address = "/queues/readings",
        .connect_timeout_ms = 5000,
        .open_timeout_ms = 5000,
        .idle_timeout_ms = 30000,
        .handlers = &handlers,
        .user = &world->client,
    };
    world->server_settings = (struct amqp_settings){
        .container = "receiver",
        .direction = AMQP_RECEIVE,
        .connect_timeout_ms = 5000,
        .open_timeout_ms = 5000,
        .idle_timeout_ms = 30000,
        .receive_credit = 100,
        .receive_bytes_most = 256 * 1024,
        .handlers = &handlers,
        .user = &world->server,
    };
}

void world_close(struct world *world) {
    amqp_free(world->client.amqp);
    amqp_free(world->server.amqp);
    amqp_free(world->server.earlier);
    amqp_trust_free(world->client.trust);
    amqp_trust_free(world->server.trust);
    sd_event_source_disable_unref(world->accept);
    sd_event_unref(world->client.event);
    sd_event_unref(world->server.event);
    close(world->listener);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", world->folder);
    assert_int_equal(system(command), 0);
}

void world_connect(struct world *world) {
    world->client.closed = false;
    world->client_settings.trust = world->client.trust;
    struct fb_cause cause;
    assert_int_equal(amqp_connect(world->client.event, &world->client_settings, &world->client.amqp, &cause), FB_OK);
}

static void run_loop(sd_event *event) {
    while (sd_event_run(event, 0) > 0)
        ;
}

static void run_once(struct world *world) {
    struct pollfd fds[] = {{.fd = sd_event_get_fd(world->client.event), .events = POLLIN},
                           {.fd = sd_event_get_fd(world->server.event), .events = POLLIN}};
    poll(fds, world->server_silent ? 1 : 2, POLL_MS);
    run_loop(world->client.event);
    if (!world->server_silent)
        run_loop(world->server.event);
}

void world_run_until(struct world *world, const bool *flag) {
    const int64_t give_up_ms = clock_monotonic_ms() + GIVE_UP_MS;
    while (!*flag) {
        assert_true(clock_monotonic_ms() < give_up_ms);
        run_once(world);
    }
}

int64_t world_run_for(struct world *world, int64_t duration_ms) {
    const int64_t began_ms = clock_monotonic_ms();
    int64_t longest_ms = 0;
    for (int64_t last_ms = began_ms, now_ms = began_ms; now_ms - began_ms < duration_ms; last_ms = now_ms) {
        run_once(world);
        now_ms = clock_monotonic_ms();
        longest_ms = now_ms - last_ms > longest_ms ? now_ms - last_ms : longest_ms;
    }
    return longest_ms;
}

void world_run_to_step(struct world *world, enum amqp_step step) {
    const int64_t give_up_ms = clock_monotonic_ms() + GIVE_UP_MS;
    while (world->client.step < step) {
        if (world->client.closed)
            fail_msg("closed in step %s: %s", amqp_step_word(world->client.closed_step), world->client.reason);
        assert_true(clock_monotonic_ms() < give_up_ms);
        run_once(world);
    }
}

void world_run_to_count(struct world *world, const unsigned *counter, unsigned wanted) {
    const int64_t give_up_ms = clock_monotonic_ms() + GIVE_UP_MS;
    while (*counter < wanted) {
        if (world->client.closed)
            fail_msg("closed in step %s: %s", amqp_step_word(world->client.closed_step), world->client.reason);
        assert_true(clock_monotonic_ms() < give_up_ms);
        run_once(world);
    }
}

void world_expect_refusal(struct world *world, enum amqp_step step, const char *text) {
    world_connect(world);
    world_run_until(world, &world->client.closed);
    if (strstr(world->client.reason, text) == NULL || world->client.closed_step != step)
        fail_msg("expected \"%s\" in step %s, got \"%s\" in step %s", text, amqp_step_word(step), world->client.reason,
                 amqp_step_word(world->client.closed_step));
}
