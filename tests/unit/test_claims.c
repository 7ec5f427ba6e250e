// links: gateway/core/claims.c gateway/core/refusal.c gateway/common/base64url.c gateway/common/error.c
/* test_claims.c - what a signed command must say, and each way in which it may be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/core/claims.h"

#define NOW_S 1795293200
#define NONCE "AAAAAAAAAAAAAAAAAAAAAA"

static enum refusal read_text(const char *payload, size_t length, struct claims *ret_claims) {
    struct fb_cause cause = {""};
    const enum refusal refusal =
        claims_read(payload, length, "plant-1", INT64_C(1000) * NOW_S + 500, ret_claims, &cause);
    assert_true((refusal == REFUSAL_NONE) == (cause.text[0] == '\0'));
    claims_done(ret_claims);
    return refusal;
}

static enum refusal read_json(json_t *json) {
    struct claims claims;
    char *text = json_dumps(json, JSON_COMPACT);
    const enum refusal refusal = read_text(text, strlen(text), &claims);
    free(text);
    json_decref(json);
    return refusal;
}

static json_t *good(void) {
    return json_pack("{s:s, s:s, s:i, s:i, s:s, s:{}}", "gateway", "plant-1", "nonce", NONCE, "iat", NOW_S - 10, "exp",
                     NOW_S + 50, "command", "status", "arguments");
}

static json_t *with(const char *name, json_t *value) {
    json_t *json = good();
    json_object_set_new(json, name, value);
    return json;
}

static json_t *with_times(int64_t issued_s, int64_t expires_s) {
    json_t *json = with("iat", json_integer(issued_s));
    json_object_set_new(json, "exp", json_integer(expires_s));
    return json;
}

static void a_good_one_is_read_whole(void **state) {
    (void)state;
    struct claims claims;
    struct fb_cause cause;
    json_t *json = good();
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    assert_int_equal(claims_read(text, strlen(text), "plant-1", INT64_C(1000) * NOW_S, &claims, &cause), REFUSAL_NONE);
    assert_string_equal(claims.nonce, NONCE);
    assert_string_equal(claims.command, "status");
    assert_int_equal(claims.issued_s, NOW_S - 10);
    assert_int_equal(claims.expires_s, NOW_S + 50);
    assert_true(json_is_object(claims.arguments));
    claims_done(&claims);
    free(text);
}

static void each_member_is_required_and_no_other_allowed(void **state) {
    (void)state;
    static const char *const names[] = {"gateway", "nonce", "iat", "exp", "command", "arguments"};
    for (size_t i = 0; i < 6; i++) {
        json_t *json = good();
        json_object_del(json, names[i]);
        assert_int_equal(read_json(json), REFUSAL_MALFORMED);
        assert_int_equal(read_json(with(names[i], json_null())), REFUSAL_MALFORMED);
        assert_int_equal(read_json(with(names[i], json_real(1.5))), REFUSAL_MALFORMED);
        assert_int_equal(read_json(with(names[i], json_array())), REFUSAL_MALFORMED);
    }
    assert_int_equal(read_json(with("jti", json_string("x"))), REFUSAL_MALFORMED);
}

static void what_is_no_strict_json_object_is_malformed(void **state) {
    (void)state;
    static const char *const texts[] = {"", "x", "[]", "{}", "null", "{\"gateway\":\"plant-1\",\"gateway\":\"x\"}"};
    struct claims claims;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(read_text(texts[i], strlen(texts[i]), &claims), REFUSAL_MALFORMED);
    json_t *json = good();
    char *text = json_dumps(json, JSON_COMPACT);
    const size_t length = strlen(text);
    json_decref(json);
    char *longer = malloc(length + 2);
    memcpy(longer, text, length);
    longer[length] = '{';
    assert_int_equal(read_text(longer, length + 1, &claims), REFUSAL_MALFORMED);
    longer[length] = '\0'; /* a NUL behind it */
    assert_int_equal(read_text(longer, length + 1, &claims), REFUSAL_MALFORMED);
    free(longer);
    free(text);
}

