// links: gateway/common/pin.c gateway/common/pkcs11_uri.c gateway/common/error.c
/* Pins and PKCS#11 URIs as people write them: one way for each, and words for every other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/common/pin.h"
#include "gateway/common/pkcs11_uri.h"

#define MODULE "?module-path=/usr/lib/softhsm/libsofthsm2.so"

/* SHA-256 of nothing (FIPS 180-4 test vector), its base64 by openssl. */
static const uint8_t of_nothing[PIN_BYTES] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4,
                                              0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
                                              0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};
static const char of_nothing_text[] = "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

static void a_pin_is_read_and_written(void **state) {
    (void)state;
    uint8_t pin[PIN_BYTES];
    char text[PIN_TEXT_MAX];
    struct fb_cause cause;
    assert_int_equal(pin_read(of_nothing_text, pin, &cause), FB_OK);
    assert_memory_equal(pin, of_nothing, sizeof pin);
    pin_write(pin, text);
    assert_string_equal(text, of_nothing_text);
    memset(pin, 0xff, sizeof pin);
    pin_write(pin, text);
    assert_string_equal(text, "sha256://////////////////////////////////////////8=");
}

static void what_is_no_pin_is_refused(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",
        "sha256:",
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "sha1:7DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=xx",
        "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU==",
        "sha256:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=", /* base64url */
        "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=", /* bits behind the last byte */
        "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSu==F",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint8_t pin[PIN_BYTES] = {7};
        struct fb_cause cause;
        assert_int_equal(pin_read(wrong[i], pin, &cause), FB_INVALID);
        assert_int_equal(pin[0], 7);
        assert_non_null(strstr(cause.text, "is no pin; give sha256:"));
    }
}

static void a_uri_gives_object_and_module(void **state) {
    (void)state;
    struct pkcs11_uri uri;
    struct fb_cause cause;
    assert_int_equal(pkcs11_uri_read("pkcs11:token=My%20plant;object=gateway" MODULE, &uri, &cause), FB_OK);
    assert_string_equal(uri.object, "pkcs11:token=My%20plant;object=gateway;type=private");
    assert_string_equal(uri.module, "/usr/lib/softhsm/libsofthsm2.so");
    assert_int_equal(pkcs11_uri_read("pkcs11:id=%01%FF;type=private?module-path=/opt/a%20b.so", &uri, &cause), FB_OK);
    assert_string_equal(uri.object, "pkcs11:id=%01%FF;type=private");
    assert_string_equal(uri.module, "/opt/a b.so");
}

static void a_wrong_uri_is_refused_with_what_is_wrong(void **state) {
    (void)state;
    static const struct {
        const char *uri, *text;
    } wrong[] = {
        {"file:key.pem", "does not begin with pkcs11:"},
        {"pkcs11:" MODULE, "must name the key"},
        {"pkcs11:token=plant" MODULE, "must name the key"},
        {"pkcs11:object=a", "must end with ?module-path=PATH"},
        {"pkcs11:object=a?module-path=lib.so", "must end with ?module-path=PATH"},
        {"pkcs11:object=a?module-path=", "no usable value for module-path"},
        {"pkcs11:object=a?module-name=x", "may have one attribute behind"},
        {"pkcs11:object=a" MODULE "&module-path=/x", "may have one attribute behind"},
        {"pkcs11:object=a?pin-value=4711&module-path=/x", "must not hold the PIN"},
        {"pkcs11:object=a?pin-source=file:/pin&module-path=/x", "must not hold the PIN"},
        {"pkcs11:object=a;object=b" MODULE, "has the attribute object twice"},
        {"pkcs11:object=a;colour=red" MODULE, "that RFC 7512 does not know"},
        {"pkcs11:object=a;" MODULE, NULL},
        {"pkcs11:object=a;;id=%01" MODULE, "that RFC 7512 does not know"},
        {"pkcs11:object" MODULE, "no usable value for object"},
        {"pkcs11:object=" MODULE, "no usable value for object"},
        {"pkcs11:object=a b" MODULE, "no usable value for object"},
        {"pkcs11:object=a%2" MODULE, "no usable value for object"},
        {"pkcs11:object=a%zz" MODULE, "no usable value for object"},
        {"pkcs11:object=a%00b" MODULE, "no usable value for object"},
        {"pkcs11:object=\303\266" MODULE, "no usable value for object"},
        {"pkcs11:object=a;type=public" MODULE, "names another type than private"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct pkcs11_uri uri;
        struct fb_cause cause = {""};
        const enum fb_error error = pkcs11_uri_read(wrong[i].uri, &uri, &cause);
        assert_int_equal(error, wrong[i].text == NULL ? FB_OK : FB_INVALID);
        if (wrong[i].text != NULL && strstr(cause.text, wrong[i].text) == NULL)
            fail_msg("%s: expected \"%s\", got \"%s\"", wrong[i].uri, wrong[i].text, cause.text);
        assert_null(strstr(cause.text, "4711"));
    }
}

static void a_uri_of_more_than_its_limit_is_refused(void **state) {
    (void)state;
    char text[2 * PKCS11_URI_MAX] = "pkcs11:object=";
    struct pkcs11_uri uri;
    struct fb_cause cause;
    memset(text + strlen(text), 'a', PKCS11_URI_MAX);
    strcat(text, MODULE);
    assert_int_equal(pkcs11_uri_read(text, &uri, &cause), FB_INVALID);
    assert_non_null(strstr(cause.text, "bytes long; allowed are at most"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pin_is_read_and_written),
        cmocka_unit_test(what_is_no_pin_is_refused),
        cmocka_unit_test(a_uri_gives_object_and_module),
        cmocka_unit_test(a_wrong_uri_is_refused_with_what_is_wrong),
        cmocka_unit_test(a_uri_of_more_than_its_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
