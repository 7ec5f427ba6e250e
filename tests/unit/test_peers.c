// links: gateway/core/peers.c gateway/common/channel.c gateway/common/message.c gateway/common/error.c gateway/common/file.c gateway/common/clock.c gateway/common/log.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gateway/core/peers.h"

#define HELLO 1
#define WORD 2
#define ASK 3 /* the role answers with a large message */

struct world {
    sd_event *event;
    struct peer peer;
    unsigned words;  /* that the program said */
    unsigned closed; /* times the program went away */
    char folder[64];
};

static bool on_message(struct channel *channel, struct message_reader *reader, void *user) {
    struct world *world = user;
    if (!message_done(reader))
        return false;
    if (reader->type == HELLO) {
        peer_hello(&world->peer, channel);
        return true;
    }
    static const uint8_t large[100000];
    if (reader->type == ASK)
        channel_send_bytes(channel, ASK, large, sizeof large);
    world->words += reader->type == WORD;
    return peer_is_program(&world->peer, channel);
}

static void on_closed(struct channel *channel, const char *reason, void *user) {
    struct world *world = user;
    world->closed += peer_closed(&world->peer, channel, reason);
}

static const struct channel_handlers handlers = {.message = on_message, .closed = on_closed};

static int open_world(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct fb_cause cause;
    snprintf(world->folder, sizeof world->folder, "/tmp/forebay-peers-XXXXXX");
    if (mkdtemp(world->folder) == NULL || sd_event_new(&world->event) < 0)
        return -1;
    *state = world;
    return peer_listen(&world->peer, world->event, "forebay-test", world->folder, "s", &handlers, world, &cause);
}

static int close_world(void **state) {
    struct world *world = *state;
    peer_done(&world->peer);
    sd_event_unref(world->event);
    const int left = rmdir(world->folder); /* the socket's file is gone, too */
    free(world);
    return left;
}

static void settle(struct world *world) {
    while (sd_event_run(world->event, 1000) > 0) {
    }
}

static int connect_one(const struct world *world) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", world->folder);
    const int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(descriptor, (const struct sockaddr *)&address, sizeof address), 0);
    return descriptor;
}

static void say(int descriptor, uint8_t type) {
    uint8_t packet[MESSAGE_HEADER_BYTES];
    struct message_writer writer = message_begin(packet, sizeof packet, type, 0);
    assert_int_equal(message_finish(&writer), FB_OK);
    assert_int_equal(send(descriptor, packet, writer.used, MSG_NOSIGNAL), (ssize_t)writer.used);
}

static bool is_open(int descriptor) {
    uint8_t byte;
    return recv(descriptor, &byte, sizeof byte, MSG_PEEK) != 0;
}

static void a_hello_makes_a_connection_the_program(void **state) {
    struct world *world = *state;
    const int program = connect_one(world);
    settle(world);
    assert_null(world->peer.channel);
    say(program, HELLO);
    say(program, WORD);
    settle(world);
    assert_non_null(world->peer.channel);
    assert_int_equal(world->words, 1);
    json_t *json = peer_to_json(&world->peer);
    assert_true(json_is_true(json_object_get(json, "connected")));
    assert_string_equal(json_string_value(json_object_get(json, "name")), "forebay-test");
    json_decref(json);
    close(program);
    settle(world);
    assert_null(world->peer.channel);
    assert_int_equal(world->closed, 1);
    assert_int_equal(world->peer.dropped, 0);
}

static void a_stranger_is_dropped_without_harm_to_the_program(void **state) {
    struct world *world = *state;
    const int program = connect_one(world);
    say(program, HELLO);
    const int stranger = connect_one(world);
    say(stranger, WORD);
    settle(world);
    assert_false(is_open(stranger));
    assert_int_equal(world->peer.dropped, 1);
    say(program, WORD);
    settle(world);
    assert_int_equal(world->words, 2); /* the stranger's was heard, and answered with the door */
    assert_int_equal(world->closed, 0);
    close(stranger);
    close(program);
}

