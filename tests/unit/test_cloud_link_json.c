// links: gateway/cloud/attempt.c gateway/cloud/certificates.c gateway/cloud/endpoints.c gateway/cloud/link.c gateway/cloud/link_expiry.c gateway/cloud/link_parcels.c gateway/cloud/link_return.c gateway/cloud/commands.c gateway/cloud/parcel.c gateway/cloud/window.c gateway/cloud/transit.c gateway/amqp/*.c gateway/common/backoff.c gateway/common/clock.c gateway/common/error.c gateway/common/file.c gateway/common/file_stamp.c gateway/common/hex.c gateway/common/json.c gateway/common/link_settings.c gateway/common/log.c gateway/common/pin.c gateway/common/pkcs11_uri.c tests/unit/amqp_world.c tests/unit/link_desk.c tests/unit/pki.c gateway/common/cloud_profile.c gateway/cloud/renderer.c gateway/cloud/senml.c gateway/cloud/compress.c store/batch*.c store/catalogue.c gateway/common/number_text.c gateway/common/quality.c gateway/common/reading.c gateway/cloud/commands.c gateway/common/command_settings.c
/* The link when batches go as JSON: one batch is several messages, and one outcome. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/batch.h"
#include "store/catalogue.h"
#include "tests/unit/link_desk.h"

#define READINGS 300

static int open_desk(void **state) {
    const int result = desk_open(state);
    struct desk *desk = *state;
    desk->settings.encoding = CLOUD_SENML_JSON;
    desk->world.server_settings.receive_bytes_most = 5000;
    return result;
}

/* READINGS readings take about 10 KB as JSON: three messages of 5000 bytes. */
static void forward_batch(struct desk *desk, uint64_t number) {
    static uint8_t bytes[BATCH_BYTES_MAX];
    static struct reading readings[READINGS];
    struct batch_info info = {.gateway = "gw-1", .number = number, .sealed_ms = 1795293190000};
    memcpy(info.store_id, DESK_STORE, sizeof info.store_id);
    size_t length;
    for (int i = 0; i < READINGS; i++)
        readings[i] = reading_integer(7, info.sealed_ms + i, 0, i);
    assert_int_equal(batch_encode(&info, readings, READINGS, bytes, &length, NULL), FB_OK);
    desk_forward(desk, PARCEL_BATCH, number, bytes, length);
}

static void a_batch_of_several_messages_is_accepted_once_when_all_of_them_are(void **state) {
    struct desk *desk = *state;
    desk_come_up(desk);
    assert_true(desk->ups == 1 && desk->bytes_most == 0); /* a batch of any size can be cut */
    desk->world.server.hold = true;
    forward_batch(desk, 42);
    world_run_to_count(&desk->world, &desk->world.server.received, 3);
    assert_string_equal(desk->world.server.message_id, "30313233343536373839616263646566/senml/42/3");
    assert_string_equal(desk->world.server.content_type, "application/senml+json");
    assert_string_equal(desk->world.server.subject, "senml");
    assert_int_equal(desk->world.server.first_byte, '[');
    amqp_answer(desk->world.server.amqp, 3, AMQP_ACCEPTED, NULL);
    amqp_answer(desk->world.server.amqp, 1, AMQP_ACCEPTED, NULL);
    desk->world.server.hold = false;
    forward_batch(desk, 43); /* the next one is not held up by it */
    world_run_to_count(&desk->world, &desk->decisions, 1);
    assert_int_equal(desk->number, 43);
    assert_int_equal(desk->outcome, PARCEL_ACCEPTED);
    assert_int_equal(link_status(desk->link)->accepted, 1);
    amqp_answer(desk->world.server.amqp, 2, AMQP_ACCEPTED, NULL);
    world_run_to_count(&desk->world, &desk->decisions, 2);
    assert_int_equal(desk->number, 42);
    assert_int_equal(desk->outcome, PARCEL_ACCEPTED);
    link_settled(desk->link, PARCEL_BATCH, 42);
    link_settled(desk->link, PARCEL_BATCH, 43);
    assert_int_equal(link_status(desk->link)->in_flight, 0);
    assert_int_equal(link_status(desk->link)->accepted, 2);
}

