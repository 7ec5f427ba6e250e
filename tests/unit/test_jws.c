// links: gateway/core/jws.c gateway/common/base64url.c gateway/common/error.c gateway/common/file.c
/* test_jws.c - which signed commands are opened, and that nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jws_maker.h"

#define PAYLOAD "{\"any\":1}"

struct keys {
    EVP_PKEY *ed, *ec, *stranger;
    struct jws_key pinned[2]; /* ed, ec */
};

static void pin(EVP_PKEY *key, struct jws_key *ret_key) {
    struct fb_cause cause;
    char *pem = maker_public_pem(key);
    assert_int_equal(jws_key_read(pem, strlen(pem), ret_key, &cause), FB_OK);
    free(pem);
}

static int make_keys(void **state) {
    struct keys *keys = calloc(1, sizeof *keys);
    keys->ed = maker_key(JWS_EDDSA);
    keys->ec = maker_key(JWS_ES256);
    keys->stranger = maker_key(JWS_EDDSA);
    pin(keys->ed, &keys->pinned[0]);
    pin(keys->ec, &keys->pinned[1]);
    *state = keys;
    return 0;
}

static int drop_keys(void **state) {
    struct keys *keys = *state;
    jws_key_done(&keys->pinned[0]);
    jws_key_done(&keys->pinned[1]);
    EVP_PKEY_free(keys->ed);
    EVP_PKEY_free(keys->ec);
    EVP_PKEY_free(keys->stranger);
    free(keys);
    return 0;
}

static enum fb_error open_text(const struct keys *keys, const char *text, size_t length, size_t *ret_key) {
    char *payload = NULL;
    size_t payload_length;
    struct fb_cause cause;
    const enum fb_error error =
        jws_open((const uint8_t *)text, length, keys->pinned, 2, &payload, &payload_length, ret_key, &cause);
    if (error == FB_OK) {
        assert_int_equal(payload_length, strlen(PAYLOAD));
        assert_string_equal(payload, PAYLOAD);
    }
    free(payload);
    return error;
}

/* Takes the text. */
static enum fb_error open_token(const struct keys *keys, char *text, size_t *ret_key) {
    const enum fb_error error = open_text(keys, text, strlen(text), ret_key);
    free(text);
    return error;
}

static void each_pinned_key_opens_what_it_has_signed(void **state) {
    const struct keys *keys = *state;
    size_t key;
    assert_int_equal(open_token(keys, maker_token(keys->ed, NULL, PAYLOAD, 9), &key), FB_OK);
    assert_int_equal(key, 0);
    for (int i = 0; i < 50; i++) { /* halves with leading zeros, too */
        assert_int_equal(open_token(keys, maker_token(keys->ec, NULL, PAYLOAD, 9), &key), FB_OK);
        assert_int_equal(key, 1);
    }
}

static void a_foreign_key_is_denied(void **state) {
    const struct keys *keys = *state;
    size_t key;
    assert_int_equal(open_token(keys, maker_token(keys->stranger, NULL, PAYLOAD, 9), &key), FB_DENIED);
}

static void the_key_decides_the_algorithm_and_the_header_must_agree(void **state) {
    const struct keys *keys = *state;
    size_t key;
    assert_int_equal(open_token(keys, maker_token(keys->ed, JWS_HEADER_ES256, PAYLOAD, 9), &key), FB_DENIED);
    assert_int_equal(open_token(keys, maker_token(keys->ec, JWS_HEADER_EDDSA, PAYLOAD, 9), &key), FB_DENIED);
}

static void any_other_header_is_refused_unparsed(void **state) {
    const struct keys *keys = *state;
    static const char *const others[] = {
        "{\"alg\":\"none\"}",
        "{\"alg\":\"EdDSA\"}",
        "{\"typ\":\"forebay-command\",\"alg\":\"EdDSA\"}",
        "{\"alg\":\"HS256\",\"typ\":\"forebay-command\"}",
        "{\"alg\":\"EdDSA\",\"typ\":\"forebay-command\",\"jwk\":{}}",
        "",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char header[128];
        size_t key;
        base64url_encode((const uint8_t *)others[i], strlen(others[i]), header);
        assert_int_equal(open_token(keys, maker_token(keys->ed, header, PAYLOAD, 9), &key), FB_INVALID);
    }
}

