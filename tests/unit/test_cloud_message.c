// links: gateway/cloud/cloud_message.c gateway/common/link_settings.c gateway/common/json.c gateway/common/message.c gateway/common/error.c gateway/common/pin.c gateway/common/cloud_profile.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/cloud/cloud_message.h"

static uint8_t packet[MESSAGE_BYTES_MAX];

static enum fb_error read_back(struct message_writer *writer, struct cloud_message *message) {
    struct message_reader reader;
    struct fb_cause cause;
    assert_int_equal(message_finish(writer), FB_OK);
    assert_int_equal(message_open(writer->data, writer->used, &reader), FB_OK);
    return cloud_message_read(&reader, message, &cause);
}

static struct message_writer parcel(uint8_t kind, uint8_t flags, uint64_t number, const char *bytes) {
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_PARCEL, 0);
    message_put_u8(&writer, kind);
    message_put_u8(&writer, flags);
    message_put_u64(&writer, number);
    message_put_bytes(&writer, "0123456789abcdef", PROTOCOL_STORE_BYTES);
    message_put_bytes(&writer, bytes, strlen(bytes));
    return writer;
}

static enum fb_error config(const char *text, struct cloud_message *message) {
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_LINK_CONFIG, 0);
    message_put_bytes(&writer, text, strlen(text));
    return read_back(&writer, message);
}

static void a_parcel_is_taken_apart(void **state) {
    (void)state;
    struct cloud_message message;
    struct message_writer writer = parcel(PARCEL_CATALOGUE, PARCEL_HISTORICAL, 77, "bytes");
    assert_int_equal(read_back(&writer, &message), FB_OK);
    assert_int_equal(message.type, PROTOCOL_PARCEL);
    assert_int_equal(message.kind, PARCEL_CATALOGUE);
    assert_true(message.historical);
    assert_int_equal(message.number, 77);
    assert_int_equal(message.length, 5);
    assert_memory_equal(message.bytes, "bytes", 5);
    assert_memory_equal(message.store, "0123456789abcdef", PROTOCOL_STORE_BYTES);
}

static void malformed_parcels_are_refused(void **state) {
    (void)state;
    struct cloud_message message;
    struct message_writer writer = parcel(9, 0, 1, "bytes");
    assert_int_equal(read_back(&writer, &message), FB_INVALID);
    writer = parcel(PARCEL_BATCH, 2, 1, "bytes");
    assert_int_equal(read_back(&writer, &message), FB_INVALID);
    writer = parcel(PARCEL_BATCH, 0, 1, "");
    assert_int_equal(read_back(&writer, &message), FB_INVALID);
    writer = message_begin(packet, sizeof packet, PROTOCOL_PARCEL, 0);
    message_put_u8(&writer, PARCEL_BATCH);
    assert_int_equal(read_back(&writer, &message), FB_INVALID);
}

static void settled_must_end_where_it_should(void **state) {
    (void)state;
    struct cloud_message message;
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_SETTLED, 0);
    message_put_u8(&writer, PARCEL_BATCH);
    message_put_u64(&writer, 12);
    struct message_writer longer = writer;
    assert_int_equal(read_back(&writer, &message), FB_OK);
    assert_int_equal(message.count, 1);
    assert_int_equal(cloud_message_number(&message, 0), 12);
    message_put_u64(&longer, 15);
    struct message_writer odd = longer;
    assert_int_equal(read_back(&longer, &message), FB_OK);
    assert_int_equal(message.count, 2);
    assert_int_equal(cloud_message_number(&message, 1), 15);
    message_put_u8(&odd, 0);
    assert_int_equal(read_back(&odd, &message), FB_INVALID);
    writer = message_begin(packet, sizeof packet, PROTOCOL_SETTLED, 0);
    message_put_u8(&writer, PARCEL_BATCH);
    assert_int_equal(read_back(&writer, &message), FB_INVALID);
}

static void settings_come_through_and_an_empty_object_means_no_link(void **state) {
    (void)state;
    struct cloud_message message;
    const struct link_settings settings = {.gateway = "gw-1",
                                           .host = "broker.example",
                                           .port = 5671,
                                           .address = "/queues/q",
                                           .ca = "/ca",
                                           .certificate = "/certificate",
                                           .key = "/key",
                                           .token_life_ms = 3600000,
                                           .window_messages = 256,
                                           .window_bytes = 4194304,
                                           .connect_timeout_ms = 10000,
                                           .open_timeout_ms = 15000,
                                           .idle_timeout_ms = 60000,
                                           .ack_timeout_ms = 60000,
                                           .return_after_ms = 1800000,
                                           .spares = {{"other.example", 5671, "/queues/q"}},
                                           .spare_count = 1,
                                           .retry_first_ms = 1000,
                                           .retry_most_ms = 300000};
    json_t *json = link_settings_to_json(&settings);
    char *text = json_dumps(json, 0);
    assert_int_equal(config(text, &message), FB_OK);
    assert_true(message.has_link);
    assert_string_equal(message.link.host, "broker.example");
    assert_int_equal(message.link.retry_most_ms, 300000);
    assert_int_equal(message.link.spare_count, 1);
    assert_string_equal(message.link.spares[0].host, "other.example");
    free(text);
    json_decref(json);
    assert_int_equal(config("{}", &message), FB_OK);
    assert_false(message.has_link);
    assert_int_equal(config("{\"host\": 1}", &message), FB_INVALID);
    assert_int_equal(config("[]", &message), FB_INVALID);
    assert_int_equal(config("", &message), FB_INVALID);
}

static void unknown_types_are_refused(void **state) {
    (void)state;
    struct cloud_message message;
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_NEXT, 0);
    assert_int_equal(read_back(&writer, &message), FB_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_parcel_is_taken_apart),
        cmocka_unit_test(malformed_parcels_are_refused),
        cmocka_unit_test(settled_must_end_where_it_should),
        cmocka_unit_test(settings_come_through_and_an_empty_object_means_no_link),
        cmocka_unit_test(unknown_types_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
