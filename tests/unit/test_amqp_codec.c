// links: gateway/amqp/codec.c gateway/common/error.c
#include <proton/codec.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/amqp/codec.h"

static const struct amqp_message message = {.message_id = "gw-1/batch/7",
                                            .subject = "batch",
                                            .group_id = "gw-1",
                                            .content_type = "application/vnd.forebay.batch",
                                            .historical = true,
                                            .body = (const uint8_t *)"\0\1\2\377",
                                            .body_length = 4};

static void what_is_encoded_comes_back(void **state) {
    (void)state;
    char *bytes;
    size_t length;
    assert_int_equal(codec_encode(&message, 1795293200000, &bytes, &length, NULL), FB_OK);
    struct codec_message decoded;
    assert_int_equal(codec_decode(bytes, length, &decoded, NULL), FB_OK);
    assert_true(pn_message_is_durable(decoded.parts));
    assert_true(pn_message_get_creation_time(decoded.parts) == 1795293200000);
    assert_string_equal(decoded.message.message_id, "gw-1/batch/7");
    assert_string_equal(decoded.message.subject, "batch");
    assert_string_equal(decoded.message.group_id, "gw-1");
    assert_string_equal(decoded.message.content_type, "application/vnd.forebay.batch");
    assert_true(decoded.message.historical);
    assert_int_equal(decoded.message.body_length, 4);
    assert_memory_equal(decoded.message.body, message.body, 4);
    codec_done(&decoded);
    free(bytes);
}

static void a_cut_message_is_never_taken_for_a_whole_one(void **state) {
    (void)state;
    char *bytes;
    size_t length;
    assert_int_equal(codec_encode(&message, 1, &bytes, &length, NULL), FB_OK);
    for (size_t cut = 0; cut < length; cut++) {
        struct codec_message decoded;
        char *copy = malloc(cut + 1); /* exact, so that reading past it is seen */
        memcpy(copy, bytes, cut);
        assert_int_equal(codec_decode(copy, cut, &decoded, NULL), FB_INVALID);
        free(copy);
    }
    free(bytes);
}

static enum fb_error decode_made(pn_message_t *parts, struct codec_message *decoded, struct fb_cause *cause) {
    pn_rwbytes_t buffer = {0};
    const ssize_t length = pn_message_encode2(parts, &buffer);
    assert_true(length > 0);
    const enum fb_error error = codec_decode(buffer.start, (size_t)length, decoded, cause);
    free(buffer.start);
    pn_message_free(parts);
    return error;
}

static void absent_properties_are_empty(void **state) {
    (void)state;
    pn_message_t *parts = pn_message();
    pn_message_set_inferred(parts, true);
    pn_data_put_binary(pn_message_body(parts), pn_bytes(1, "x"));
    struct codec_message decoded;
    assert_int_equal(decode_made(parts, &decoded, NULL), FB_OK);
    assert_string_equal(decoded.message.message_id, "");
    assert_string_equal(decoded.message.subject, "");
    assert_string_equal(decoded.message.group_id, "");
    assert_string_equal(decoded.message.content_type, "");
    assert_false(decoded.message.historical);
    codec_done(&decoded);
}

static void other_bodies_and_overlong_ids_are_refused(void **state) {
    (void)state;
    struct codec_message decoded;
    struct fb_cause cause;
    pn_message_t *parts = pn_message();
    pn_data_put_string(pn_message_body(parts), pn_bytes(4, "text"));
    assert_int_equal(decode_made(parts, &decoded, &cause), FB_INVALID);
    assert_string_equal(cause.text, "the body is not one data section");
    char id[300];
    memset(id, 'x', sizeof id);
    parts = pn_message();
    pn_message_set_inferred(parts, true);
    pn_data_put_binary(pn_message_body(parts), pn_bytes(1, "x"));
    pn_data_put_string(pn_message_id(parts), pn_bytes(sizeof id, id));
    assert_int_equal(decode_made(parts, &decoded, &cause), FB_INVALID);
    assert_string_equal(cause.text, "the message id is longer than 255 bytes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_comes_back),
        cmocka_unit_test(a_cut_message_is_never_taken_for_a_whole_one),
        cmocka_unit_test(absent_properties_are_empty),
        cmocka_unit_test(other_bodies_and_overlong_ids_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
