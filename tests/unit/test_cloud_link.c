// links: gateway/cloud/attempt.c gateway/cloud/certificates.c gateway/cloud/endpoints.c gateway/cloud/link.c gateway/cloud/link_expiry.c gateway/cloud/link_parcels.c gateway/cloud/link_return.c gateway/cloud/commands.c gateway/cloud/parcel.c gateway/cloud/window.c gateway/cloud/transit.c gateway/amqp/*.c gateway/common/backoff.c gateway/common/clock.c gateway/common/error.c gateway/common/file.c gateway/common/file_stamp.c gateway/common/hex.c gateway/common/json.c gateway/common/link_settings.c gateway/common/log.c gateway/common/pin.c gateway/common/pkcs11_uri.c tests/unit/amqp_world.c tests/unit/link_desk.c tests/unit/pki.c gateway/common/cloud_profile.c gateway/cloud/renderer.c gateway/cloud/senml.c gateway/cloud/compress.c store/batch*.c store/catalogue.c gateway/common/number_text.c gateway/common/quality.c gateway/common/reading.c
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/link_desk.h"

#define ACK_TIMEOUT_MS 400

static int open_desk(void **state) {
    const int result = desk_open(state);
    struct desk *desk = *state;
    desk->settings.ack_timeout_ms = ACK_TIMEOUT_MS;
    return result;
}

static void forward(struct desk *desk, uint64_t number, size_t length) {
    static const uint8_t bytes[128 * 1024] = {1};
    desk_forward(desk, PARCEL_BATCH, number, bytes, length);
}

