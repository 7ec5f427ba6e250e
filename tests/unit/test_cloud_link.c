// links: gateway/cloud/link.c gateway/cloud/commands.c gateway/cloud/parcel.c gateway/cloud/window.c gateway/amqp/amqp.c gateway/amqp/certificate.c gateway/amqp/codec.c gateway/amqp/connect.c gateway/amqp/delivery.c gateway/amqp/events.c gateway/amqp/pump.c gateway/amqp/resolve.c gateway/amqp/sasl_external.c gateway/amqp/side.c gateway/amqp/tls.c gateway/amqp/tls_text.c gateway/amqp/trust.c gateway/common/backoff.c gateway/common/clock.c gateway/common/error.c gateway/common/json.c gateway/common/link_settings.c gateway/common/log.c tests/unit/amqp_world.c tests/unit/pki.c gateway/amqp/crl.c gateway/amqp/private_key.c gateway/amqp/token_key.c gateway/amqp/validity.c gateway/amqp/verify.c gateway/common/file.c gateway/common/pin.c gateway/common/pkcs11_uri.c gateway/cloud/certificates.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/cloud/link.h"
#include "tests/unit/amqp_world.h"

#define SILENCE_MS 400

/* What core would see. */
struct desk {
    struct world world;
    struct link *link;
    struct link_settings settings;
    unsigned ups, downs, nexts, decisions;
    uint32_t messages, bytes; /* of the last grant */
    uint64_t number;
    enum parcel_outcome outcome;
    char reason[FB_CAUSE_MAX];
    bool stopped;
};

static void on_up(void *user) {
    struct desk *desk = user;
    desk->ups++;
}

static void on_down(void *user) {
    struct desk *desk = user;
    desk->downs++;
}

static void on_next(uint32_t messages, uint32_t bytes, void *user) {
    struct desk *desk = user;
    desk->nexts++;
    desk->messages = messages;
    desk->bytes = bytes;
}

static void on_decided(enum parcel_kind kind, uint64_t number, enum parcel_outcome outcome, const char *reason,
                       void *user) {
    struct desk *desk = user;
    assert_int_equal(kind, PARCEL_BATCH);
    desk->decisions++;
    desk->number = number;
    desk->outcome = outcome;
    snprintf(desk->reason, sizeof desk->reason, "%s", reason);
}

static void on_changed(void *user) {
    (void)user;
}

static void on_stopped(void *user) {
    struct desk *desk = user;
    desk->stopped = true;
}

static const struct link_handlers handlers = {.up = on_up,
                                              .down = on_down,
                                              .next = on_next,
                                              .decided = on_decided,
                                              .changed = on_changed,
                                              .certificates = on_changed,
                                              .stopped = on_stopped};

static int open_desk(void **state) {
    struct desk *desk = calloc(1, sizeof *desk);
    world_open(&desk->world);
    struct fb_cause cause;
    assert_int_equal(link_new(desk->world.client.event, &handlers, desk, SILENCE_MS, &desk->link, &cause), FB_OK);
    desk->settings = (struct link_settings){.gateway = "gw-1",
                                            .host = "127.0.0.1",
                                            .port = desk->world.port,
                                            .address = "/queues/readings",
                                            .window_messages = 16,
                                            .window_bytes = 1024 * 1024,
                                            .connect_timeout_ms = 5000,
                                            .open_timeout_ms = 5000,
                                            .idle_timeout_ms = 30000,
                                            .retry_first_ms = 100,
                                            .retry_most_ms = 1000};
    snprintf(desk->settings.ca, LINK_PATH_MAX, "%s", world_path(&desk->world, "ca", "pem"));
    snprintf(desk->settings.certificate, LINK_PATH_MAX, "%s", world_path(&desk->world, "client", "pem"));
    snprintf(desk->settings.key, LINK_PATH_MAX, "%s", world_path(&desk->world, "client", "key"));
    *state = desk;
    return 0;
}

static int close_desk(void **state) {
    struct desk *desk = *state;
    link_free(desk->link);
    world_close(&desk->world);
    free(desk);
    return 0;
}

static void come_up(struct desk *desk) {
    const unsigned nexts = desk->nexts;
    link_configure(desk->link, &desk->settings);
    world_run_to_count(&desk->world, &desk->nexts, nexts + 1);
    assert_int_equal(link_status(desk->link)->state, STATUS_UP);
}

static void forward(struct desk *desk, uint64_t number, size_t length) {
    static const uint8_t bytes[128 * 1024] = {1};
    const struct cloud_message parcel = {.type = PROTOCOL_PARCEL,
                                         .kind = PARCEL_BATCH,
                                         .number = number,
                                         .store = (const uint8_t *)"0123456789abcdef",
                                         .bytes = bytes,
                                         .length = length};
    struct fb_cause cause;
    assert_int_equal(link_forward(desk->link, &parcel, &cause), FB_OK);
}

