// links: gateway/amqp/*.c gateway/common/backoff.c gateway/common/clock.c gateway/common/error.c gateway/common/file.c gateway/common/hex.c gateway/common/pin.c gateway/common/pkcs11_uri.c tests/unit/amqp_world.c tests/unit/pki.c gateway/common/cloud_profile.c
#include <dirent.h>
#include <linux/tcp.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/amqp/connection.h"
#include "tests/unit/amqp_world.h"

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

static const uint8_t body[200 * 1024] = {42};

static struct amqp_message message_of(size_t length) {
    return (struct amqp_message){.message_id = "gw-1/batch/7",
                                 .subject = "batch",
                                 .group_id = "gw-1",
                                 .content_type = "application/vnd.forebay.batch",
                                 .historical = true,
                                 .body = body,
                                 .body_length = length};
}

static void send_one(struct world *world, uint64_t number, size_t length) {
    const struct amqp_message message = message_of(length);
    struct fb_cause cause;
    assert_int_equal(amqp_send(world->client.amqp, number, &message, &cause), FB_OK);
}

static void a_message_arrives_whole_and_its_outcome_comes_back(void **state) {
    struct world *world = *state;
    world_connect(world);
    world_run_to_step(world, AMQP_UP);
    assert_non_null(strstr(amqp_tls_version(world->client.amqp), "TLSv1.3"));
    assert_string_equal(amqp_peer_address(world->client.amqp), "127.0.0.1");
    assert_string_equal(amqp_peer_name(world->client.amqp), "server");
    assert_string_equal(amqp_peer_name(world->server.amqp), "client");
    send_one(world, UINT64_C(0xfedcba9876543210), sizeof body);
    world_run_to_count(world, &world->client.outcomes, 1);
    assert_int_equal(world->client.last_outcome, AMQP_ACCEPTED);
    assert_true(world->client.last_delivery == UINT64_C(0xfedcba9876543210));
    assert_string_equal(world->server.message_id, "gw-1/batch/7");
    assert_string_equal(world->server.subject, "batch");
    assert_string_equal(world->server.group_id, "gw-1");
    assert_string_equal(world->server.content_type, "application/vnd.forebay.batch");
    assert_true(world->server.historical);
    assert_int_equal(world->server.body_length, sizeof body);
    assert_int_equal(world->server.first_byte, 42);
}

static void a_name_with_several_addresses_is_tried_address_by_address(void **state) {
    struct world *world = *state;
    world->client_settings.host = "localhost"; /* ::1 and 127.0.0.1; the server is on the second only */
    world_connect(world);
    world_run_to_step(world, AMQP_UP);
    assert_string_equal(amqp_peer_address(world->client.amqp), "127.0.0.1");
}

static void each_outcome_comes_back_as_it_was_given(void **state) {
    struct world *world = *state;
    world_connect(world);
    world_run_to_step(world, AMQP_UP);
    static const enum amqp_outcome outcomes[] = {AMQP_REJECTED, AMQP_RELEASED, AMQP_MODIFIED, AMQP_ACCEPTED};
    for (unsigned i = 0; i < 4; i++) {
        world->server.answer = outcomes[i];
        send_one(world, i + 1, 10);
        world_run_to_count(world, &world->client.outcomes, i + 1);
        assert_int_equal(world->client.last_outcome, outcomes[i]);
        assert_int_equal(world->client.last_delivery, i + 1);
        if (outcomes[i] == AMQP_REJECTED)
            assert_string_equal(world->client.last_reason, "amqp:precondition-failed: the disk is full");
        else
            assert_string_equal(world->client.last_reason, "");
    }
}