static void nonces_have_16_to_64_bytes(void **state) {
    (void)state;
    char text[120];
    for (size_t characters = 1; characters < sizeof text - 1; characters++) {
        memset(text, 'A', characters);
        text[characters] = '\0';
        const size_t bytes = characters * 3 / 4;
        const bool allowed = characters % 4 != 1 && bytes >= 16 && bytes <= 64;
        assert_int_equal(read_json(with("nonce", json_string(text))), allowed ? REFUSAL_NONE : REFUSAL_MALFORMED);
    }
    assert_int_equal(read_json(with("nonce", json_string("AAAAAAAAAAAAAAAAAAAAA="))), REFUSAL_MALFORMED);
    assert_int_equal(read_json(with("nonce", json_string("AAAAAAAAAAAAAAAAAAAAAB"))), REFUSAL_MALFORMED);
}

static void another_gateways_command_is_foreign(void **state) {
    (void)state;
    assert_int_equal(read_json(with("gateway", json_string("plant-2"))), REFUSAL_FOREIGN);
    assert_int_equal(read_json(with("gateway", json_string("plant-10"))), REFUSAL_FOREIGN);
    assert_int_equal(read_json(with("gateway", json_string(""))), REFUSAL_FOREIGN);
}

static void times_are_judged_to_the_second(void **state) {
    (void)state;
    assert_int_equal(read_json(with_times(NOW_S + 60, NOW_S + 61)), REFUSAL_NONE);
    assert_int_equal(read_json(with_times(NOW_S + 61, NOW_S + 62)), REFUSAL_EARLY);
    assert_int_equal(read_json(with_times(NOW_S - 70, NOW_S - 60)), REFUSAL_NONE);
    assert_int_equal(read_json(with_times(NOW_S - 70, NOW_S - 61)), REFUSAL_LATE);
    assert_int_equal(read_json(with_times(NOW_S - 100, NOW_S + 3500)), REFUSAL_NONE);
    assert_int_equal(read_json(with_times(NOW_S - 100, NOW_S + 3501)), REFUSAL_MALFORMED);
    assert_int_equal(read_json(with_times(NOW_S, NOW_S)), REFUSAL_MALFORMED);
    assert_int_equal(read_json(with_times(NOW_S, NOW_S - 1)), REFUSAL_MALFORMED);
    assert_int_equal(read_json(with_times(-1, 10)), REFUSAL_MALFORMED);
    assert_int_equal(read_json(with_times(INT64_MAX - 10, INT64_MAX)), REFUSAL_MALFORMED);
    assert_int_equal(read_json(with("iat", json_string("1795293200"))), REFUSAL_MALFORMED);
}

static void commands_are_short_plain_words(void **state) {
    (void)state;
    static const char *const wrong[] = {"", "a\nb", "caf\xc3\xa9", "0123456789012345678901234567890123456789"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(read_json(with("command", json_string(wrong[i]))), REFUSAL_MALFORMED);
}

static void every_refusal_has_its_word(void **state) {
    (void)state;
    for (enum refusal a = REFUSAL_UNKNOWN; a <= REFUSAL_FAILED; a++)
        for (enum refusal b = REFUSAL_UNKNOWN; b < a; b++)
            assert_string_not_equal(refusal_word(a), refusal_word(b));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_one_is_read_whole),
        cmocka_unit_test(each_member_is_required_and_no_other_allowed),
        cmocka_unit_test(what_is_no_strict_json_object_is_malformed),
        cmocka_unit_test(nonces_have_16_to_64_bytes),
        cmocka_unit_test(another_gateways_command_is_foreign),
        cmocka_unit_test(times_are_judged_to_the_second),
        cmocka_unit_test(commands_are_short_plain_words),
        cmocka_unit_test(every_refusal_has_its_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
