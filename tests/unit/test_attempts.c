// links: gateway/cloud/attempt.c gateway/cloud/attempts.c gateway/amqp/*.c gateway/common/backoff.c gateway/common/clock.c gateway/common/error.c gateway/common/json.c gateway/common/link_settings.c gateway/common/file.c gateway/common/hex.c gateway/common/pin.c gateway/common/pkcs11_uri.c gateway/common/cloud_profile.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/cloud/attempt.h"
#include "gateway/cloud/attempts.h"

static uint64_t number_in(const char *text) {
    json_t *json = json_loads(text, 0, NULL);
    const json_int_t number = json_integer_value(json_object_get(json, "attempt"));
    json_decref(json);
    return (uint64_t)number;
}

static void each_one_stays_until_core_has_it(void **state) {
    (void)state;
    struct attempts attempts;
    uint64_t number = 0;
    attempts_init(&attempts);
    assert_int_equal(strlen(attempts.run), 16);
    assert_null(attempts_after(&attempts, 0, &number));
    for (unsigned i = 0; i < 3; i++)
        attempts_add(&attempts, json_object());
    assert_int_equal(number_in(attempts_after(&attempts, 0, &number)), 1);
    assert_int_equal(number_in(attempts_after(&attempts, 1, &number)), 2);
    assert_int_equal(number, 2);
    attempts_kept(&attempts, 2);
    assert_int_equal(number_in(attempts_after(&attempts, 0, &number)), 3);
    assert_null(attempts_after(&attempts, 3, &number));
    attempts_kept(&attempts, 1000); /* of another run: no harm */
    assert_null(attempts_after(&attempts, 0, &number));
    attempts_add(&attempts, json_object());
    assert_int_equal(number_in(attempts_after(&attempts, 0, &number)), 4);
    attempts_done(&attempts);
}

static void what_is_dropped_is_told(void **state) {
    (void)state;
    struct attempts attempts;
    uint64_t number = 0;
    attempts_init(&attempts);
    for (unsigned i = 0; i < ATTEMPTS_MAX + 5; i++)
        attempts_add(&attempts, json_object());
    assert_int_equal(number_in(attempts_after(&attempts, 0, &number)), 6);
    assert_null(strstr(attempts_after(&attempts, ATTEMPTS_MAX - 1, &number), "lost_before"));
    assert_non_null(strstr(attempts_after(&attempts, ATTEMPTS_MAX + 4, &number), "\"lost_before\":5"));
    attempts_add(&attempts, NULL); /* out of memory */
    attempts_add(&attempts, json_object());
    assert_non_null(strstr(attempts_after(&attempts, ATTEMPTS_MAX + 5, &number), "\"lost_before\":7"));
    attempts_done(&attempts);
}

static struct attempt failed_attempt(const char *reason) {
    struct attempt attempt = {.what = "attempt", .outcome = "failed", .step = AMQP_TLS, .reason = reason};
    snprintf(attempt.endpoint.host, sizeof attempt.endpoint.host, "2001:db8::7");
    snprintf(attempt.endpoint.address, sizeof attempt.endpoint.address, "/queues/q");
    attempt.endpoint.port = 5671;
    return attempt;
}

static void an_attempt_says_where_how_far_and_why(void **state) {
    (void)state;
    const struct attempt attempt = failed_attempt("certificate of X expired");
    json_t *json = attempt_to_json(&attempt, NULL);
    assert_string_equal(json_string_value(json_object_get(json, "endpoint")), "amqps://[2001:db8::7]:5671");
    assert_string_equal(json_string_value(json_object_get(json, "address")), "/queues/q");
    assert_string_equal(json_string_value(json_object_get(json, "step")), "tls");
    assert_string_equal(json_string_value(json_object_get(json, "reason")), "certificate of X expired");
    assert_true(json_integer_value(json_object_get(json, "started_ms")) > 0);
    json_decref(json);
}

/* The worst of all: every text at its limit, and each of its characters two in JSON. */
static void the_longest_one_fits(void **state) {
    (void)state;
    char reason[FB_CAUSE_MAX];
    memset(reason, '"', sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    struct attempt attempt = failed_attempt(reason);
    memset(attempt.endpoint.host, 'h', sizeof attempt.endpoint.host - 1);
    memset(attempt.endpoint.address, '"', sizeof attempt.endpoint.address - 1);
    json_t *json = attempt_to_json(&attempt, NULL);
    assert_true(json_dumpb(json, NULL, 0, JSON_COMPACT) <= ATTEMPT_BYTES_MAX);
    json_decref(json);
}

static void a_reason_that_is_not_utf8_is_noted(void **state) {
    (void)state;
    const struct attempt attempt = failed_attempt("\xff\xfe");
    json_t *json = attempt_to_json(&attempt, NULL);
    assert_string_equal(json_string_value(json_object_get(json, "reason")), "(the text is not UTF-8)");
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_one_stays_until_core_has_it),      cmocka_unit_test(what_is_dropped_is_told),
        cmocka_unit_test(an_attempt_says_where_how_far_and_why), cmocka_unit_test(the_longest_one_fits),
        cmocka_unit_test(a_reason_that_is_not_utf8_is_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