static void a_parcel_is_told_accepted_and_stays_in_flight_until_core_has_settled_it(void **state) {
    struct desk *desk = *state;
    come_up(desk);
    assert_int_equal(desk->ups, 1);
    assert_int_equal(desk->messages, 16);
    forward(desk, 7, 1000);
    world_run_to_count(&desk->world, &desk->decisions, 1);
    assert_int_equal(desk->outcome, PARCEL_ACCEPTED);
    assert_int_equal(desk->number, 7);
    assert_string_equal(desk->world.server.message_id, "30313233343536373839616263646566/batch/7");
    assert_string_equal(desk->world.server.content_type, "application/vnd.forebay.batch");
    assert_int_equal(link_status(desk->link)->in_flight, 1);
    link_settled(desk->link, PARCEL_BATCH, 7);
    assert_int_equal(link_status(desk->link)->in_flight, 0);
    assert_int_equal(link_status(desk->link)->accepted, 1);
    assert_true(link_status(desk->link)->last_accepted_ms > 0);
}

static void refused_parcels_leave_the_window_with_their_reason(void **state) {
    struct desk *desk = *state;
    come_up(desk);
    desk->world.server.answer = AMQP_REJECTED;
    forward(desk, 1, 10);
    world_run_to_count(&desk->world, &desk->decisions, 1);
    assert_int_equal(desk->outcome, PARCEL_REJECTED);
    assert_string_equal(desk->reason, "amqp:precondition-failed: the disk is full");
    desk->world.server.answer = AMQP_RELEASED;
    forward(desk, 1, 10);
    world_run_to_count(&desk->world, &desk->decisions, 2);
    assert_int_equal(desk->outcome, PARCEL_RELEASED);
    assert_non_null(strstr(desk->reason, "no queue is bound for /queues/readings"));
    assert_int_equal(link_status(desk->link)->in_flight, 0);
    assert_int_equal(link_status(desk->link)->rejected, 1);
    assert_int_equal(link_status(desk->link)->released, 1);
}

static void a_parcel_above_the_peers_limit_is_rejected_here(void **state) {
    struct desk *desk = *state;
    desk->world.server_settings.receive_bytes_most = 5000;
    come_up(desk);
    forward(desk, 1, 6000);
    assert_int_equal(desk->decisions, 1);
    assert_int_equal(desk->outcome, PARCEL_REJECTED);
    assert_non_null(strstr(desk->reason, "larger than the 5000 that the peer takes"));
}

static void parcels_beyond_the_peers_credit_wait_and_go_in_order(void **state) {
    struct desk *desk = *state;
    desk->world.server_settings.receive_credit = 2;
    come_up(desk);
    for (uint64_t number = 1; number <= 10; number++)
        forward(desk, number, 1000);
    assert_int_equal(desk->nexts, 1);
    for (unsigned number = 1; number <= 10; number++) {
        world_run_to_count(&desk->world, &desk->decisions, number);
        assert_true(desk->number >= number);
    }
    assert_int_equal(desk->world.server.received, 10);
    assert_string_equal(desk->world.server.message_id, "30313233343536373839616263646566/batch/10");
}

static void a_new_grant_follows_when_the_window_is_used_up_and_freed(void **state) {
    struct desk *desk = *state;
    come_up(desk);
    for (uint64_t number = 1; number <= 16; number++)
        forward(desk, number, 1000);
    world_run_to_count(&desk->world, &desk->decisions, 16);
    assert_int_equal(desk->nexts, 1);
    for (uint64_t number = 1; number <= 4; number++)
        link_settled(desk->link, PARCEL_BATCH, number);
    assert_int_equal(desk->nexts, 2);
    assert_int_equal(desk->messages, 4);
}

static void a_broken_link_is_told_and_comes_back_by_itself(void **state) {
    struct desk *desk = *state;
    come_up(desk);
    desk->world.server.hold = true;
    forward(desk, 1, 10);
    world_run_to_count(&desk->world, &desk->world.server.received, 1);
    amqp_free(desk->world.server.amqp);
    desk->world.server.amqp = NULL;
    world_run_to_count(&desk->world, &desk->downs, 1);
    assert_int_equal(link_status(desk->link)->state, STATUS_WAITING);
    assert_string_equal(link_status(desk->link)->reason, "127.0.0.1 closed the connection without saying why");
    assert_true(link_status(desk->link)->retry_at_ms > 0);
    assert_int_equal(link_status(desk->link)->in_flight, 0);
    forward(desk, 2, 10); /* was on its way: dropped, core will hand it out again */
    assert_int_equal(link_status(desk->link)->in_flight, 0);
    world_run_to_count(&desk->world, &desk->ups, 2);
    assert_string_equal(link_status(desk->link)->reason, "");
}

static void a_peer_that_answers_nothing_is_left(void **state) {
    struct desk *desk = *state;
    come_up(desk);
    desk->world.server.hold = true;
    forward(desk, 1, 10);
    world_run_to_count(&desk->world, &desk->downs, 1);
    assert_non_null(strstr(link_status(desk->link)->reason, "left messages unanswered"));
}

static void a_peer_that_gives_no_credit_is_left(void **state) {
    struct desk *desk = *state;
    desk->world.server_settings.receive_credit = 0;
    link_configure(desk->link, &desk->settings);
    world_run_until(&desk->world, &desk->world.server.closed);
    assert_non_null(strstr(link_status(desk->link)->reason, "gave no credit"));
    assert_int_equal(link_status(desk->link)->step, AMQP_CREDIT);
    assert_int_equal(desk->ups, 0);
}

