#include "gateway/amqp/resolve.h"

#include <ares.h>
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* c-ares opens at most one UDP and one TCP socket for each name server, plus one while it sorts an answer. */
#define SOCKETS_MAX 16
/* One try; a lost datagram must not cost the whole deadline. */
#define TRY_MS 2000
#define TRIES 3
#define TIMER_ACCURACY_US 1000

struct resolve_socket {
    int descriptor;
    sd_event_source *source; /* NULL: free */
};

struct resolve {
    sd_event *event;
    ares_channel channel;
    bool library_ready;
    bool channel_ready;
    bool ending; /* answers that c-ares gives while it is being destroyed count no more */
    struct resolve_socket sockets[SOCKETS_MAX];
    sd_event_source *timer;
    sd_event_source *answered; /* hands the answer out when c-ares is not on the stack */
    uint16_t port;
    resolve_done done;
    void *user;
    struct resolve_answer answer;
};

void resolve_address_text(const struct sockaddr_storage *address, char ret_text[static INET6_ADDRSTRLEN]) {
    ret_text[0] = '\0';
    if (address->ss_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, ret_text, INET6_ADDRSTRLEN);
    else if (address->ss_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, ret_text, INET6_ADDRSTRLEN);
}

static void add_address(struct resolve *resolve, const void *socket_address, socklen_t length) {
    struct resolve_answer *answer = &resolve->answer;
    if (answer->count == RESOLVE_ADDRESSES_MAX || length > sizeof(struct sockaddr_storage))
        return;
    struct resolve_address *address = &answer->addresses[answer->count];
    memcpy(&address->socket_address, socket_address, length);
    address->length = length;
    if (address->socket_address.ss_family == AF_INET)
        ((struct sockaddr_in *)&address->socket_address)->sin_port = htons(resolve->port);
    else if (address->socket_address.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&address->socket_address)->sin6_port = htons(resolve->port);
    else
        return;
    answer->count++;
}

static int on_answered(sd_event_source *source, void *user) {
    (void)source;
    struct resolve *resolve = user;
    resolve->done(&resolve->answer, resolve->user);
    return 0;
}

static enum fb_error answer_soon(struct resolve *resolve) {
    const int r = sd_event_add_defer(resolve->event, &resolve->answered, on_answered, resolve);
    return r < 0 ? FB_MEMORY : FB_OK;
}

/* c-ares' answer; may come from within ares_getaddrinfo() itself. */
static void on_addresses(void *user, int status, int timeouts, struct ares_addrinfo *found) {
    (void)timeouts;
    struct resolve *resolve = user;
    if (resolve->ending)
        return;
    if (status == ARES_SUCCESS) {
        for (const struct ares_addrinfo_node *node = found->nodes; node != NULL; node = node->ai_next)
            add_address(resolve, node->ai_addr, node->ai_addrlen);
        ares_freeaddrinfo(found);
    }
    if (resolve->answer.count == 0)
        fb_fail(&resolve->answer.cause, FB_NOT_FOUND, "no address found: %s",
                status == ARES_SUCCESS ? "the name exists but has none" : ares_strerror(status));
    /* Out of memory here leaves it to the caller's deadline. */
    if (answer_soon(resolve) != FB_OK)
        return;
}

static int on_timer(sd_event_source *source, uint64_t now_us, void *user);