static void many_messages_pass_under_back_pressure_each_once(void **state) {
    struct world *world = *state;
    world->server_settings.receive_credit = 7;
    world_connect(world);
    world_run_to_step(world, AMQP_UP);
    unsigned sent = 0;
    while (sent < 3000) {
        const unsigned writables = world->client.writables;
        while (sent < 3000 && amqp_send_room(world->client.amqp) > 0)
            send_one(world, ++sent, 4096);
        const struct amqp_message message = message_of(1);
        if (sent < 3000) {
            assert_int_equal(amqp_send(world->client.amqp, 9999, &message, NULL), FB_AGAIN);
            world_run_to_count(world, &world->client.writables, writables + 1);
        }
    }
    world_run_to_count(world, &world->client.outcomes, 3000);
    assert_int_equal(world->server.received, 3000);
    assert_int_equal(world->client.outcomes, 3000);
}

/* A handler fills all the room, and writing makes some before the next look: what is left must not wait for ever. */
static void room_that_a_handler_used_up_is_told_again(void **state) {
    struct world *world = *state;
    world->server_settings.receive_credit = 3000;
    world->client.to_send = 3000;
    world_connect(world);
    world_run_to_count(world, &world->client.outcomes, 3000);
    assert_int_equal(world->server.received, 3000);
}

static void unread_bytes_close_the_room_before_memory_grows(void **state) {
    struct world *world = *state;
    world->server_settings.receive_credit = 1000;
    world_connect(world);
    world_run_to_step(world, AMQP_UP);
    world->server_silent = true;
    size_t sent = 0;
    while (amqp_send_room(world->client.amqp) > 0)
        send_one(world, ++sent, 4096);
    assert_in_range(sent, 120, 128); /* 512 KiB */
    world->server_silent = false;
    world_run_to_count(world, &world->client.outcomes, (unsigned)sent);
}

