// links: gateway/core/text.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/text.h"

static void pieces_stand_in_order(void **state) {
    (void)state;
    struct text text = {0};
    text_add_string(&text, "data: ");
    text_add_format(&text, "%d-%s", 7, "x");
    text_add_json(&text, json_pack("{s:f, s:i}", "a", 0.1, "b", 2));
    text_add(&text, "\n\n", 2);
    text_add(&text, NULL, 0);
    const char expected[] = "data: 7-x{\"a\":0.1,\"b\":2}\n\n";
    assert_false(text.failed);
    assert_int_equal(text.used, sizeof expected - 1);
    assert_memory_equal(text.data, expected, text.used);
    text_done(&text);
}

static void what_was_sent_is_consumed_from_the_front(void **state) {
    (void)state;
    struct text text = {0};
    text_add_string(&text, "0123456789");
    text_consume(&text, 4);
    text_add_string(&text, "ab");
    assert_int_equal(text.used, 8);
    assert_memory_equal(text.data, "456789ab", 8);
    text_consume(&text, 8);
    assert_int_equal(text.used, 0);
    text_done(&text);
}

static void a_text_grows_up_to_its_limit_and_then_fails(void **state) {
    (void)state;
    struct text text = {0};
    static const char block[65536];
    for (unsigned i = 0; i < TEXT_BYTES_MAX / sizeof block; i++)
        text_add(&text, block, sizeof block);
    assert_false(text.failed);
    assert_int_equal(text.used, TEXT_BYTES_MAX);
    text_add(&text, "x", 1);
    assert_true(text.failed);
    assert_int_equal(text.used, TEXT_BYTES_MAX);
    text_consume(&text, TEXT_BYTES_MAX);
    text_add(&text, "x", 1);
    assert_int_equal(text.used, 0); /* failed for good: what is missing would not be seen */
    text_done(&text);
    assert_false(text.failed);
}

static void a_line_too_long_to_format_fails(void **state) {
    (void)state;
    struct text text = {0};
    char far[2000];
    memset(far, 'x', sizeof far - 1);
    far[sizeof far - 1] = '\0';
    text_add_format(&text, "%s", far);
    assert_true(text.failed);
    text_done(&text);
}

static void json_that_was_not_made_fails_the_text(void **state) {
    (void)state;
    struct text text = {0};
    text_add_json(&text, NULL);
    assert_true(text.failed);
    text_done(&text);
    text.failed = true;
    text_add_json(&text, json_object()); /* the reference is dropped all the same */
    assert_int_equal(text.used, 0);
    text_done(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_stand_in_order),
        cmocka_unit_test(what_was_sent_is_consumed_from_the_front),
        cmocka_unit_test(a_text_grows_up_to_its_limit_and_then_fails),
        cmocka_unit_test(a_line_too_long_to_format_fails),
        cmocka_unit_test(json_that_was_not_made_fails_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