static void silent_strangers_do_not_keep_the_program_out(void **state) {
    struct world *world = *state;
    int strangers[PEER_WAITING_MAX + 2];
    for (size_t i = 0; i < PEER_WAITING_MAX + 2; i++) {
        strangers[i] = connect_one(world);
        settle(world);
    }
    const int program = connect_one(world);
    say(program, HELLO);
    settle(world);
    assert_non_null(world->peer.channel);
    assert_int_equal(world->peer.dropped, 3);
    for (size_t i = 0; i < PEER_WAITING_MAX + 2; i++) {
        assert_int_equal(is_open(strangers[i]), i >= 3);
        close(strangers[i]);
    }
    close(program);
    settle(world);
}

static void places_of_those_that_left_are_free_again(void **state) {
    struct world *world = *state;
    int strangers[PEER_WAITING_MAX];
    for (size_t i = 0; i < PEER_WAITING_MAX; i++)
        strangers[i] = connect_one(world);
    settle(world);
    close(strangers[1]);
    close(strangers[0]);
    settle(world);
    const int first = connect_one(world), second = connect_one(world);
    settle(world);
    assert_true(is_open(strangers[2]));
    assert_int_equal(world->peer.dropped, 0);
    say(strangers[2], HELLO);
    settle(world);
    assert_non_null(world->peer.channel);
    close(first);
    close(second);
    close(strangers[2]);
    close(strangers[3]);
    settle(world);
    for (size_t i = 0; i < PEER_WAITING_MAX; i++)
        assert_null(world->peer.waiting[i]);
}

static void a_newer_program_takes_over_after_the_older_was_heard(void **state) {
    struct world *world = *state;
    const int older = connect_one(world);
    say(older, HELLO);
    settle(world);
    const int newer = connect_one(world);
    assert_int_equal(sd_event_run(world->event, 1000), 1); /* accepted, not heard yet */
    say(newer, HELLO);
    say(older, WORD);
    say(older, HELLO);
    say(older, WORD);
    settle(world);
    assert_int_equal(world->words, 2);
    assert_false(is_open(older));
    say(newer, WORD);
    settle(world);
    assert_int_equal(world->words, 3);
    assert_int_equal(world->closed, 1);
    close(older);
    close(newer);
}

/* Killed with messages unread, a program leaves an error in front of its last words. */
static void the_last_words_of_a_killed_program_are_taken(void **state) {
    struct world *world = *state;
    const int program = connect_one(world);
    say(program, HELLO);
    say(program, ASK);
    settle(world);
    say(program, WORD);
    say(program, WORD);
    close(program);
    settle(world);
    assert_int_equal(world->words, 2);
    assert_int_equal(world->closed, 1);
    assert_int_equal(world->peer.dropped, 0);
}

static void so_they_are_with_more_waiting_for_it(void **state) {
    struct world *world = *state;
    const int program = connect_one(world);
    say(program, HELLO);
    for (int i = 0; i < 20; i++)
        say(program, ASK);
    settle(world);
    assert_true(channel_queued_bytes(world->peer.channel) > 0);
    say(program, WORD);
    close(program);
    settle(world);
    assert_int_equal(world->words, 1);
    assert_int_equal(world->closed, 1);
    assert_int_equal(world->peer.dropped, 0);
}

static void a_program_that_breaks_the_rules_is_dropped_and_counted(void **state) {
    struct world *world = *state;
    const int program = connect_one(world);
    say(program, HELLO);
    settle(world);
    assert_int_equal(send(program, "x", 1, 0), 1);
    settle(world);
    assert_null(world->peer.channel);
    assert_int_equal(world->peer.dropped, 1);
    assert_int_equal(world->closed, 1);
    assert_false(is_open(program));
    close(program);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_hello_makes_a_connection_the_program, open_world, close_world),
        cmocka_unit_test_setup_teardown(a_stranger_is_dropped_without_harm_to_the_program, open_world, close_world),
        cmocka_unit_test_setup_teardown(silent_strangers_do_not_keep_the_program_out, open_world, close_world),
        cmocka_unit_test_setup_teardown(places_of_those_that_left_are_free_again, open_world, close_world),
        cmocka_unit_test_setup_teardown(a_newer_program_takes_over_after_the_older_was_heard, open_world, close_world),
        cmocka_unit_test_setup_teardown(the_last_words_of_a_killed_program_are_taken, open_world, close_world),
        cmocka_unit_test_setup_teardown(so_they_are_with_more_waiting_for_it, open_world, close_world),
        cmocka_unit_test_setup_teardown(a_program_that_breaks_the_rules_is_dropped_and_counted, open_world,
                                        close_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