/* Data alone. */
static uint32_t segments_out(const struct amqp *amqp) {
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    assert_int_equal(getsockopt(amqp->descriptor, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    return info.tcpi_data_segs_out;
}

static void what_one_turn_sends_is_joined_to_large_segments(void **state) {
    struct world *world = *state;
    const unsigned messages = 100;
    const size_t length = 4096, record = 16384;
    world->server_settings.receive_credit = messages;
    world_connect(world);
    world_run_to_step(world, AMQP_UP);
    const uint32_t before = segments_out(world->client.amqp);
    for (unsigned i = 1; i <= messages; i++)
        send_one(world, i, length);
    world_run_to_count(world, &world->client.outcomes, messages);
    assert_in_range(segments_out(world->client.amqp) - before, 1, messages * length / record - 1);
}

static void one_large_message_at_a_time_is_taken(void **state) {
    struct world *world = *state;
    world_connect(world);
    world_run_to_step(world, AMQP_UP);
    for (unsigned i = 1; i <= 40; i++) {
        const unsigned writables = world->client.writables;
        send_one(world, i, 100 * 1024 + i);
        assert_int_equal(amqp_send_room(world->client.amqp), 0);
        world_run_to_count(world, &world->client.writables, writables + 1);
    }
    world_run_to_count(world, &world->client.outcomes, 40);
    assert_int_equal(world->server.body_length, 100 * 1024 + 40);
}

static void without_credit_nothing_is_taken(void **state) {
    struct world *world = *state;
    world->server_settings.receive_credit = 0;
    world_connect(world);
    world_run_to_step(world, AMQP_CREDIT);
    const struct amqp_message message = message_of(10);
    assert_int_equal(amqp_send_room(world->client.amqp), 0);
    assert_int_equal(amqp_send(world->client.amqp, 1, &message, NULL), FB_AGAIN);
    assert_int_equal(world->client.step, AMQP_CREDIT);
}

static void credit_is_all_that_stays_unanswered(void **state) {
    struct world *world = *state;
    world->server_settings.receive_credit = 5;
    world->server.hold = true;
    world_connect(world);
    world_run_to_step(world, AMQP_UP);
    for (unsigned i = 1; i <= 5; i++)
        send_one(world, i, 10);
    world_run_to_count(world, &world->server.received, 5);
    assert_int_equal(amqp_send_room(world->client.amqp), 0);
    const unsigned writables = world->client.writables;
    for (uint64_t i = 5; i >= 1; i--) /* answers may come in any order */
        amqp_answer(world->server.amqp, i, AMQP_ACCEPTED, NULL);
    world_run_to_count(world, &world->client.outcomes, 5);
    world_run_to_count(world, &world->client.writables, writables + 1);
}

static void a_message_above_the_peers_limit_is_not_sent(void **state) {
    struct world *world = *state;
    world->server_settings.receive_bytes_most = 100 * 1024;
    world_connect(world);
    world_run_to_step(world, AMQP_UP);
    const struct amqp_message message = message_of(100 * 1024);
    struct fb_cause cause;
    assert_int_equal(amqp_send(world->client.amqp, 1, &message, &cause), FB_LIMIT);
    assert_non_null(strstr(cause.text, "is larger than the 102400 that the peer takes"));
    send_one(world, 2, 99 * 1024);
    world_run_to_count(world, &world->client.outcomes, 1);
}

static void a_peer_that_ignores_the_limit_is_cut_off(void **state) {
    struct world *world = *state;
    world_connect(world);
    world_run_to_step(world, AMQP_UP);
    world->server.amqp->settings.receive_bytes_most = 10000; /* less than was announced */
    send_one(world, 1, 50000);
    world_run_until(world, &world->client.closed);
    world_run_until(world, &world->server.closed);
    assert_string_equal(world->server.reason, "the peer sent a message larger than 10000 bytes");
    assert_non_null(strstr(world->client.reason, "amqp:link:message-size-exceeded"));
    assert_int_equal(world->server.received, 0);
}

static void goodbye_is_answered(void **state) {
    struct world *world = *state;
    world_connect(world);
    world_run_to_step(world, AMQP_UP);
    amqp_close(world->client.amqp);
    world_run_until(world, &world->client.closed);
    world_run_until(world, &world->server.closed);
    assert_string_equal(world->client.reason, "closed here");
    assert_string_equal(world->server.reason, "127.0.0.1 closed the connection");
}

static void a_connection_can_be_closed_before_it_is_made(void **state) {
    struct world *world = *state;
    world_connect(world);
    amqp_close(world->client.amqp);
    world_run_until(world, &world->client.closed);
    assert_string_equal(world->client.reason, "closed here");
}

static void a_peer_that_vanishes_is_noticed_at_once(void **state) {
    struct world *world = *state;
    world_connect(world);
    world_run_to_step(world, AMQP_UP);
    amqp_free(world->server.amqp);
    world->server.amqp = NULL;
    world_run_until(world, &world->client.closed);
    assert_int_equal(world->client.closed_step, AMQP_UP);
    assert_string_equal(world->client.reason, "127.0.0.1 closed the connection without saying why");
}

static void a_half_open_peer_is_found_within_the_idle_timeout(void **state) {
    struct world *world = *state;
    world->client_settings.idle_timeout_ms = 300;
    world_connect(world);
    world_run_to_step(world, AMQP_UP);
    world->server_silent = true;
    world_run_until(world, &world->client.closed);
    assert_string_equal(world->client.reason, "127.0.0.1 was silent for 300 ms");
}

#define IDLE_FIRST_MS 500
#define IDLE_MOST_MS 8000

/* Heartbeats go out every half of the time-out. A machine that stood still for about as long says nothing of them: then
 * once more, with twice the time. */
static void heartbeats_keep_an_idle_connection(void **state) {
    struct world *world = *state;
    unsigned idle_ms = IDLE_FIRST_MS;
    for (;; idle_ms *= 2) {
        world->client_settings.idle_timeout_ms = idle_ms;
        world->server_settings.idle_timeout_ms = idle_ms;
        world_connect(world);
        world_run_to_step(world, AMQP_UP);
        if (world_run_for(world, 4 * idle_ms) < idle_ms / 4 || idle_ms == IDLE_MOST_MS)
            break;
        amqp_free(world->client.amqp);
        world->client.amqp = NULL;
        world->client.step = 0;
    }
    assert_false(world->client.closed);
    assert_false(world->server.closed);
}

static void a_peer_without_our_way_to_sign_in_is_told_with_what_it_offers(void **state) {
    struct world *world = *state;
    const struct amqp_token_settings token = {.key_file = "/nowhere", .resource = "r", .life_ms = 60000};
    world->client_settings.token = &token;
    world_expect_refusal(world, AMQP_SASL,
                         "the peer offers none of our ways to sign in (ANONYMOUS); it offers EXTERNAL");
}

static void a_peer_silent_before_tls_is_given_up(void **state) {
    struct world *world = *state;
    world->server_silent = true;
    world->client_settings.connect_timeout_ms = 200;
    world_expect_refusal(world, AMQP_TLS, "did not answer the TLS handshake in 200 ms");
}

static void a_peer_silent_before_open_is_given_up(void **state) {
    struct world *world = *state;
    world->client_settings.open_timeout_ms = 200;
    world_connect(world);
    world_run_to_step(world, AMQP_SASL);
    world->server_silent = true;
    world_run_until(world, &world->client.closed);
    assert_non_null(strstr(world->client.reason, "127.0.0.1 did not finish SASL, open and attach in 200 ms"));
    assert_non_null(strstr(world->client.reason, amqp_step_word(world->client.closed_step)));
}

/* Before its OPEN a peer has promised no sign of life: open_timeout counts, and what it says in time is heard. */
static void the_idle_timeout_does_not_count_before_the_peers_open(void **state) {
    struct world *world = *state;
    world->client_settings.idle_timeout_ms = 100;
    world->client_settings.open_timeout_ms = 400;
    world_connect(world);
    world_run_to_step(world, AMQP_SASL);
    world->server_silent = true;
    world_run_until(world, &world->client.closed);
    assert_non_null(strstr(world->client.reason, "did not finish SASL, open and attach in 400 ms"));
}

static void a_client_silent_before_open_is_given_up(void **state) {
    struct world *world = *state;
    world->server_settings.open_timeout_ms = 200;
    world_connect(world);
    world_run_to_step(world, AMQP_SASL);
    amqp_free(world->client.amqp);
    world->client.amqp = NULL;
    world_run_until(world, &world->server.closed);
    assert_true(world->server.closed_step < AMQP_UP);
}

static void where_nobody_listens_the_reason_says_so(void **state) {
    struct world *world = *state;
    world->client_settings.port = 1;
    world_expect_refusal(world, AMQP_TCP, "127.0.0.1 port 1: Connection refused");
}

static void a_name_without_addresses_ends_in_step_dns(void **state) {
    struct world *world = *state;
    world->client_settings.host = "forebay.invalid";
    world->client_settings.connect_timeout_ms = 300;
    world_expect_refusal(world, AMQP_DNS, "forebay.invalid");
}

struct wrong_server {
    const char *certificate;
    const char *host;
    const char *text;
};

static void every_wrong_server_certificate_is_refused_with_its_reason(void **state) {
    struct world *world = *state;
    static const struct wrong_server cases[] = {
        {"foreign-server", "127.0.0.1", "certificate of foreign-server was issued by /CN=other-ca, which is not among"},
        {"expired", "127.0.0.1", "certificate of expired expired on 20"},
        {"not-yet", "127.0.0.1", "certificate of not-yet is not valid before 20"},
        {"wrong-name", "localhost", "certificate is for DNS gw.example, DNS broker.example, not for localhost"},
        {"wrong-address", "127.0.0.1", "certificate is for IP 192.0.2.7, DNS localhost, not for 127.0.0.1"},
        {"127.0.0.1", "127.0.0.1", "certificate of 127.0.0.1 has no subject alternative name"},
        {"client-only", "127.0.0.1", "certificate of client-only is not meant for a server (extended key usage)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        /* The server would not load an expired one for itself: a world of its own makes it load. */
        struct amqp_trust *trust = NULL;
        struct fb_cause cause;
        const struct amqp_trust_settings settings = world_trust_settings(world, "ca", cases[i].certificate, true);
        const enum fb_error error = amqp_trust_load(&settings, &trust, &cause);
        if (error != FB_OK) {
            assert_non_null(strstr(cause.text, cases[i].text));
            continue;
        }
        amqp_trust_free(world->server.trust);
        world->server.trust = trust;
        world->client_settings.host = cases[i].host;
        world_expect_refusal(world, AMQP_TLS, cases[i].text);
        world_run_until(world, &world->server.closed);
    }
}

static void a_refused_client_certificate_counts_as_tls(void **state) {
    struct world *world = *state;
    world_trust(world, &world->client, "ca", "foreign-client");
    world_expect_refusal(world, AMQP_TLS,
                         "the peer refused with TLS alert 48 (unknown CA): it does not trust the issuer of our");
    world_run_until(world, &world->server.closed);
    assert_non_null(strstr(world->server.reason, "certificate of foreign-client was issued by /CN=other-ca"));
    assert_int_equal(world->server.closed_step, AMQP_TLS);
}

static void a_connection_may_be_freed_in_any_handler(void **state) {
    struct world *world = *state;
    for (unsigned step = AMQP_TCP; step <= AMQP_UP; step++) {
        world->client.free_at_step = step;
        world->server.closed = false;
        world_connect(world);
        world_run_until(world, &world->client.closed);
        assert_int_equal(world->client.step, step);
        if (step > AMQP_TCP)
            world_run_until(world, &world->server.closed);
    }
}

static unsigned open_descriptors(void) {
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static void five_hundred_connections_leave_nothing_behind(void **state) {
    struct world *world = *state;
    unsigned descriptors = 0;
    size_t bytes = 0;
    for (unsigned i = 0; i < 500; i++) {
        if (i == 100) {
            descriptors = open_descriptors();
            bytes = mallinfo2().uordblks;
        }
        world->client.step = AMQP_DNS;
        world->client.outcomes = 0;
        world_connect(world);
        world_run_to_step(world, AMQP_UP);
        send_one(world, 1, 1000);
        world_run_to_count(world, &world->client.outcomes, 1);
        amqp_free(world->client.amqp);
        world->client.amqp = NULL;
        world_run_until(world, &world->server.closed);
    }
    assert_int_equal(open_descriptors(), descriptors);
    assert_in_range(mallinfo2().uordblks, 0, bytes + 16384);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_message_arrives_whole_and_its_outcome_comes_back),
        TEST(a_name_with_several_addresses_is_tried_address_by_address),
        TEST(each_outcome_comes_back_as_it_was_given),
        TEST(many_messages_pass_under_back_pressure_each_once),
        TEST(room_that_a_handler_used_up_is_told_again),
        TEST(unread_bytes_close_the_room_before_memory_grows),
        TEST(what_one_turn_sends_is_joined_to_large_segments),
        TEST(one_large_message_at_a_time_is_taken),
        TEST(without_credit_nothing_is_taken),
        TEST(credit_is_all_that_stays_unanswered),
        TEST(a_message_above_the_peers_limit_is_not_sent),
        TEST(a_peer_that_ignores_the_limit_is_cut_off),
        TEST(goodbye_is_answered),
        TEST(a_connection_can_be_closed_before_it_is_made),
        TEST(a_peer_that_vanishes_is_noticed_at_once),
        TEST(a_half_open_peer_is_found_within_the_idle_timeout),
        TEST(heartbeats_keep_an_idle_connection),
        TEST(a_peer_without_our_way_to_sign_in_is_told_with_what_it_offers),
        TEST(a_peer_silent_before_tls_is_given_up),
        TEST(a_peer_silent_before_open_is_given_up),
        TEST(the_idle_timeout_does_not_count_before_the_peers_open),
        TEST(a_client_silent_before_open_is_given_up),
        TEST(where_nobody_listens_the_reason_says_so),
        TEST(a_name_without_addresses_ends_in_step_dns),
        TEST(every_wrong_server_certificate_is_refused_with_its_reason),
        TEST(a_refused_client_certificate_counts_as_tls),
        TEST(a_connection_may_be_freed_in_any_handler),
        TEST(five_hundred_connections_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
