// links: gateway/cloud/window.c gateway/common/error.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/cloud/window.h"

#define KIB 1024u

static struct window window_of(uint32_t messages, uint32_t bytes) {
    struct window window;
    assert_int_equal(window_init(&window, messages, bytes, NULL), FB_OK);
    return window;
}

static struct window_parcel *take(struct window *window, uint64_t number, size_t length) {
    struct window_parcel *parcel = NULL;
    assert_int_equal(window_take(window, PARCEL_BATCH, number, length, 1000 + (int64_t)number, &parcel), FB_OK);
    return parcel;
}

static void the_first_grant_is_the_whole_window_but_for_what_may_wait(void **state) {
    (void)state;
    struct window window = window_of(256, 4096 * KIB);
    uint32_t messages, bytes;
    assert_true(window_grant(&window, &messages, &bytes));
    assert_int_equal(messages, 256);
    assert_int_equal(bytes, WINDOW_GRANT_BYTES_MAX);
    assert_false(window_grant(&window, &messages, &bytes));
    window_done(&window);
}

static void a_new_grant_comes_when_the_old_one_is_used_up_and_never_while_much_waits(void **state) {
    (void)state;
    struct window window = window_of(8, 1024 * KIB);
    uint32_t messages, bytes;
    assert_true(window_grant(&window, &messages, &bytes));
    struct window_parcel *parcels[8];
    for (unsigned i = 0; i < 6; i++) {
        parcels[i] = take(&window, i + 1, 100);
        window_sent(&window, parcels[i]);
        assert_false(window_grant(&window, &messages, &bytes));
    }
    window_forget(&window, parcels[0]);
    window_forget(&window, parcels[1]);
    assert_false(window_grant(&window, &messages, &bytes)); /* two are still granted */
    parcels[6] = take(&window, 7, WINDOW_GRANT_BYTES_MAX / 2 + 1);
    assert_false(window_grant(&window, &messages, &bytes)); /* it waits */
    window_sent(&window, parcels[6]);
    assert_true(window_grant(&window, &messages, &bytes));
    assert_int_equal(messages, 3);
    window_done(&window);
}

static void while_a_little_waits_the_next_grant_is_as_much_smaller(void **state) {
    (void)state;
    struct window window = window_of(8, 4096 * KIB);
    uint32_t messages, bytes;
    assert_true(window_grant(&window, &messages, &bytes));
    for (uint64_t number = 1; number <= 4; number++)
        window_sent(&window, take(&window, number, 50 * KIB));
    for (uint64_t number = 5; number <= 7; number++)
        take(&window, number, 50 * KIB);
    window_decided(&window, window_of_number(&window, PARCEL_BATCH, 1));
    assert_true(window_grant(&window, &messages, &bytes));
    assert_int_equal(messages, 2);
    assert_int_equal(bytes, WINDOW_GRANT_BYTES_MAX - 150 * KIB);
    window_done(&window);
}

static void what_the_peer_has_accepted_leaves_the_window_free(void **state) {
    (void)state;
    struct window window = window_of(8, 256 * KIB);
    uint32_t messages, bytes;
    uint64_t number = 0;
    for (; number < WINDOW_DECIDED_MAX && window_grant(&window, &messages, &bytes); number++) {
        assert_int_equal(messages, 8);
        for (uint32_t i = 0; i + 1 < messages; i++)
            window_decided(&window, take(&window, 100 * number + i, 30 * KIB));
    }
    assert_in_range(window.count, WINDOW_DECIDED_MAX, window.capacity);
    assert_int_equal(window.open, 0);
    assert_int_equal(window_oldest_ms(&window), 0);
    window_forget(&window, window_of_number(&window, PARCEL_BATCH, 100));
    assert_int_equal(window.count, 7 * number - 1);
    window_done(&window);
}