static void arm_timer(struct resolve *resolve) {
    struct timeval wait;
    if (ares_timeout(resolve->channel, NULL, &wait) == NULL) {
        sd_event_source_set_enabled(resolve->timer, SD_EVENT_OFF);
        return;
    }
    const uint64_t wait_us = (uint64_t)wait.tv_sec * 1000000 + (uint64_t)wait.tv_usec;
    sd_event_source_set_time_relative(resolve->timer, wait_us);
    sd_event_source_set_enabled(resolve->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t now_us, void *user) {
    (void)source, (void)now_us;
    struct resolve *resolve = user;
    ares_process_fd(resolve->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm_timer(resolve);
    return 0;
}

static int on_socket(sd_event_source *source, int descriptor, uint32_t events, void *user) {
    (void)source;
    struct resolve *resolve = user;
    const bool failed = (events & (EPOLLERR | EPOLLHUP)) != 0;
    ares_process_fd(resolve->channel, failed || (events & EPOLLIN) ? descriptor : ARES_SOCKET_BAD,
                    failed || (events & EPOLLOUT) ? descriptor : ARES_SOCKET_BAD);
    arm_timer(resolve);
    return 0;
}

static struct resolve_socket *socket_of(struct resolve *resolve, int descriptor) {
    struct resolve_socket *empty = NULL;
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        struct resolve_socket *candidate = &resolve->sockets[i];
        if (candidate->source == NULL)
            empty = empty == NULL ? candidate : empty;
        else if (candidate->descriptor == descriptor)
            return candidate;
    }
    return empty;
}

/* c-ares tells what it wants to know about one of its sockets; neither: it is about to close it. */
static void on_socket_state(void *user, ares_socket_t descriptor, int readable, int writable) {
    struct resolve *resolve = user;
    struct resolve_socket *entry = socket_of(resolve, descriptor);
    if (entry == NULL)
        return;
    const uint32_t events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);
    if (events == 0)
        entry->source = sd_event_source_disable_unref(entry->source);
    else if (entry->source != NULL)
        sd_event_source_set_io_events(entry->source, events);
    else if (sd_event_add_io(resolve->event, &entry->source, descriptor, events, on_socket, resolve) >= 0)
        entry->descriptor = descriptor;
}

static enum fb_error ask(struct resolve *resolve, const char *host, struct fb_cause *cause) {
    int status = ares_library_init(ARES_LIB_INIT_ALL);
    if (status != ARES_SUCCESS)
        return fb_fail(cause, FB_IO, "c-ares: %s", ares_strerror(status));
    resolve->library_ready = true;
    struct ares_options options = {
        .timeout = TRY_MS, .tries = TRIES, .sock_state_cb = on_socket_state, .sock_state_cb_data = resolve};
    status =
        ares_init_options(&resolve->channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS)
        return fb_fail(cause, FB_IO, "the system's name servers: %s", ares_strerror(status));
    resolve->channel_ready = true;
    if (sd_event_add_time_relative(resolve->event, &resolve->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_US, on_timer,
                                   resolve) < 0)
        return fb_fail(cause, FB_MEMORY, "no timer for the name look-up");
    const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    ares_getaddrinfo(resolve->channel, host, NULL, &hints, on_addresses, resolve);
    arm_timer(resolve);
    return FB_OK;
}

static bool literal(struct resolve *resolve, const char *host) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
        add_address(resolve, &v4, sizeof v4);
    else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
        add_address(resolve, &v6, sizeof v6);
    return resolve->answer.count > 0;
}

enum fb_error resolve_start(sd_event *event, const char *host, uint16_t port, resolve_done done, void *user,
                            struct resolve **ret_resolve, struct fb_cause *cause) {
    struct resolve *resolve = calloc(1, sizeof *resolve);
    if (resolve == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    resolve->event = sd_event_ref(event);
    resolve->port = port;
    resolve->done = done;
    resolve->user = user;
    const enum fb_error error = literal(resolve, host) ? answer_soon(resolve) : ask(resolve, host, cause);
    if (error != FB_OK) {
        resolve_free(resolve);
        return error;
    }
    *ret_resolve = resolve;
    return FB_OK;
}

void resolve_free(struct resolve *resolve) {
    if (resolve == NULL)
        return;
    resolve->ending = true;
    if (resolve->channel_ready)
        ares_destroy(resolve->channel);
    if (resolve->library_ready)
        ares_library_cleanup();
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        sd_event_source_disable_unref(resolve->sockets[i].source);
    sd_event_source_disable_unref(resolve->timer);
    sd_event_source_disable_unref(resolve->answered);
    sd_event_unref(resolve->event);
    free(resolve);
}
