#include "gateway/receive/peers.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/common/backoff.h"
#include "gateway/common/file.h"

#define CONNECT_TIMEOUT_MS 10000
#define OPEN_TIMEOUT_MS 15000 /* RabbitMQ delays a refusal by 3 s */
#define IDLE_TIMEOUT_MS 60000
#define RETRY_FIRST_MS 500
#define RETRY_MOST_MS 10000
/* After accept() failed for want of descriptors or memory. */
#define ACCEPT_PAUSE_US 1000000u
#define NOTICE_MAX 640

struct peer {
    struct peers *peers;
    struct amqp *amqp; /* NULL: this place is free */
    bool ready;
};

struct peers {
    struct peers_settings settings;
    sd_event *event;
    int listener;
    sd_event_source *listener_source;
    sd_event_source *timer; /* connecting: the next attempt; listening: accept again */
    struct backoff backoff;
    bool ending;
    char last_reason[NOTICE_MAX]; /* so that a broker that stays away is told of once */
    size_t count;
    struct peer places[PEERS_MAX];
};

static void become_ready(struct peer *peer) {
    struct peers *peers = peer->peers;
    if (peer->ready)
        return;
    peer->ready = true;
    peers->last_reason[0] = '\0';
    char text[NOTICE_MAX];
    snprintf(text, sizeof text, "address=%s name=\"%s\" tls=\"%s\"", amqp_peer_address(peer->amqp),
             amqp_peer_name(peer->amqp), amqp_tls_version(peer->amqp));
    peers->settings.notice("peer-up", text, peers->settings.user);
    peers->settings.ready(peers->settings.user);
}

static void on_step(struct amqp *amqp, enum amqp_step step, void *user) {
    (void)amqp;
    if (step == AMQP_UP)
        become_ready(user);
}

static void on_received(struct amqp *amqp, uint64_t delivery, const struct amqp_message *message, void *user) {
    struct peer *peer = user;
    struct peers *peers = peer->peers;
    become_ready(peer);
    /* Only a message proves that the link works: a broker that attaches us and drops us again keeps its back-off. */
    peers->backoff.failures = 0;
    if (!peers->ending)
        peers->settings.received(amqp, delivery, message, peers->settings.user);
}

static void tell_closed(struct peer *peer, enum amqp_step step, const char *reason) {
    struct peers *peers = peer->peers;
    char text[NOTICE_MAX];
    snprintf(text, sizeof text, "address=%s step=%s reason=\"%s\"", amqp_peer_address(peer->amqp), amqp_step_word(step),
             reason);
    if (strcmp(text, peers->last_reason) != 0 && !peers->ending)
        peers->settings.notice("peer-gone", text, peers->settings.user);
    if (!peers->settings.listen)
        memcpy(peers->last_reason, text, sizeof text);
}

static void set_timer(struct peers *peers, uint64_t delay_us) {
    if (sd_event_source_set_time_relative(peers->timer, delay_us) >= 0)
        sd_event_source_set_enabled(peers->timer, SD_EVENT_ONESHOT);
}

static void on_closed(struct amqp *amqp, enum amqp_step step, const char *reason, void *user) {
    struct peer *peer = user;
    struct peers *peers = peer->peers;
    tell_closed(peer, step, reason);
    *peer = (struct peer){.peers = peers};
    peers->count--;
    peers->settings.left(amqp, peers->settings.user);
    amqp_free(amqp);
    if (peers->ending)
        return;
    if (peers->settings.listen)
        sd_event_source_set_enabled(peers->listener_source, SD_EVENT_ON);
    else
        set_timer(peers, UINT64_C(1000) * backoff_next_ms(&peers->backoff, backoff_random()));
}

static const struct amqp_handlers handlers = {.step = on_step, .received = on_received, .closed = on_closed};

static struct peer *free_place(struct peers *peers) {
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (peers->places[i].amqp == NULL)
            return &peers->places[i];
    return NULL;
}

static struct amqp_settings amqp_settings(struct peer *peer) {
    const struct peers_settings *settings = &peer->peers->settings;
    return (struct amqp_settings){
        .trust = settings->trust,
        .container = "forebay-receive",
        .host = settings->endpoint->host,
        .port = settings->endpoint->port,
        .direction = AMQP_RECEIVE,
        .address = settings->listen ? NULL : settings->endpoint->address,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .open_timeout_ms = OPEN_TIMEOUT_MS,
        .idle_timeout_ms = IDLE_TIMEOUT_MS,
        .receive_credit = PEERS_CREDIT,
        .receive_bytes_most = PEERS_MESSAGE_BYTES_MAX,
        .handlers = &handlers,
        .user = peer,
    };
}

static void connect_now(struct peers *peers) {
    struct peer *peer = &peers->places[0];
    const struct amqp_settings settings = amqp_settings(peer);
    struct fb_cause cause = {""};
    if (amqp_connect(peers->event, &settings, &peer->amqp, &cause) == FB_OK) {
        peers->count++;
        return;
    }
    peers->settings.notice("connect-failed", cause.text, peers->settings.user);
    set_timer(peers, UINT64_C(1000) * backoff_next_ms(&peers->backoff, backoff_random()));
}