static void a_parcel_is_told_accepted_and_stays_in_flight_until_core_has_settled_it(void **state) {
    struct desk *desk = *state;
    desk_come_up(desk);
    assert_int_equal(desk->ups, 1);
    assert_int_equal(desk->messages, 16);
    forward(desk, 7, 1000);
    world_run_to_count(&desk->world, &desk->decisions, 1);
    assert_int_equal(desk->kind, PARCEL_BATCH);
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
    desk_come_up(desk);
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

/* What is accepted counts batches: by them the link is judged. */
static void refusals_of_catalogues_and_events_are_counted_too(void **state) {
    struct desk *desk = *state;
    desk_come_up(desk);
    desk->world.server.answer = AMQP_REJECTED;
    desk_forward(desk, PARCEL_CATALOGUE, 1, (const uint8_t *)"c", 1);
    desk_forward(desk, PARCEL_EVENT, 1, (const uint8_t *)"e", 1);
    world_run_to_count(&desk->world, &desk->decisions, 2);
    assert_int_equal(link_status(desk->link)->rejected, 2);
    desk->world.server.answer = AMQP_ACCEPTED;
    desk_forward(desk, PARCEL_CATALOGUE, 1, (const uint8_t *)"c", 1);
    world_run_to_count(&desk->world, &desk->decisions, 3);
    assert_int_equal(link_status(desk->link)->accepted, 0);
}

static void a_parcel_above_the_peers_limit_is_rejected_here(void **state) {
    struct desk *desk = *state;
    desk->world.server_settings.receive_bytes_most = 5000;
    desk_come_up(desk);
    assert_in_range(desk->bytes_most, 3900, 5000);
    forward(desk, 1, 6000);
    assert_int_equal(desk->decisions, 1);
    assert_int_equal(desk->outcome, PARCEL_REJECTED);
    assert_non_null(strstr(desk->reason, "larger than the 5000 that the peer takes"));
}

static void parcels_beyond_the_peers_credit_wait_and_go_in_order(void **state) {
    struct desk *desk = *state;
    desk->world.server_settings.receive_credit = 2;
    desk_come_up(desk);
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
    desk_come_up(desk);
    for (uint64_t number = 1; number <= 16; number++)
        forward(desk, number, 1000);
    assert_int_equal(desk->nexts, 1);
    world_run_to_count(&desk->world, &desk->decisions, 16);
    assert_int_equal(desk->nexts, 2); /* as soon as the peer has accepted a quarter, whatever core has written down */
    assert_int_equal(desk->messages, 4);
    for (uint64_t number = 1; number <= 4; number++)
        link_settled(desk->link, PARCEL_BATCH, number);
    assert_int_equal(desk->nexts, 2); /* the last one lasts */
}

static void a_broken_link_is_told_and_comes_back_by_itself(void **state) {
    struct desk *desk = *state;
    desk_come_up(desk);
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
    desk_come_up(desk);
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
    desk_come_up(desk);
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
    desk_come_up(desk);
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

static const char *told(const struct desk *desk, const char *key) {
    const char *text = json_string_value(json_object_get(desk->attempt, key));
    return text == NULL ? "" : text;
}

static long long told_number(const struct desk *desk, const char *key) {
    return (long long)json_integer_value(json_object_get(desk->attempt, key));
}

static void each_attempt_and_each_end_is_recorded(void **state) {
    struct desk *desk = *state;
    desk_come_up(desk);
    assert_int_equal(desk->attempts, 1);
    assert_string_equal(told(desk, "what"), "attempt");
    assert_string_equal(told(desk, "outcome"), "up");
    assert_string_equal(told(desk, "peer"), "127.0.0.1");
    assert_string_equal(told(desk, "tls"), "TLSv1.3 TLS_AES_256_GCM_SHA384");
    assert_true(told_number(desk, "bytes_in") > 1000 && told_number(desk, "bytes_out") > 1000);
    const json_t *chain = json_object_get(desk->attempt, "chain");
    assert_true(json_array_size(chain) >= 1);
    assert_int_equal(json_string_length(json_object_get(json_array_get(chain, 0), "sha256")), 64);
    assert_int_equal(json_object_size(json_object_get(desk->attempt, "steps")), AMQP_UP + 1);
    forward(desk, 1, 10);
    world_run_to_count(&desk->world, &desk->decisions, 1);
    amqp_free(desk->world.server.amqp);
    desk->world.server.amqp = NULL;
    world_run_to_count(&desk->world, &desk->downs, 1);
    assert_int_equal(desk->attempts, 2);
    assert_string_equal(told(desk, "what"), "connection");
    assert_string_equal(told(desk, "outcome"), "broken");
    assert_string_equal(told(desk, "reason"), "127.0.0.1 closed the connection without saying why");
    assert_int_equal(told_number(desk, "accepted"), 1);
}

static void a_refused_peer_leaves_its_fingerprint(void **state) {
    struct desk *desk = *state;
    snprintf(desk->settings.ca, LINK_PATH_MAX, "%s", world_path(&desk->world, "other-ca", "pem"));
    link_configure(desk->link, &desk->settings);
    world_run_to_count(&desk->world, &desk->attempts, 1);
    assert_string_equal(told(desk, "outcome"), "failed");
    assert_string_equal(told(desk, "step"), "tls");
    assert_non_null(strstr(told(desk, "reason"), "not among the authorities"));
    const json_t *shown = json_array_get(json_object_get(desk->attempt, "chain"), 0);
    assert_int_equal(json_string_length(json_object_get(shown, "sha256")), 64);
    assert_string_equal(json_string_value(json_object_get(shown, "subject")), "server");
}

static void a_spare_takes_the_link_and_the_preferred_one_is_asked_beside_it(void **state) {
    struct desk *desk = *state;
    desk->settings.spares[0] = link_settings_endpoint(&desk->settings, 0);
    desk->settings.spare_count = 1;
    desk->settings.port = 1; /* nobody listens */
    desk->settings.return_after_ms = 100;
    desk_come_up(desk);
    assert_int_equal(desk->attempts, 2);
    assert_non_null(strstr(link_status(desk->link)->endpoint, "127.0.0.1:"));
    assert_string_not_equal(link_status(desk->link)->endpoint, "amqps://127.0.0.1:1");
    world_run_to_count(&desk->world, &desk->attempts, 4);
    assert_string_equal(told(desk, "what"), "return");
    assert_string_equal(told(desk, "outcome"), "failed");
    assert_string_equal(told(desk, "endpoint"), "amqps://127.0.0.1:1");
    assert_string_equal(told(desk, "step"), "tcp");
    assert_int_equal(link_status(desk->link)->state, STATUS_UP);
    assert_int_equal(desk->downs, 0);
}

/* The preferred endpoint is the very peer that the spare is, under its other name, and takes the question at once. The
 * first attempt fails for want of an answer. */
static void come_up_at_the_spare(struct desk *desk) {
    desk->settings.spares[0] = link_settings_endpoint(&desk->settings, 0);
    desk->settings.spare_count = 1;
    desk->settings.return_after_ms = 100;
    desk->world.server_silent = true;
    desk->settings.connect_timeout_ms = 100;
    link_configure(desk->link, &desk->settings);
    world_run_to_count(&desk->world, &desk->attempts, 1);
    desk->world.server_silent = false;
    world_run_to_count(&desk->world, &desk->ups, 1);
}

static void the_link_goes_back_when_the_preferred_one_takes_it(void **state) {
    struct desk *desk = *state;
    come_up_at_the_spare(desk);
    world_run_to_count(&desk->world, &desk->ups, 2);
    assert_int_equal(desk->returns, 1);
    assert_string_equal(told(desk, "what"), "attempt");
    assert_int_equal(desk->downs, 1);
}

static void a_link_that_stops_does_not_go_back(void **state) {
    struct desk *desk = *state;
    desk->stop_at = "return";
    come_up_at_the_spare(desk);
    world_run_until(&desk->world, &desk->stopped);
    assert_int_equal(desk->returns, 1);
    assert_int_equal(desk->ups, 1);
}

/* In bytes; another allocator than glibc's (a sanitizer's) tells nothing, and looks for leaks by itself. */
static size_t memory(void) {
    return mallinfo2().uordblks + mallinfo2().hblkhd;
}

static unsigned open_descriptors(void) {
    unsigned count = 0;
    for (int i = 0; i < 1024; i++)
        count += fcntl(i, F_GETFD) >= 0;
    return count;
}

/* ABUSE in the environment: a long campaign. */
static void reconnects_leave_nothing_behind(void **state) {
    struct desk *desk = *state;
    const unsigned cycles = getenv("ABUSE") != NULL ? 2000 : 100;
    unsigned descriptors = 0;
    size_t bytes = 0;
    desk->settings.retry_first_ms = 1;
    desk->settings.retry_most_ms = 2;
    link_configure(desk->link, &desk->settings);
    for (unsigned i = 1; i <= cycles; i++) {
        world_run_to_count(&desk->world, &desk->ups, i);
        forward(desk, i, 1000);
        world_run_to_count(&desk->world, &desk->decisions, i);
        link_settled(desk->link, PARCEL_BATCH, i);
        if (i == cycles / 2) {
            descriptors = open_descriptors();
            bytes = memory();
        }
        if (i == cycles)
            break;
        amqp_free(desk->world.server.amqp);
        desk->world.server.amqp = NULL;
        world_run_to_count(&desk->world, &desk->downs, i);
    }
    assert_int_equal(desk->attempts, 2 * cycles - 1); /* each attempt and each end but the last one's */
    assert_int_equal(open_descriptors(), descriptors);
    assert_in_range(memory(), 0, bytes + 16384);
    if (cycles > 100)
        printf("%u reconnects: %zu bytes in use after half of them, %zu after all\n", cycles, bytes, memory());
}

static void stopping_says_goodbye(void **state) {
    struct desk *desk = *state;
    desk_come_up(desk);
    link_stop(desk->link);
    world_run_until(&desk->world, &desk->stopped);
    world_run_until(&desk->world, &desk->world.server.closed);
    assert_string_equal(desk->world.server.reason, "127.0.0.1 closed the connection");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_desk, desk_close)

/* Our own receiver has no commands to give: a peer that refuses. */
static void a_way_back_that_is_refused_leaves_the_link_alone(void **state) {
    struct desk *desk = *state;
    desk_come_up(desk);
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
        TEST(refusals_of_catalogues_and_events_are_counted_too),
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
        TEST(each_attempt_and_each_end_is_recorded),
        TEST(a_refused_peer_leaves_its_fingerprint),
        TEST(a_spare_takes_the_link_and_the_preferred_one_is_asked_beside_it),
        TEST(the_link_goes_back_when_the_preferred_one_takes_it),
        TEST(a_link_that_stops_does_not_go_back),
        TEST(reconnects_leave_nothing_behind),
        TEST(stopping_says_goodbye),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