static void when_core_comes_back_the_connection_is_still_the_same(void **state) {
    struct desk *desk = *state;
    come_up(desk);
    desk->world.server.hold = true;
    forward(desk, 1, 10);
    world_run_to_count(&desk->world, &desk->world.server.received, 1);
    link_core_gone(desk->link);
    assert_int_equal(link_status(desk->link)->in_flight, 0);
    link_configure(desk->link, &desk->settings);
    assert_int_equal(desk->ups, 2);
    assert_int_equal(desk->nexts, 2);
    forward(desk, 1, 10); /* handed out again */
    world_run_to_count(&desk->world, &desk->world.server.received, 2);
    amqp_answer(desk->world.server.amqp, 1, AMQP_ACCEPTED, NULL);
    amqp_answer(desk->world.server.amqp, 2, AMQP_ACCEPTED, NULL);
    world_run_to_count(&desk->world, &desk->decisions, 1);
    assert_int_equal(desk->downs, 0);
    link_settled(desk->link, PARCEL_BATCH, 1);
    assert_int_equal(link_status(desk->link)->in_flight, 0);
}

static void other_settings_mean_another_connection_and_none_mean_off(void **state) {
    struct desk *desk = *state;
    come_up(desk);
    snprintf(desk->settings.address, sizeof desk->settings.address, "/queues/other");
    link_configure(desk->link, &desk->settings);
    assert_int_equal(desk->downs, 1);
    world_run_to_count(&desk->world, &desk->ups, 2);
    link_configure(desk->link, NULL);
    assert_int_equal(desk->downs, 2);
    assert_int_equal(link_status(desk->link)->state, STATUS_OFF);
}

static void a_missing_certificate_is_named_and_tried_again(void **state) {
    struct desk *desk = *state;
    snprintf(desk->settings.certificate, LINK_PATH_MAX, "/nowhere/gateway.pem");
    link_configure(desk->link, &desk->settings);
    assert_int_equal(link_status(desk->link)->state, STATUS_WAITING);
    assert_int_equal(link_status(desk->link)->step, AMQP_TLS);
    assert_string_equal(link_status(desk->link)->reason, "/nowhere/gateway.pem: No such file or directory");
}

static void stopping_says_goodbye(void **state) {
    struct desk *desk = *state;
    come_up(desk);
    link_stop(desk->link);
    world_run_until(&desk->world, &desk->stopped);
    world_run_until(&desk->world, &desk->world.server.closed);
    assert_string_equal(desk->world.server.reason, "127.0.0.1 closed the connection");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_desk, close_desk)

/* Our own receiver has no commands to give: a peer that refuses. */
static void a_way_back_that_is_refused_leaves_the_link_alone(void **state) {
    struct desk *desk = *state;
    come_up(desk);
    const struct cloud_message config = {
        .address = "/queues/commands", .replies = "/queues/replies", .gateway = "gw-1"};
    link_commands(desk->link, &config);
    assert_int_equal(link_status(desk->link)->commands, COMMANDS_CONNECTING);
    for (uint64_t number = 1; link_status(desk->link)->commands != COMMANDS_WAITING; number++) {
        forward(desk, number, 10);
        world_run_to_count(&desk->world, &desk->decisions, (unsigned)number);
        assert_int_equal(desk->outcome, PARCEL_ACCEPTED);
        link_settled(desk->link, PARCEL_BATCH, number);
        assert_true(number < 1000);
    }
    assert_non_null(strstr(link_status(desk->link)->commands_reason, "amqp:not-allowed"));
    assert_int_equal(link_status(desk->link)->state, STATUS_UP);
    assert_int_equal(desk->downs, 0);
    const struct cloud_message none = {.gateway = "gw-1"};
    link_commands(desk->link, &none);
    assert_int_equal(link_status(desk->link)->commands, COMMANDS_OFF);
    forward(desk, 5000, 10);
    world_run_to_count(&desk->world, &desk->decisions, desk->decisions + 1);
    assert_int_equal(desk->number, 5000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_parcel_is_told_accepted_and_stays_in_flight_until_core_has_settled_it),
        TEST(refused_parcels_leave_the_window_with_their_reason),
        TEST(a_parcel_above_the_peers_limit_is_rejected_here),
        TEST(parcels_beyond_the_peers_credit_wait_and_go_in_order),
        TEST(a_new_grant_follows_when_the_window_is_used_up_and_freed),
        TEST(a_broken_link_is_told_and_comes_back_by_itself),
        TEST(a_peer_that_answers_nothing_is_left),
        TEST(a_peer_that_gives_no_credit_is_left),
        TEST(when_core_comes_back_the_connection_is_still_the_same),
        TEST(other_settings_mean_another_connection_and_none_mean_off),
        TEST(a_missing_certificate_is_named_and_tried_again),
        TEST(a_way_back_that_is_refused_leaves_the_link_alone),
        TEST(stopping_says_goodbye),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
