// links: gateway/core/flood.c
/* test_flood.c - what happens again and again passes so often, and then comes as a count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "gateway/core/flood.h"

static const struct flood_limit limit = {3, 60000};

static bool pass(struct flood *flood, const char *key, int64_t now_ms, int value) {
    json_t *body = json_pack("{s:i}", "value", value);
    const bool passes = flood_pass(flood, key, &limit, now_ms, body, 7);
    if (passes)
        json_decref(body);
    return passes;
}

static void so_many_pass_and_the_rest_comes_as_a_count(void **state) {
    (void)state;
    struct flood flood = {0};
    int tag = 0;
    for (int i = 0; i < 10; i++)
        assert_int_equal(pass(&flood, "link-down", 1000 + i, i), i < 3);
    assert_true(pass(&flood, "bus-down", 1010, 0)); /* another key */
    assert_int_equal(flood_next_ms(&flood), 61000);
    assert_null(flood_ended(&flood, 60999, &tag));
    json_t *held = flood_ended(&flood, 61000, &tag);
    assert_int_equal(tag, 7);
    assert_int_equal(json_integer_value(json_object_get(held, "value")), 9);
    assert_int_equal(json_integer_value(json_object_get(held, "more")), 6);
    json_decref(held);
    assert_null(flood_ended(&flood, 61000, &tag));
    assert_int_equal(flood_next_ms(&flood), 0);
    assert_true(pass(&flood, "link-down", 61001, 10)); /* a new window */
}

static void one_that_was_held_comes_as_it_is(void **state) {
    (void)state;
    struct flood flood = {0};
    int tag;
    for (int i = 0; i < 4; i++)
        pass(&flood, "x", 0, i);
    json_t *held = flood_ended(&flood, 60000, &tag);
    assert_int_equal(json_integer_value(json_object_get(held, "value")), 3);
    assert_null(json_object_get(held, "more"));
    json_decref(held);
}

static void a_window_begins_with_what_comes_after_the_last(void **state) {
    (void)state;
    struct flood flood = {0};
    for (int i = 0; i < 3; i++)
        assert_true(pass(&flood, "x", i * 100, i));
    assert_true(pass(&flood, "x", 60000, 3));
    assert_true(pass(&flood, "x", 119999, 4));
    assert_true(pass(&flood, "x", 119999, 5));
    assert_false(pass(&flood, "x", 119999, 6));
    int tag;
    json_decref(flood_ended(&flood, INT64_MAX, &tag));
}

static void with_more_keys_than_places_nothing_is_lost(void **state) {
    (void)state;
    struct flood flood = {0};
    char key[16];
    for (int i = 0; i < 2 * FLOOD_KEYS_MAX; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        assert_true(pass(&flood, key, 0, i));
    }
    for (int i = 0; i < 10; i++)
        assert_true(pass(&flood, key, 0, i));
    assert_int_equal(flood_next_ms(&flood), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_pass_and_the_rest_comes_as_a_count),
        cmocka_unit_test(one_that_was_held_comes_as_it_is),
        cmocka_unit_test(a_window_begins_with_what_comes_after_the_last),
        cmocka_unit_test(with_more_keys_than_places_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