static void a_batch_is_refused_once_with_its_first_refused_message(void **state) {
    struct desk *desk = *state;
    desk_come_up(desk);
    desk->world.server.answer = AMQP_REJECTED;
    forward_batch(desk, 42);
    world_run_to_count(&desk->world, &desk->decisions, 1);
    assert_int_equal(desk->outcome, PARCEL_REJECTED);
    assert_non_null(strstr(desk->reason, "the disk is full"));
    desk->world.server.answer = AMQP_ACCEPTED;
    forward_batch(desk, 43);
    world_run_to_count(&desk->world, &desk->decisions, 2);
    assert_int_equal(desk->number, 43);
    assert_int_equal(desk->outcome, PARCEL_ACCEPTED);
}

static void a_catalogue_stays_here_and_is_accepted(void **state) {
    struct desk *desk = *state;
    static uint8_t bytes[CATALOGUE_BYTES_MAX];
    struct catalogue_tag tag = {.number = 7, .instrument = "i", .name = "t", .unit = "pH", .kind = READING_INTEGER};
    const struct catalogue catalogue = {.gateway = "gw-1", .revision = 1, .made_ms = 1, .tags = &tag, .tag_count = 1};
    size_t length;
    assert_int_equal(catalogue_encode(&catalogue, bytes, &length, NULL), FB_OK);
    desk_come_up(desk);
    desk_forward(desk, PARCEL_CATALOGUE, 1, bytes, length);
    assert_int_equal(desk->decisions, 1);
    assert_int_equal(desk->kind, PARCEL_CATALOGUE);
    assert_int_equal(desk->outcome, PARCEL_ACCEPTED);
    link_settled(desk->link, PARCEL_CATALOGUE, 1);
    desk_forward(desk, PARCEL_CATALOGUE, 2, (const uint8_t *)"no catalogue", 12);
    assert_int_equal(desk->outcome, PARCEL_REJECTED);
    assert_int_equal(link_status(desk->link)->in_flight, 0);
    assert_int_equal(desk->world.server.received, 0);
}

static void what_is_no_batch_is_refused_with_its_reason(void **state) {
    struct desk *desk = *state;
    desk_come_up(desk);
    desk_forward(desk, PARCEL_BATCH, 42, (const uint8_t *)"no batch", 8);
    assert_int_equal(desk->decisions, 1);
    assert_int_equal(desk->outcome, PARCEL_REJECTED);
    assert_true(desk->reason[0] != '\0');
    assert_int_equal(link_status(desk->link)->in_flight, 0);
}

static void a_peer_that_takes_next_to_nothing_gets_nothing(void **state) {
    struct desk *desk = *state;
    desk->world.server_settings.receive_bytes_most = 2000;
    desk_come_up(desk);
    forward_batch(desk, 42);
    assert_int_equal(desk->outcome, PARCEL_REJECTED);
    assert_non_null(strstr(desk->reason, "too little for JSON"));
}

static void a_core_that_leaves_in_the_middle_gets_the_batch_handed_out_again(void **state) {
    struct desk *desk = *state;
    desk_come_up(desk);
    desk->world.server.hold = true;
    forward_batch(desk, 42);
    world_run_to_count(&desk->world, &desk->world.server.received, 1);
    link_core_gone(desk->link);
    assert_int_equal(link_status(desk->link)->in_flight, 0);
    const unsigned received = desk->world.server.received;
    for (unsigned i = 1; i <= received; i++)
        amqp_answer(desk->world.server.amqp, i, AMQP_ACCEPTED, NULL);
    desk->world.server.hold = false;
    link_configure(desk->link, &desk->settings);
    forward_batch(desk, 42);
    world_run_to_count(&desk->world, &desk->decisions, 1);
    assert_int_equal(desk->outcome, PARCEL_ACCEPTED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_desk, desk_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_batch_of_several_messages_is_accepted_once_when_all_of_them_are),
        TEST(a_batch_is_refused_once_with_its_first_refused_message),
        TEST(a_catalogue_stays_here_and_is_accepted),
        TEST(what_is_no_batch_is_refused_with_its_reason),
        TEST(a_peer_that_takes_next_to_nothing_gets_nothing),
        TEST(a_core_that_leaves_in_the_middle_gets_the_batch_handed_out_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