static void bytes_are_limited_like_messages(void **state) {
    (void)state;
    struct window window = window_of(256, 256 * KIB);
    uint32_t messages, bytes;
    assert_true(window_grant(&window, &messages, &bytes));
    assert_int_equal(bytes, 256 * KIB);
    struct window_parcel *first = take(&window, 1, 128 * KIB);
    window_sent(&window, first);
    assert_false(window_grant(&window, &messages, &bytes));
    window_sent(&window, take(&window, 2, 130 * KIB)); /* core sends as long as any byte is left */
    assert_false(window_grant(&window, &messages, &bytes));
    window_forget(&window, first);
    assert_true(window_grant(&window, &messages, &bytes));
    assert_int_equal(bytes, 126 * KIB);
    window_done(&window);
}

static void a_window_of_one_still_lets_a_catalogue_and_its_batch_through(void **state) {
    (void)state;
    struct window window = window_of(1, 256 * KIB);
    uint32_t messages, bytes;
    assert_true(window_grant(&window, &messages, &bytes));
    assert_int_equal(messages, WINDOW_GRANT_MESSAGES_MIN);
    struct window_parcel *parcel = take(&window, 1, 10);
    window_sent(&window, parcel);
    assert_false(window_grant(&window, &messages, &bytes));
    window_forget(&window, parcel);
    assert_true(window_grant(&window, &messages, &bytes));
    window_done(&window);
}

static void a_parcel_is_in_flight_once(void **state) {
    (void)state;
    struct window window = window_of(4, 1024 * KIB);
    struct window_parcel *parcel = take(&window, 7, 10), *again = NULL;
    assert_int_equal(window_take(&window, PARCEL_BATCH, 7, 10, 1, &again), FB_AGAIN);
    assert_int_equal(window.count, 1);
    assert_int_equal(window_take(&window, PARCEL_CATALOGUE, 7, 10, 1, &again), FB_OK);
    assert_ptr_equal(window_of_number(&window, PARCEL_BATCH, 7), parcel);
    assert_ptr_equal(window_of_number(&window, PARCEL_CATALOGUE, 7), again);
    assert_null(window_of_number(&window, PARCEL_BATCH, 8));
    window_done(&window);
}

static void a_delivery_number_is_never_found_again_after_its_parcel_has_gone(void **state) {
    (void)state;
    struct window window = window_of(1, 1024 * KIB);
    uint64_t last = 0;
    for (uint64_t number = 1; number <= 100; number++) {
        struct window_parcel *parcel = take(&window, number, 10);
        const uint64_t delivery = parcel->delivery;
        assert_true(delivery > last);
        assert_ptr_equal(window_of_delivery(&window, delivery), parcel);
        assert_null(window_of_delivery(&window, last));
        window_forget(&window, parcel);
        assert_null(window_of_delivery(&window, delivery));
        last = delivery;
    }
    window_done(&window);
    assert_null(window_of_delivery(&window, last));
}

static void a_core_that_ignores_its_grant_is_noticed(void **state) {
    (void)state;
    struct window window = window_of(4, 1024 * KIB);
    struct window_parcel *parcel;
    uint64_t number = 0;
    while (window_take(&window, PARCEL_BATCH, ++number, 10, 1, &parcel) == FB_OK)
        assert_in_range(number, 1, 16);
    assert_in_range(number, 9, 16);
    window_done(&window);
}

static void the_one_that_waited_longest_goes_first(void **state) {
    (void)state;
    struct window window = window_of(8, 1024 * KIB);
    struct window_parcel *first = take(&window, 5, 10), *second = take(&window, 3, 10), *third = take(&window, 9, 10);
    window_forget(&window, first);
    struct window_parcel *fourth = take(&window, 1, 10); /* takes the place of the first */
    fourth->bytes = malloc(10);
    assert_ptr_equal(window_first_waiting(&window), second);
    assert_int_equal(window_oldest_ms(&window), 1001);
    window_sent(&window, second);
    assert_ptr_equal(window_first_waiting(&window), third);
    window_sent(&window, third);
    assert_ptr_equal(window_first_waiting(&window), fourth);
    window_sent(&window, fourth);
    assert_null(window_first_waiting(&window));
    assert_null(fourth->bytes);
    window_decided(&window, fourth);
    window_decided(&window, second);
    window_decided(&window, third);
    assert_int_equal(window_oldest_ms(&window), 0);
    window_done(&window);
}

