// links: gateway/common/channel.c gateway/common/message.c gateway/common/error.c gateway/common/file.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/common/channel.h"

struct end {
    struct channel *channel;
    unsigned messages;
    size_t last_length;
    unsigned drained;
    bool refuse;    /* call every message bad */
    bool free_self; /* free the channel inside the handler */
    char closed[128];
};

static bool on_message(struct channel *channel, struct message_reader *reader, void *user) {
    struct end *end = user;
    end->messages++;
    message_get_rest(reader, &end->last_length);
    if (end->free_self) {
        channel_free(channel);
        end->channel = NULL;
        return true;
    }
    return !end->refuse && message_done(reader);
}

static void on_closed(struct channel *channel, const char *reason, void *user) {
    struct end *end = user;
    snprintf(end->closed, sizeof end->closed, "%s", reason);
    channel_free(channel);
    end->channel = NULL;
}

static void on_drained(struct channel *channel, void *user) {
    (void)channel;
    ((struct end *)user)->drained++;
}

static const struct channel_handlers handlers = {.message = on_message, .closed = on_closed, .drained = on_drained};

struct pair {
    sd_event *event;
    struct end a, b;
};

static struct pair open_pair(void) {
    struct pair pair = {0};
    assert_int_equal(sd_event_new(&pair.event), 0);
    return pair;
}

static void connect_ends(struct pair *pair) {
    int sockets[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sockets), 0);
    assert_int_equal(channel_adopt(pair->event, sockets[0], &handlers, &pair->a, &pair->a.channel, NULL), FB_OK);
    assert_int_equal(channel_adopt(pair->event, sockets[1], &handlers, &pair->b, &pair->b.channel, NULL), FB_OK);
}

/* Run the loop until nothing more happens. */
static void settle(struct pair *pair) {
    while (sd_event_run(pair->event, 1000) > 0) {
    }
}

static void close_pair(struct pair *pair) {
    channel_free(pair->a.channel);
    channel_free(pair->b.channel);
    sd_event_unref(pair->event);
}

static void a_message_arrives_whole(void **state) {
    (void)state;
    struct pair pair = open_pair();
    connect_ends(&pair);
    static const uint8_t payload[MESSAGE_PAYLOAD_MAX] = {1};
    channel_send_bytes(pair.a.channel, 7, payload, sizeof payload);
    settle(&pair);
    assert_int_equal(pair.b.messages, 1);
    assert_int_equal(pair.b.last_length, sizeof payload);
    close_pair(&pair);
}

static void many_messages_wait_for_a_slow_peer_in_order(void **state) {
    (void)state;
    struct pair pair = open_pair();
    connect_ends(&pair);
    for (int i = 0; i < 2000; i++)
        channel_send_text(pair.a.channel, 7, "{\"a\": 1}");
    assert_true(channel_queued_bytes(pair.a.channel) > 0);
    settle(&pair);
    assert_int_equal(pair.b.messages, 2000);
    assert_int_equal(pair.a.drained, 1);
    assert_int_equal(channel_queued_bytes(pair.a.channel), 0);
    close_pair(&pair);
}

static void a_peer_that_never_reads_is_dropped(void **state) {
    (void)state;
    struct pair pair = open_pair();
    int sockets[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sockets), 0);
    assert_int_equal(channel_adopt(pair.event, sockets[0], &handlers, &pair.a, &pair.a.channel, NULL), FB_OK);
    static const uint8_t payload[100000];
    for (int i = 0; i < 100; i++)
        channel_send_bytes(pair.a.channel, 7, payload, sizeof payload);
    assert_true(channel_queued_bytes(pair.a.channel) <= CHANNEL_QUEUE_BYTES_MAX);
    settle(&pair);
    assert_string_equal(pair.a.closed, "peer does not read: queue overflow");
    close(sockets[1]);
    close_pair(&pair);
}

static void what_the_peer_said_before_it_left_is_read(void **state) {
    (void)state;
    struct pair pair = open_pair();
    connect_ends(&pair);
    channel_send_text(pair.a.channel, 7, "last words");
    channel_free(pair.a.channel);
    pair.a.channel = NULL;
    channel_send_text(pair.b.channel, 7, "too late");
    settle(&pair);
    assert_int_equal(pair.b.messages, 1);
    assert_non_null(strstr(pair.b.closed, "left"));
    close_pair(&pair);
}

