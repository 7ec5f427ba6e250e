// links: gateway/cloud/commands.c gateway/common/error.c gateway/common/log.c
/* test_cloud_way_back.c - commands and replies between the peer and core, with the AMQP calls played here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/cloud/commands.h"

/* What commands.c has done to the peer, and to core. */
static struct {
    unsigned opened, answered, sent, asked;
    char source[64];
    uint64_t delivery, reply_to, asked_id;
    enum amqp_outcome outcome;
    char reason[64], correlation[64], reply[64];
    enum fb_error send_error;
} peer;

/* The calls of amqp.h, see there. */
enum fb_error amqp_side(struct amqp *amqp, const char *source, const char *target, struct fb_cause *cause) {
    (void)amqp, (void)target, (void)cause;
    peer.opened++;
    strcpy(peer.source, source != NULL ? source : "");
    return FB_OK;
}

enum fb_error amqp_side_send(struct amqp *amqp, uint64_t delivery, const struct amqp_message *message,
                             struct fb_cause *cause) {
    (void)amqp;
    if (peer.send_error != FB_OK)
        return fb_fail(cause, peer.send_error, "not now");
    peer.sent++;
    peer.reply_to = delivery;
    strcpy(peer.correlation, message->correlation_id);
    memcpy(peer.reply, message->body, message->body_length);
    peer.reply[message->body_length] = '\0';
    return FB_OK;
}

void amqp_side_answer(struct amqp *amqp, uint64_t delivery, enum amqp_outcome outcome, const char *reason) {
    (void)amqp;
    peer.answered++;
    peer.delivery = delivery;
    peer.outcome = outcome;
    strcpy(peer.reason, reason != NULL ? reason : "");
}

static void on_ask(const struct command *command, void *user) {
    (void)user;
    peer.asked++;
    peer.asked_id = command->id;
}

static struct commands commands;
static struct amqp *const connection = (struct amqp *)&peer; /* never looked into */

static int begin(void **state) {
    (void)state;
    memset(&peer, 0, sizeof peer);
    commands_init(&commands, on_ask, NULL);
    commands_core(&commands, true);
    commands_link(&commands, connection);
    commands_configure(&commands, "/queues/c", "/queues/r", "gw");
    commands_side_changed(&commands, true, "");
    return 0;
}

static int end(void **state) {
    (void)state;
    commands_done(&commands);
    return 0;
}

static void receive(uint64_t delivery, const char *body) {
    const struct amqp_message message = {
        .message_id = "m-1", .body = (const uint8_t *)body, .body_length = strlen(body)};
    commands_side_received(&commands, delivery, &message);
}

static void reply(uint64_t id, bool accepted, const char *text) {
    const struct cloud_message message = {.number = id,
                                          .accepted = accepted,
                                          .reason = "late",
                                          .reason_length = accepted ? 0 : 4,
                                          .bytes = (const uint8_t *)text,
                                          .length = strlen(text)};
    commands_reply(&commands, &message);
}

static void a_command_is_settled_after_its_reply_was_accepted(void **state) {
    (void)state;
    receive(7, "token");
    assert_int_equal(peer.asked, 1);
    assert_int_equal(peer.answered, 0);
    reply(peer.asked_id, true, "{}");
    assert_int_equal(peer.sent, 1);
    assert_string_equal(peer.correlation, "m-1");
    assert_string_equal(peer.reply, "{}");
    assert_int_equal(peer.answered, 0);
    commands_side_outcome(&commands, peer.reply_to, AMQP_ACCEPTED, "");
    assert_int_equal(peer.answered, 1);
    assert_int_equal(peer.delivery, 7);
    assert_int_equal(peer.outcome, AMQP_ACCEPTED);
}

static void a_refused_command_is_rejected_with_the_reason(void **state) {
    (void)state;
    receive(1, "token");
    reply(peer.asked_id, false, "{\"ok\":false}");
    commands_side_outcome(&commands, peer.reply_to, AMQP_ACCEPTED, "");
    assert_int_equal(peer.outcome, AMQP_REJECTED);
    assert_string_equal(peer.reason, "late");
}

static void without_a_reply_it_is_settled_at_once(void **state) {
    (void)state;
    receive(1, "garbage");
    reply(peer.asked_id, false, "");
    assert_int_equal(peer.sent, 0);
    assert_int_equal(peer.answered, 1);
}