static void each_answer_gives_patience_anew_but_not_to_the_overtaken(void **state) {
    (void)state;
    struct window window = window_of(8, 1024 * KIB);
    assert_int_equal(window_due_ms(&window, 0, 500), 0);
    struct window_parcel *first = take(&window, 1, 10), *second = take(&window, 2, 10), *third = take(&window, 3, 10);
    assert_int_equal(window_due_ms(&window, 0, 500), 1501);
    assert_int_equal(window_due_ms(&window, 2000, 500), 2500);
    window_sent(&window, first);
    window_sent(&window, second);
    window_sent(&window, third);
    window_answered(&window, second->delivery, 3000);
    window_decided(&window, second);
    assert_int_equal(window_due_ms(&window, 3000, 500), 3500);
    window_answered(&window, third->delivery, 3400);
    window_forget(&window, third);
    assert_int_equal(window_due_ms(&window, 3400, 500), 3500); /* the first one has been overtaken at 3000 */
    window_decided(&window, first);
    assert_int_equal(window_due_ms(&window, 3400, 500), 0);
    window_done(&window);
}

static void what_was_taken_first_and_sent_last_is_not_overtaken(void **state) {
    (void)state;
    struct window window = window_of(8, 1024 * KIB);
    struct window_parcel *backlog = take(&window, 1, 10), *live = take(&window, 2, 10), *begun = take(&window, 3, 10);
    backlog->historical = true;
    window_sent(&window, live);
    window_sent(&window, backlog);
    window_answered(&window, live->delivery, 3000);
    window_decided(&window, live);
    assert_int_equal(backlog->overtaken_ms, 0);
    window_answered(&window, begun->delivery, 4000); /* of several messages, the first one */
    assert_int_equal(backlog->overtaken_ms, 4000);
    window_done(&window);
}

static void forgetting_everything_takes_the_grant_along(void **state) {
    (void)state;
    struct window window = window_of(8, 1024 * KIB);
    uint32_t messages, bytes;
    assert_true(window_grant(&window, &messages, &bytes));
    take(&window, 1, 100)->bytes = malloc(100);
    window_forget_all(&window);
    assert_int_equal(window.count, 0);
    assert_int_equal(window.bytes, 0);
    assert_true(window_grant(&window, &messages, &bytes));
    assert_int_equal(messages, 8);
    window_done(&window);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_grant_is_the_whole_window_but_for_what_may_wait),
        cmocka_unit_test(a_new_grant_comes_when_the_old_one_is_used_up_and_never_while_much_waits),
        cmocka_unit_test(while_a_little_waits_the_next_grant_is_as_much_smaller),
        cmocka_unit_test(what_the_peer_has_accepted_leaves_the_window_free),
        cmocka_unit_test(bytes_are_limited_like_messages),
        cmocka_unit_test(a_window_of_one_still_lets_a_catalogue_and_its_batch_through),
        cmocka_unit_test(a_parcel_is_in_flight_once),
        cmocka_unit_test(a_delivery_number_is_never_found_again_after_its_parcel_has_gone),
        cmocka_unit_test(a_core_that_ignores_its_grant_is_noticed),
        cmocka_unit_test(the_one_that_waited_longest_goes_first),
        cmocka_unit_test(each_answer_gives_patience_anew_but_not_to_the_overtaken),
        cmocka_unit_test(what_was_taken_first_and_sent_last_is_not_overtaken),
        cmocka_unit_test(forgetting_everything_takes_the_grant_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