static void a_bad_message_drops_the_peer(void **state) {
    (void)state;
    struct pair pair = open_pair();
    connect_ends(&pair);
    pair.b.refuse = true;
    channel_send_text(pair.a.channel, 9, "x");
    channel_send_text(pair.a.channel, 9, "y");
    settle(&pair);
    assert_int_equal(pair.b.messages, 1);
    assert_string_equal(pair.b.closed, "bad message of type 9");
    assert_null(pair.b.channel);
    close_pair(&pair);
}

static void raw(struct pair *pair, const void *bytes, size_t length, const char *expected) {
    *pair = open_pair();
    int sockets[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sockets), 0);
    assert_int_equal(channel_adopt(pair->event, sockets[0], &handlers, &pair->a, &pair->a.channel, NULL), FB_OK);
    assert_int_equal(send(sockets[1], bytes, length, 0), (ssize_t)length);
    settle(pair);
    assert_int_equal(pair->a.messages, 0);
    assert_string_equal(pair->a.closed, expected);
    close(sockets[1]);
    close_pair(pair);
}

static void headers_that_lie_drop_the_peer(void **state) {
    (void)state;
    struct pair pair;
    const uint8_t length_wrong[] = {MESSAGE_VERSION, 1, 0, 0, 9, 0, 0, 0, 'x'};
    raw(&pair, length_wrong, sizeof length_wrong, "bad message header");
    const uint8_t version_wrong[] = {MESSAGE_VERSION + 1, 1, 0, 0, 0, 0, 0, 0};
    raw(&pair, version_wrong, sizeof version_wrong, "bad message header");
    const uint8_t too_short[] = {MESSAGE_VERSION, 1, 0};
    raw(&pair, too_short, sizeof too_short, "bad message header");
    static const uint8_t too_long[MESSAGE_BYTES_MAX + 1] = {MESSAGE_VERSION};
    raw(&pair, too_long, sizeof too_long, "bad message header");
}

static void a_handler_may_free_its_channel(void **state) {
    (void)state;
    struct pair pair = open_pair();
    connect_ends(&pair);
    pair.b.free_self = true;
    channel_send_text(pair.a.channel, 7, "x");
    channel_send_text(pair.a.channel, 7, "y");
    settle(&pair);
    assert_int_equal(pair.b.messages, 1);
    assert_string_not_equal(pair.a.closed, "");
    close_pair(&pair);
}

static void accept_into_b(int descriptor, void *user) {
    struct pair *pair = user;
    assert_int_equal(channel_adopt(pair->event, descriptor, &handlers, &pair->b, &pair->b.channel, NULL), FB_OK);
}

static void a_listener_replaces_a_stale_socket_and_accepts(void **state) {
    (void)state;
    char folder[] = "/tmp/forebay-channel-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[64];
    snprintf(path, sizeof path, "%s/s", folder);
    struct pair pair = open_pair();
    struct fb_cause cause;
    assert_int_equal(channel_connect(pair.event, path, &handlers, &pair.a, &pair.a.channel, &cause), FB_NOT_FOUND);
    const struct channel_listener_settings settings = {
        .path = path, .mode = 0660, .type = SOCK_SEQPACKET, .accepted = accept_into_b, .user = &pair};
    fclose(fopen(path, "w"));
    struct channel_listener *listener;
    assert_int_equal(channel_listen(pair.event, &settings, &listener, &cause), FB_OK);
    assert_int_equal(channel_connect(pair.event, path, &handlers, &pair.a, &pair.a.channel, &cause), FB_OK);
    channel_send_text(pair.a.channel, 7, "hello");
    settle(&pair);
    assert_int_equal(pair.b.messages, 1);
    channel_listener_free(listener);
    assert_int_equal(access(path, F_OK), -1);
    rmdir(folder);
    close_pair(&pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_arrives_whole),
        cmocka_unit_test(many_messages_wait_for_a_slow_peer_in_order),
        cmocka_unit_test(a_peer_that_never_reads_is_dropped),
        cmocka_unit_test(what_the_peer_said_before_it_left_is_read),
        cmocka_unit_test(a_bad_message_drops_the_peer),
        cmocka_unit_test(headers_that_lie_drop_the_peer),
        cmocka_unit_test(a_handler_may_free_its_channel),
        cmocka_unit_test(a_listener_replaces_a_stale_socket_and_accepts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
