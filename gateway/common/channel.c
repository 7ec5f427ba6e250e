#include "gateway/common/channel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gateway/common/file.h"

/* Messages taken from one peer before the others have their turn. */
#define READ_ROUNDS_MAX 16

struct queued {
    struct queued *next;
    size_t length;
    uint8_t bytes[];
};

struct channel {
    sd_event_source *io;
    sd_event_source *doomed; /* set once the channel has to close: tells the owner from the loop, not from a call */
    const struct channel_handlers *handlers;
    void *user;
    struct queued *first, *last;
    size_t queued_bytes;
    int descriptor;
    bool *freed; /* set while a handler runs, to see that it freed the channel */
    char reason[128];
};

static struct sockaddr_un socket_address(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    return address;
}

static bool path_fits(const char *path) {
    return strlen(path) < sizeof((struct sockaddr_un *)NULL)->sun_path;
}

static int tell_closed(sd_event_source *source, void *user) {
    (void)source;
    struct channel *channel = user;
    channel->handlers->closed(channel, channel->reason, channel->user);
    return 0;
}

static void doom(struct channel *channel, const char *reason) {
    if (channel->doomed != NULL)
        return;
    snprintf(channel->reason, sizeof channel->reason, "%s", reason);
    sd_event_source_set_enabled(channel->io, SD_EVENT_OFF);
    if (sd_event_add_defer(sd_event_source_get_event(channel->io), &channel->doomed, tell_closed, channel) < 0)
        abort(); /* out of memory for 100 bytes: the supervisor starts us anew */
}

static void watch(struct channel *channel) {
    const uint32_t wanted = EPOLLIN | (channel->first != NULL ? EPOLLOUT : 0);
    sd_event_source_set_io_events(channel->io, wanted);
}

static void pop(struct channel *channel) {
    struct queued *first = channel->first;
    channel->first = first->next;
    if (channel->first == NULL)
        channel->last = NULL;
    channel->queued_bytes -= first->length;
    free(first);
}

/* The peer takes nothing more, but what it said before it left may still be there: reading finds its end. */
static bool peer_is_gone(int error) {
    return error == EPIPE || error == ECONNRESET;
}

/* Returns false when the channel is doomed. */
static bool flush(struct channel *channel) {
    while (channel->first != NULL) {
        const ssize_t sent =
            send(channel->descriptor, channel->first->bytes, channel->first->length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS || peer_is_gone(errno)))
            return true;
        if (sent < 0) {
            doom(channel, strerror(errno));
            return false;
        }
        pop(channel);
    }
    return true;
}

/* One message. Returns false when there is none, or the channel is doomed or gone. */
static bool take_message(struct channel *channel, uint8_t *packet, size_t room) {
    ssize_t got = recv(channel->descriptor, packet, room, MSG_DONTWAIT | MSG_TRUNC);
    /* Of a peer that left without reading all, the kernel tells that first, once, and then what it had said. */
    if (got < 0 && errno == ECONNRESET)
        got = recv(channel->descriptor, packet, room, MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    struct message_reader reader = {0};
    const char *wrong = NULL;
    if (got <= 0)
        wrong = got == 0 ? "peer left" : strerror(errno);
    else if ((size_t)got > room || message_open(packet, (size_t)got, &reader) != FB_OK)
        wrong = "bad message header";
    if (wrong != NULL) {
        doom(channel, wrong);
        return false;
    }
    bool freed = false;
    const uint8_t type = reader.type;
    channel->freed = &freed; // cppcheck-suppress autoVariables ; taken back below, or the channel is gone
    const bool good = channel->handlers->message(channel, &reader, channel->user);
    if (freed)
        return false;
    channel->freed = NULL;
    if (!good) {
        char text[64];
        snprintf(text, sizeof text, "bad message of type %u", type);
        doom(channel, text);
    }
    return channel->doomed == NULL;
}

/* One buffer for each level of channel_drain() within a handler: one, and the drained one. */
static uint8_t packets[2][MESSAGE_BYTES_MAX];
static unsigned packet_level;

static void take_messages(struct channel *channel, int rounds) {
    assert(packet_level < 2);
    uint8_t *packet = packets[packet_level++];
    while (rounds-- > 0 && take_message(channel, packet, MESSAGE_BYTES_MAX)) {
    }
    packet_level--;
}

void channel_drain(struct channel *channel) {
    if (channel->doomed == NULL)
        take_messages(channel, READ_ROUNDS_MAX * READ_ROUNDS_MAX);
}

static int on_io(sd_event_source *source, int descriptor, uint32_t events, void *user) {
    (void)source;
    (void)descriptor;
    struct channel *channel = user;
    if (events & EPOLLOUT) {
        const bool waited = channel->first != NULL;
        if (!flush(channel))
            return 0;
        watch(channel);
        if (waited && channel->first == NULL && channel->handlers->drained != NULL) {
            bool freed = false;
            channel->freed = &freed;
            channel->handlers->drained(channel, channel->user);
            if (freed)
                return 0;
            channel->freed = NULL;
        }
    }
    /* Also on a hang-up alone: what the peer said last may still be there to read. */
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && channel->doomed == NULL)
        take_messages(channel, READ_ROUNDS_MAX);
    return 0;
}