static void a_reply_waits_for_credit(void **state) {
    (void)state;
    peer.send_error = FB_AGAIN;
    receive(1, "token");
    reply(peer.asked_id, true, "{}");
    assert_int_equal(peer.sent, 0);
    assert_int_equal(peer.answered, 0);
    peer.send_error = FB_OK;
    commands_side_writable(&commands);
    assert_int_equal(peer.sent, 1);
    commands_side_writable(&commands);
    assert_int_equal(peer.sent, 1);
}

static void a_reply_that_the_peer_never_takes_does_not_hold_the_command(void **state) {
    (void)state;
    receive(1, "first");
    reply(peer.asked_id, true, "{}");
    commands_side_outcome(&commands, peer.reply_to, AMQP_REJECTED, "full");
    assert_int_equal(peer.answered, 1);
    assert_int_equal(peer.outcome, AMQP_ACCEPTED);
    peer.send_error = FB_LIMIT;
    receive(2, "second");
    reply(peer.asked_id, true, "{}");
    assert_int_equal(peer.answered, 2);
}

static void what_comes_again_after_a_broken_session_gets_the_same_reply_unasked(void **state) {
    (void)state;
    receive(1, "token");
    reply(peer.asked_id, true, "{}");
    commands_side_changed(&commands, false, "gone");
    commands_side_outcome(&commands, peer.reply_to, AMQP_ACCEPTED, ""); /* late news of the old session */
    assert_int_equal(peer.answered, 0);
    commands_side_changed(&commands, true, "");
    receive(2, "token");
    assert_int_equal(peer.asked, 1);
    assert_int_equal(peer.sent, 2);
    commands_side_outcome(&commands, peer.reply_to, AMQP_ACCEPTED, "");
    assert_int_equal(peer.delivery, 2);
    receive(3, "token"); /* settled: now it is a new one, for core to refuse */
    assert_int_equal(peer.asked, 2);
}

static void core_is_asked_again_when_it_comes_back(void **state) {
    (void)state;
    commands_core(&commands, false);
    receive(1, "token");
    assert_int_equal(peer.asked, 0);
    assert_int_equal(peer.answered, 0);
    commands_core(&commands, true);
    assert_int_equal(peer.asked, 1);
    commands_core(&commands, false);
    commands_core(&commands, true);
    assert_int_equal(peer.asked, 2);
    reply(peer.asked_id, true, "{}");
    commands_core(&commands, true);
    assert_int_equal(peer.asked, 2);
}

static void what_never_comes_again_gives_way(void **state) {
    (void)state;
    char body[] = "token-a";
    for (int session = 0; session < 5; session++) {
        for (uint64_t i = 1; i <= AMQP_SIDE_CREDIT; i++) {
            body[6]++;
            receive(i, body);
        }
        commands_side_changed(&commands, false, "gone");
        commands_side_changed(&commands, true, "");
    }
    assert_int_equal(peer.asked, 5 * AMQP_SIDE_CREDIT);
    assert_int_equal(peer.answered, 0);
}

static void more_than_was_asked_for_is_given_back(void **state) {
    (void)state;
    char body[] = "token-a";
    for (uint64_t i = 1; i <= AMQP_SIDE_CREDIT + 1; i++) {
        body[6]++;
        receive(i, body);
    }
    assert_int_equal(peer.answered, 1);
    assert_int_equal(peer.outcome, AMQP_RELEASED);
}

static void only_new_addresses_open_it_anew(void **state) {
    (void)state;
    assert_int_equal(peer.opened, 1);
    commands_configure(&commands, "/queues/c", "/queues/r", "gw");
    assert_int_equal(peer.opened, 1);
    commands_configure(&commands, "/queues/d", "/queues/r", "gw");
    assert_int_equal(peer.opened, 2);
    assert_string_equal(peer.source, "/queues/d");
    commands_configure(&commands, "", "", "gw");
    assert_string_equal(peer.source, "");
    assert_int_equal(commands.state, COMMANDS_OFF);
    commands_link(&commands, NULL);
    commands_link(&commands, connection);
    assert_int_equal(peer.opened, 3);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_command_is_settled_after_its_reply_was_accepted),
        TEST(a_refused_command_is_rejected_with_the_reason),
        TEST(without_a_reply_it_is_settled_at_once),
        TEST(a_reply_waits_for_credit),
        TEST(a_reply_that_the_peer_never_takes_does_not_hold_the_command),
        TEST(what_comes_again_after_a_broken_session_gets_the_same_reply_unasked),
        TEST(core_is_asked_again_when_it_comes_back),
        TEST(what_never_comes_again_gives_way),
        TEST(more_than_was_asked_for_is_given_back),
        TEST(only_new_addresses_open_it_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