static void every_changed_character_is_refused(void **state) {
    const struct keys *keys = *state;
    for (int round = 0; round < 2; round++) {
        char *text = maker_token(round == 0 ? keys->ed : keys->ec, NULL, PAYLOAD, 9);
        for (size_t i = 0; text[i] != '\0'; i++) {
            const char was = text[i];
            size_t key;
            text[i] = was == 'A' ? 'B' : 'A';
            assert_int_not_equal(open_text(keys, text, strlen(text), &key), FB_OK);
            text[i] = was;
        }
        free(text);
    }
}

static void every_cut_and_every_addition_is_refused(void **state) {
    const struct keys *keys = *state;
    char *text = maker_token(keys->ed, NULL, PAYLOAD, 9);
    size_t key;
    for (size_t length = 0; length < strlen(text); length++)
        assert_int_not_equal(open_text(keys, text, length, &key), FB_OK);
    char *longer = malloc(strlen(text) + 2);
    static const char additions[] = {'A', '.', '=', '\n', '\0'};
    for (size_t i = 0; i < sizeof additions; i++) {
        const size_t length = strlen(text);
        memcpy(longer, text, length);
        longer[length] = additions[i];
        assert_int_not_equal(open_text(keys, longer, length + 1, &key), FB_OK);
    }
    free(longer);
    free(text);
}

static void too_many_bytes_are_refused(void **state) {
    const struct keys *keys = *state;
    static uint8_t payload[JWS_BYTES_MAX];
    char *text = maker_token(keys->ed, NULL, payload, sizeof payload);
    size_t key;
    assert_int_equal(open_token(keys, text, &key), FB_LIMIT);
}

static void only_public_keys_of_the_two_kinds_are_pinned(void **state) {
    (void)state;
    struct jws_key key;
    struct fb_cause cause;
    EVP_PKEY *others[] = {EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048), EVP_PKEY_Q_keygen(NULL, NULL, "X25519"),
                          EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"), EVP_PKEY_Q_keygen(NULL, NULL, "ED448")};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char *pem = maker_public_pem(others[i]);
        assert_int_equal(jws_key_read(pem, strlen(pem), &key, &cause), FB_INVALID);
        assert_string_equal(cause.text, "neither an Ed25519 key nor one of the curve P-256");
        free(pem);
        EVP_PKEY_free(others[i]);
    }
    assert_int_equal(jws_key_read("", 0, &key, &cause), FB_INVALID);
    assert_int_equal(jws_key_load("/nowhere/key.pem", &key, &cause), FB_NOT_FOUND);
}

static void base64url_has_one_way_to_write_each(void **state) {
    (void)state;
    uint8_t bytes[64], back[64];
    char text[BASE64URL_TEXT_BYTES(64)];
    size_t length;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + 251);
    for (size_t i = 0; i <= sizeof bytes; i++) {
        base64url_encode(bytes, i, text);
        assert_int_equal(strlen(text) + 1, BASE64URL_TEXT_BYTES(i));
        assert_true(base64url_decode(text, strlen(text), back, &length));
        assert_int_equal(length, i);
        assert_memory_equal(back, bytes, i);
    }
    static const char *const wrong[] = {"A", "AB", "AAB", "AA==", "A+AA", "A/AA", "AA A", "\xc3\xa9", "AAAAB"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(base64url_decode(wrong[i], strlen(wrong[i]), back, &length));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_pinned_key_opens_what_it_has_signed),
        cmocka_unit_test(a_foreign_key_is_denied),
        cmocka_unit_test(the_key_decides_the_algorithm_and_the_header_must_agree),
        cmocka_unit_test(any_other_header_is_refused_unparsed),
        cmocka_unit_test(every_changed_character_is_refused),
        cmocka_unit_test(every_cut_and_every_addition_is_refused),
        cmocka_unit_test(too_many_bytes_are_refused),
        cmocka_unit_test(only_public_keys_of_the_two_kinds_are_pinned),
        cmocka_unit_test(base64url_has_one_way_to_write_each),
    };
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