enum fb_error channel_adopt(sd_event *event, int descriptor, const struct channel_handlers *handlers, void *user,
                            struct channel **ret_channel, struct fb_cause *cause) {
    struct channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL) {
        close(descriptor);
        return fb_fail(cause, FB_MEMORY, "out of memory");
    }
    *channel = (struct channel){.handlers = handlers, .user = user, .descriptor = descriptor};
    const int error = sd_event_add_io(event, &channel->io, descriptor, EPOLLIN, on_io, channel);
    if (error < 0) {
        close(descriptor);
        free(channel);
        return fb_fail_errno(cause, FB_IO, -error, "event loop");
    }
    /* A batch fits into the kernel's buffer whatever the system's default is. */
    const int buffer_bytes = 2 * MESSAGE_BYTES_MAX;
    setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
    *ret_channel = channel;
    return FB_OK;
}

enum fb_error channel_connect(sd_event *event, const char *path, const struct channel_handlers *handlers, void *user,
                              struct channel **ret_channel, struct fb_cause *cause) {
    if (!path_fits(path))
        return fb_fail(cause, FB_LIMIT, "%s: a socket's path has at most 107 bytes", path);
    const int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return fb_fail_errno(cause, FB_IO, errno, "socket");
    const struct sockaddr_un address = socket_address(path);
    if (connect(descriptor, (const struct sockaddr *)&address, sizeof address) < 0) {
        const int why = errno;
        close(descriptor);
        return fb_fail_errno(cause, why == ENOENT ? FB_NOT_FOUND : FB_CLOSED, why, "%s", path);
    }
    return channel_adopt(event, descriptor, handlers, user, ret_channel, cause);
}

void channel_free(struct channel *channel) {
    if (channel == NULL)
        return;
    if (channel->freed != NULL)
        *channel->freed = true;
    sd_event_source_disable_unref(channel->io);
    sd_event_source_disable_unref(channel->doomed);
    while (channel->first != NULL)
        pop(channel);
    close(channel->descriptor);
    free(channel);
}

static void enqueue(struct channel *channel, const uint8_t *bytes, size_t length) {
    if (channel->queued_bytes + length > CHANNEL_QUEUE_BYTES_MAX) {
        doom(channel, "peer does not read: queue overflow");
        return;
    }
    struct queued *queued = malloc(sizeof *queued + length);
    if (queued == NULL) {
        doom(channel, "out of memory");
        return;
    }
    queued->next = NULL;
    queued->length = length;
    memcpy(queued->bytes, bytes, length);
    if (channel->last != NULL)
        channel->last->next = queued;
    else
        channel->first = queued;
    channel->last = queued;
    channel->queued_bytes += length;
    watch(channel);
}

