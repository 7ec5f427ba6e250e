// links: gateway/cloud/link_expiry.c gateway/cloud/certificates.c gateway/amqp/validity.c gateway/amqp/certificate.c gateway/common/*.c
/* When a connection is ended for the certificates it was made with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/cloud/link_expiry.h"
#include "gateway/common/clock.h"

#define MINUTE_MS 60000
#define LAST_SECOND_MS 1000
#define LIFE_MS 600
#define LIMIT_US 10000000

struct desk {
    sd_event *event;
    struct certificates *certificates;
    struct link_expiry *expiry;
    char reason[FB_CAUSE_MAX];
    int64_t ended_ms;
    unsigned ends;
};

static void on_changed(void *user) {
    (void)user;
}

static void on_expired(const char *reason, void *user) {
    struct desk *desk = user;
    snprintf(desk->reason, sizeof desk->reason, "%s", reason);
    desk->ended_ms = clock_utc_ms();
    desk->ends++;
}

static struct desk desk;

static int open_desk(void **state) {
    struct fb_cause cause;
    desk = (struct desk){0};
    assert_true(sd_event_new(&desk.event) >= 0);
    assert_int_equal(certificates_new(desk.event, on_changed, &desk, &desk.certificates, &cause), FB_OK);
    assert_int_equal(link_expiry_new(desk.event, desk.certificates, on_expired, &desk, &desk.expiry, &cause), FB_OK);
    *state = &desk;
    return 0;
}

static int close_desk(void **state) {
    (void)state;
    link_expiry_free(desk.expiry);
    certificates_free(desk.certificates);
    sd_event_unref(desk.event);
    return 0;
}

/* A connection comes up whose peer has shown a certificate that holds until then. */
static void come_up(int64_t until_ms) {
    struct validity_list chain = {.count = 1, .entries = {{.subject = "broker.example", .until_ms = until_ms}}};
    certificates_presented(desk.certificates, &chain);
    link_expiry_start(desk.expiry);
}

static void run_to_the_end(void) {
    const unsigned ends = desk.ends;
    while (desk.ends == ends)
        assert_true(sd_event_run(desk.event, LIMIT_US) > 0);
}

static void the_moment_lies_in_the_last_minutes_and_gateways_share_them_evenly(void **state) {
    (void)state;
    const int64_t now_ms = 1795293190000, end_ms = now_ms + (int64_t)90 * 24 * 60 * MINUTE_MS;
    unsigned minutes[10] = {0};
    assert_int_equal(link_expiry_ahead_ms(now_ms, end_ms, 0), end_ms);
    assert_int_equal(link_expiry_ahead_ms(now_ms, end_ms, UINT32_MAX), end_ms - (int64_t)10 * MINUTE_MS);
    for (uint32_t i = 0; i < 1000; i++) {
        const int64_t at_ms = link_expiry_ahead_ms(now_ms, end_ms, i * (UINT32_MAX / 1000));
        assert_in_range(at_ms, end_ms - (int64_t)10 * MINUTE_MS, end_ms);
        minutes[(end_ms - at_ms) / MINUTE_MS]++;
    }
    for (unsigned i = 0; i < 10; i++)
        assert_in_range(minutes[i], 99, 101);
}

static void of_a_short_life_it_is_the_last_tenth(void **state) {
    (void)state;
    assert_int_equal(link_expiry_ahead_ms(5000, 15000, UINT32_MAX), 14000);
    assert_int_equal(link_expiry_ahead_ms(5000, 15000, 0), 15000);
    assert_int_equal(link_expiry_ahead_ms(5000, 5000, UINT32_MAX), 5000);
}

static void a_peers_certificate_is_looked_for_anew_before_its_end_and_ends_the_next_connection(void **state) {
    (void)state;
    const int64_t began_ms = clock_utc_ms(), until_ms = began_ms + LIFE_MS, end_ms = until_ms + LAST_SECOND_MS;
    come_up(until_ms);
    run_to_the_end();
    assert_string_equal(desk.reason,
                        "closed here, because the certificate of broker.example expires soon, and may have "
                        "been renewed");
    assert_true(desk.ended_ms >= end_ms - (end_ms - began_ms) / 10);
    link_expiry_stop(desk.expiry);
    come_up(until_ms);
    run_to_the_end();
    assert_string_equal(desk.reason, "closed here, because the certificate of broker.example has expired");
    assert_true(desk.ended_ms >= end_ms);
}

static void one_that_was_renewed_has_a_moment_of_its_own_again(void **state) {
    (void)state;
    come_up(clock_utc_ms() - LAST_SECOND_MS + LIFE_MS);
    run_to_the_end();
    come_up(clock_utc_ms() + LIFE_MS);
    run_to_the_end();
    assert_non_null(strstr(desk.reason, "expires soon"));
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, open_desk, close_desk)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_moment_lies_in_the_last_minutes_and_gateways_share_them_evenly),
        cmocka_unit_test(of_a_short_life_it_is_the_last_tenth),
        TEST(a_peers_certificate_is_looked_for_anew_before_its_end_and_ends_the_next_connection),
        TEST(one_that_was_renewed_has_a_moment_of_its_own_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
