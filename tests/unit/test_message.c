// links: gateway/common/message.c gateway/common/error.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "gateway/common/message.h"

static void what_is_put_is_got(void **state) {
    (void)state;
    uint8_t packet[64];
    struct message_writer writer = message_begin(packet, sizeof packet, 33, MESSAGE_MORE);
    message_put_u8(&writer, 0xfe);
    message_put_u32(&writer, 0xdeadbeef);
    message_put_u64(&writer, UINT64_MAX - 1);
    message_put_bytes(&writer, "tail", 4);
    message_put_bytes(&writer, NULL, 0);
    assert_int_equal(message_finish(&writer), FB_OK);
    assert_int_equal(writer.used, MESSAGE_HEADER_BYTES + 1 + 4 + 8 + 4);

    struct message_reader reader;
    assert_int_equal(message_open(packet, writer.used, &reader), FB_OK);
    assert_int_equal(reader.type, 33);
    assert_int_equal(reader.flags, MESSAGE_MORE);
    assert_int_equal(message_get_u8(&reader), 0xfe);
    assert_int_equal(message_get_u32(&reader), 0xdeadbeef);
    assert_true(message_get_u64(&reader) == UINT64_MAX - 1);
    assert_false(message_done(&reader));
    size_t length;
    assert_memory_equal(message_get_rest(&reader, &length), "tail", 4);
    assert_int_equal(length, 4);
    assert_true(message_done(&reader));
}

static void what_does_not_fit_is_refused_at_the_end(void **state) {
    (void)state;
    uint8_t packet[MESSAGE_HEADER_BYTES + 4];
    struct message_writer writer = message_begin(packet, sizeof packet, 1, 0);
    message_put_u32(&writer, 1);
    message_put_u8(&writer, 1);
    message_put_bytes(&writer, NULL, 0);
    assert_true(writer.overflow);
    assert_int_equal(writer.used, sizeof packet);
    assert_int_equal(message_finish(&writer), FB_LIMIT);
}

static void the_largest_message_goes_and_a_larger_one_does_not(void **state) {
    (void)state;
    static uint8_t packet[MESSAGE_BYTES_MAX + 1];
    static const uint8_t payload[MESSAGE_PAYLOAD_MAX + 1];
    struct message_reader reader;
    struct message_writer writer = message_begin(packet, sizeof packet, 1, 0);
    message_put_bytes(&writer, payload, MESSAGE_PAYLOAD_MAX);
    assert_int_equal(message_finish(&writer), FB_OK);
    assert_int_equal(message_open(packet, writer.used, &reader), FB_OK);
    writer = message_begin(packet, sizeof packet, 1, 0);
    message_put_bytes(&writer, payload, MESSAGE_PAYLOAD_MAX + 1);
    assert_int_equal(message_finish(&writer), FB_LIMIT);
    assert_int_equal(message_open(packet, sizeof packet, &reader), FB_INVALID);
}

static void a_getter_past_the_end_makes_the_message_bad_for_good(void **state) {
    (void)state;
    uint8_t packet[32];
    struct message_writer writer = message_begin(packet, sizeof packet, 1, 0);
    message_put_u32(&writer, 7);
    assert_int_equal(message_finish(&writer), FB_OK);
    struct message_reader reader;
    assert_int_equal(message_open(packet, writer.used, &reader), FB_OK);
    assert_int_equal(message_get_u64(&reader), 0);
    assert_true(reader.bad);
    assert_int_equal(message_get_u32(&reader), 0);
    assert_null(message_get_bytes(&reader, 1));
    size_t length;
    assert_null(message_get_rest(&reader, &length));
    assert_int_equal(length, 0);
    assert_false(message_done(&reader));
}

static void a_message_with_something_left_is_not_done(void **state) {
    (void)state;
    uint8_t packet[32];
    struct message_writer writer = message_begin(packet, sizeof packet, 1, 0);
    message_put_u32(&writer, 7);
    message_put_u8(&writer, 1);
    assert_int_equal(message_finish(&writer), FB_OK);
    struct message_reader reader;
    assert_int_equal(message_open(packet, writer.used, &reader), FB_OK);
    (void)message_get_u32(&reader);
    assert_false(message_done(&reader));
}

static void headers_that_lie_are_refused(void **state) {
    (void)state;
    uint8_t packet[MESSAGE_HEADER_BYTES + 2];
    struct message_writer writer = message_begin(packet, sizeof packet, 1, 0);
    message_put_bytes(&writer, "ab", 2);
    assert_int_equal(message_finish(&writer), FB_OK);
    struct message_reader reader;
    for (size_t length = 0; length < sizeof packet; length++)
        assert_int_equal(message_open(packet, length, &reader), FB_INVALID);
    packet[0] = MESSAGE_VERSION + 1;
    assert_int_equal(message_open(packet, sizeof packet, &reader), FB_VERSION);
    packet[0] = MESSAGE_VERSION;
    memset(packet + 4, 0xff, 4);
    assert_int_equal(message_open(packet, sizeof packet, &reader), FB_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_got),
        cmocka_unit_test(what_does_not_fit_is_refused_at_the_end),
        cmocka_unit_test(the_largest_message_goes_and_a_larger_one_does_not),
        cmocka_unit_test(a_getter_past_the_end_makes_the_message_bad_for_good),
        cmocka_unit_test(a_message_with_something_left_is_not_done),
        cmocka_unit_test(headers_that_lie_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