void channel_send(struct channel *channel, struct message_writer *writer) {
    if (channel->doomed != NULL)
        return;
    if (message_finish(writer) != FB_OK) {
        doom(channel, "message too large to send");
        return;
    }
    if (channel->first == NULL) {
        const ssize_t sent = send(channel->descriptor, writer->data, writer->used, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0)
            return;
        if (peer_is_gone(errno))
            return;
        if (errno != EAGAIN && errno != ENOBUFS) {
            doom(channel, strerror(errno));
            return;
        }
    }
    enqueue(channel, writer->data, writer->used);
}

void channel_send_bytes(struct channel *channel, uint8_t type, const void *payload, size_t length) {
    uint8_t small[1024];
    uint8_t *packet = small;
    uint8_t *large FB_CLEANUP(file_free) = NULL;
    if (length + MESSAGE_HEADER_BYTES > sizeof small) {
        large = malloc(length + MESSAGE_HEADER_BYTES);
        if (large == NULL) {
            doom(channel, "out of memory");
            return;
        }
        packet = large;
    }
    struct message_writer writer = message_begin(packet, length + MESSAGE_HEADER_BYTES, type, 0);
    message_put_bytes(&writer, payload, length);
    channel_send(channel, &writer);
}

void channel_send_text(struct channel *channel, uint8_t type, const char *text) {
    channel_send_bytes(channel, type, text, strlen(text));
}

size_t channel_queued_bytes(const struct channel *channel) {
    return channel->queued_bytes;
}

struct channel_listener {
    sd_event_source *io;
    struct channel_listener_settings settings;
    int descriptor;
    char path[sizeof((struct sockaddr_un *)NULL)->sun_path];
};

static int on_accept(sd_event_source *source, int descriptor, uint32_t events, void *user) {
    (void)source;
    (void)events;
    struct channel_listener *listener = user;
    const int peer = accept4(descriptor, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (peer >= 0)
        listener->settings.accepted(peer, listener->settings.user);
    return 0;
}

static enum fb_error bind_and_listen(struct channel_listener *listener, struct fb_cause *cause) {
    const struct sockaddr_un address = socket_address(listener->path);
    if (unlink(listener->path) < 0 && errno != ENOENT)
        return fb_fail_errno(cause, FB_IO, errno, "%s", listener->path);
    /* The mode must hold from the first moment on: a peer's role is the socket it can open. */
    const mode_t mask = umask((mode_t)(0777 & ~listener->settings.mode));
    const int bound = bind(listener->descriptor, (const struct sockaddr *)&address, sizeof address);
    const int why = errno;
    umask(mask);
    if (bound < 0)
        return fb_fail_errno(cause, FB_IO, why, "%s", listener->path);
    if (listen(listener->descriptor, 16) < 0)
        return fb_fail_errno(cause, FB_IO, errno, "%s", listener->path);
    return FB_OK;
}

enum fb_error channel_listen(sd_event *event, const struct channel_listener_settings *settings,
                             struct channel_listener **ret_listener, struct fb_cause *cause) {
    if (!path_fits(settings->path))
        return fb_fail(cause, FB_LIMIT, "%s: a socket's path has at most 107 bytes", settings->path);
    struct channel_listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    listener->settings = *settings;
    snprintf(listener->path, sizeof listener->path, "%s", settings->path);
    listener->settings.path = listener->path;
    listener->descriptor = socket(AF_UNIX, settings->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    enum fb_error error =
        listener->descriptor < 0 ? fb_fail_errno(cause, FB_IO, errno, "socket") : bind_and_listen(listener, cause);
    if (error == FB_OK) {
        const int added = sd_event_add_io(event, &listener->io, listener->descriptor, EPOLLIN, on_accept, listener);
        if (added < 0)
            error = fb_fail_errno(cause, FB_IO, -added, "event loop");
    }
    if (error != FB_OK) {
        channel_listener_free(listener);
        return error;
    }
    *ret_listener = listener;
    return FB_OK;
}

void channel_listener_free(struct channel_listener *listener) {
    if (listener == NULL)
        return;
    sd_event_source_disable_unref(listener->io);
    if (listener->descriptor >= 0) {
        close(listener->descriptor);
        unlink(listener->path);
    }
    free(listener);
}