static void accept_one(struct peers *peers, int descriptor) {
    struct peer *peer = free_place(peers);
    const struct amqp_settings settings = amqp_settings(peer);
    struct fb_cause cause = {""};
    if (amqp_accept(peers->event, descriptor, &settings, &peer->amqp, &cause) == FB_OK)
        peers->count++;
    else
        peers->settings.notice("accept-failed", cause.text, peers->settings.user);
    if (peers->count == PEERS_MAX)
        sd_event_source_set_enabled(peers->listener_source, SD_EVENT_OFF);
}

static int on_listener(sd_event_source *source, int fd, uint32_t events, void *user) {
    (void)events;
    struct peers *peers = user;
    const int descriptor = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0)
        accept_one(peers, descriptor);
    else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
        set_timer(peers, ACCEPT_PAUSE_US);
    }
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user) {
    (void)source;
    (void)usec;
    struct peers *peers = user;
    if (!peers->settings.listen)
        connect_now(peers);
    else if (peers->count < PEERS_MAX)
        sd_event_source_set_enabled(peers->listener_source, SD_EVENT_ON);
    return 0;
}

static enum fb_error bind_listener(struct peers *peers, const struct addrinfo *where, struct fb_cause *cause) {
    const struct endpoint *endpoint = peers->settings.endpoint;
    const int yes = 1;
    peers->listener = socket(where->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (peers->listener < 0 || setsockopt(peers->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        bind(peers->listener, where->ai_addr, where->ai_addrlen) < 0 || listen(peers->listener, PEERS_MAX) < 0)
        return fb_fail_errno(cause, FB_IO, errno, "--listen %s port %u", endpoint->host, endpoint->port);
    return FB_OK;
}

static void tell_listening(struct peers *peers) {
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    char host[NI_MAXHOST], port[NI_MAXSERV], text[NI_MAXHOST + NI_MAXSERV + 32];
    if (getsockname(peers->listener, (struct sockaddr *)&bound, &length) < 0 ||
        getnameinfo((struct sockaddr *)&bound, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    snprintf(text, sizeof text, "address=%s port=%s", host, port);
    peers->settings.notice("listening", text, peers->settings.user);
}

static enum fb_error start_listening(struct peers *peers, struct fb_cause *cause) {
    const struct endpoint *endpoint = peers->settings.endpoint;
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    char port[8];
    struct addrinfo *where = NULL;
    snprintf(port, sizeof port, "%u", endpoint->port);
    if (getaddrinfo(endpoint->host, port, &hints, &where) != 0)
        return fb_fail(cause, FB_INVALID, "--listen %s: not an address in numbers; use 0.0.0.0 for all",
                       endpoint->host);
    const enum fb_error error = bind_listener(peers, where, cause);
    freeaddrinfo(where);
    if (error != FB_OK)
        return error;
    if (sd_event_add_io(peers->event, &peers->listener_source, peers->listener, EPOLLIN, on_listener, peers) < 0)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    tell_listening(peers);
    return FB_OK;
}

enum fb_error peers_start(sd_event *event, const struct peers_settings *settings, struct peers **ret_peers,
                          struct fb_cause *cause) {
    struct peers *peers = calloc(1, sizeof *peers);
    if (peers == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    peers->settings = *settings;
    peers->listener = -1;
    peers->event = sd_event_ref(event);
    peers->backoff = (struct backoff){.first_ms = RETRY_FIRST_MS, .most_ms = RETRY_MOST_MS};
    for (size_t i = 0; i < PEERS_MAX; i++)
        peers->places[i].peers = peers;
    enum fb_error error = FB_OK;
    if (sd_event_add_time_relative(event, &peers->timer, CLOCK_MONOTONIC, 0, 1, on_timer, peers) < 0)
        error = fb_fail(cause, FB_MEMORY, "out of memory");
    if (error == FB_OK && settings->listen)
        error = start_listening(peers, cause);
    if (error == FB_OK)
        *ret_peers = peers;
    else
        peers_free(peers);
    return error;
}

void peers_end(struct peers *peers) {
    peers->ending = true;
    sd_event_source_set_enabled(peers->timer, SD_EVENT_OFF);
    if (peers->listener_source != NULL)
        sd_event_source_set_enabled(peers->listener_source, SD_EVENT_OFF);
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (peers->places[i].amqp != NULL)
            amqp_close(peers->places[i].amqp);
}

size_t peers_count(const struct peers *peers) {
    return peers->count;
}

void peers_free(struct peers *peers) {
    if (peers == NULL)
        return;
    for (size_t i = 0; i < PEERS_MAX; i++)
        amqp_free(peers->places[i].amqp);
    sd_event_source_disable_unref(peers->listener_source);
    sd_event_source_disable_unref(peers->timer);
    if (peers->listener >= 0)
        close(peers->listener);
    sd_event_unref(peers->event);
    free(peers);
}
