// links: gateway/cli/answer.c gateway/common/message.c gateway/common/error.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "gateway/cli/answer.h"
#include "gateway/common/message.h"
#include "gateway/common/protocol.h"

/* Add a packet with the text; whether another follows. */
static bool add(struct answer *answer, const char *text, uint16_t flags) {
    uint8_t packet[256];
    struct fb_cause cause;
    bool more;
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_CONTROL_ANSWER, flags);
    message_put_bytes(&writer, text, strlen(text));
    assert_int_equal(message_finish(&writer), FB_OK);
    assert_int_equal(answer_add(answer, packet, writer.used, &more, &cause), FB_OK);
    return more;
}

static void pieces_become_one_result(void **state) {
    (void)state;
    struct answer answer = {0};
    struct fb_cause cause;
    json_t *result;
    assert_true(add(&answer, "{\"ok\":true,\"res", MESSAGE_MORE));
    assert_true(add(&answer, "", MESSAGE_MORE));
    assert_false(add(&answer, "ult\":[1,2]}", 0));
    assert_int_equal(answer_result(&answer, &result, &cause), FB_OK);
    assert_int_equal(json_array_size(result), 2);
    json_decref(result);
    answer_done(&answer);
}

static void an_error_comes_with_cores_reason(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum fb_error error;
        const char *cause;
    } cases[] = {
        {"{\"ok\":false,\"error\":\"not-found\",\"cause\":\"there is no bus\"}", FB_NOT_FOUND, "there is no bus"},
        {"{\"ok\":false,\"error\":\"a new word\",\"cause\":\"later\"}", FB_INVALID, "later"},
        {"{\"ok\":false,\"error\":\"full\",\"cause\":\"\"}", FB_FULL, "no reason given"},
        {"{\"ok\":true}", FB_INVALID, "no reason given"},
        {"[", FB_INVALID, "no reason given"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct answer answer = {0};
        struct fb_cause cause;
        json_t *result = NULL;
        assert_false(add(&answer, cases[i].text, 0));
        assert_int_equal(answer_result(&answer, &result, &cause), cases[i].error);
        assert_string_equal(cause.text, cases[i].cause);
        assert_null(result);
        answer_done(&answer);
    }
}

static void what_is_no_part_of_an_answer_is_refused(void **state) {
    (void)state;
    struct answer answer = {0};
    struct fb_cause cause;
    bool more;
    uint8_t packet[64];
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_CONTROL_REQUEST, 0);
    assert_int_equal(message_finish(&writer), FB_OK);
    assert_int_equal(answer_add(&answer, packet, writer.used, &more, &cause), FB_INVALID);
    assert_int_equal(answer_add(&answer, (const uint8_t *)"\1\2", 2, &more, &cause), FB_INVALID);
    assert_int_equal(answer_add(&answer, packet, 0, &more, &cause), FB_INVALID);
    answer_done(&answer);
}

static void an_endless_answer_is_refused(void **state) {
    (void)state;
    static uint8_t packet[MESSAGE_BYTES_MAX];
    static const char spaces[MESSAGE_PAYLOAD_MAX];
    struct answer answer = {0};
    struct fb_cause cause;
    bool more = true;
    struct message_writer writer = message_begin(packet, sizeof packet, PROTOCOL_CONTROL_ANSWER, MESSAGE_MORE);
    message_put_bytes(&writer, spaces, sizeof spaces);
    assert_int_equal(message_finish(&writer), FB_OK);
    enum fb_error error = FB_OK;
    for (int i = 0; error == FB_OK && i < 1000; i++)
        error = answer_add(&answer, packet, writer.used, &more, &cause);
    assert_int_equal(error, FB_LIMIT);
    assert_in_range(answer.length, 15 << 20, 16 << 20);
    answer_done(&answer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_become_one_result),
        cmocka_unit_test(an_error_comes_with_cores_reason),
        cmocka_unit_test(what_is_no_part_of_an_answer_is_refused),
        cmocka_unit_test(an_endless_answer_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
