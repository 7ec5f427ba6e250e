// links: gateway/amqp/sas_token.c gateway/amqp/put_token.c gateway/common/error.c gateway/common/cloud_profile.c
#include <proton/codec.h>
#include <proton/message.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/amqp/put_token.h"
#include "gateway/amqp/sas_token.h"
#include "gateway/common/cloud_profile.h"

/* What Python's hmac, base64 and urllib make of the same, as Azure's documentation shows it. */
static void a_device_token_is_what_the_documentation_makes(void **state) {
    (void)state;
    uint8_t key[SAS_TOKEN_KEY_MAX];
    size_t length;
    char token[SAS_TOKEN_MAX];
    static const char text[] = "  MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\r\n";
    assert_int_equal(sas_token_key(text, strlen(text), true, key, &length, NULL), FB_OK);
    assert_int_equal(length, 32);
    assert_memory_equal(key, "0123456789abcdef0123456789abcdef", 32);
    assert_int_equal(sas_token_make(key, length, "hub.azure-devices.net/devices/works-1", "", 1795296790, token, NULL),
                     FB_OK);
    assert_string_equal(
        token, "SharedAccessSignature "
               "sr=hub.azure-devices.net%2Fdevices%2Fworks-1&sig=RoocyHmY%2F6F%2FvqX8v%2F2bCBL3lfEQsaqRcHSMHLiBJ2k%3D"
               "&se=1795296790");
}

static void a_policys_token_names_it_and_takes_the_key_as_it_stands(void **state) {
    (void)state;
    uint8_t key[SAS_TOKEN_KEY_MAX];
    size_t length;
    char token[SAS_TOKEN_MAX];
    static const char text[] = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n";
    assert_int_equal(sas_token_key(text, strlen(text), false, key, &length, NULL), FB_OK);
    assert_int_equal(length, strlen(text) - 1);
    assert_int_equal(
        sas_token_make(key, length, "sb://ns.servicebus.windows.net/readings", "send", 1795296790, token, NULL), FB_OK);
    assert_string_equal(
        token,
        "SharedAccessSignature "
        "sr=sb%3A%2F%2Fns.servicebus.windows.net%2Freadings&sig=0USj496B3kpY6sZz7%2BetwP7pQNAvgtFsRJvwpO%2FHrNs%3D"
        "&se=1795296790&skn=send");
}

static void a_file_without_a_usable_key_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool base64;
        const char *cause;
    } cases[] = {
        {"", true, "holds no key"},
        {" \n\t", false, "holds no key"},
        {"abc", true, "not base64"},
        {"MDEy$TQ1", true, "not base64"},
        {"====", true, "not base64"},
        {"MDEy MTQ", true, "not base64"},
        {"one\ntwo", false, "must hold one line"},
    };
    uint8_t key[SAS_TOKEN_KEY_MAX];
    size_t length;
    struct fb_cause cause;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(sas_token_key(cases[i].text, strlen(cases[i].text), cases[i].base64, key, &length, &cause),
                         FB_INVALID);
        assert_non_null(strstr(cause.text, cases[i].cause));
    }
    char long_one[2 * SAS_TOKEN_KEY_MAX];
    memset(long_one, 'A', sizeof long_one);
    assert_int_equal(sas_token_key(long_one, sizeof long_one, true, key, &length, &cause), FB_INVALID);
    assert_int_equal(sas_token_key(long_one, sizeof long_one, false, key, &length, &cause), FB_INVALID);
    assert_int_equal(sas_token_key(long_one, SAS_TOKEN_KEY_MAX, false, key, &length, &cause), FB_OK);
}

static void a_resource_too_long_for_a_token_is_refused(void **state) {
    (void)state;
    char resource[SAS_TOKEN_MAX], token[SAS_TOKEN_MAX];
    memset(resource, '/', sizeof resource - 1);
    resource[sizeof resource - 1] = '\0';
    assert_int_equal(sas_token_make((const uint8_t *)"k", 1, resource, "", 1, token, NULL), FB_LIMIT);
    resource[600] = '\0'; /* encoded it fits, but leaves no room for the rest */
    memset(resource, 'a', 100);
    assert_int_equal(sas_token_make((const uint8_t *)"k", 1, resource, resource, 1, token, NULL), FB_LIMIT);
}

static void assert_property(pn_data_t *properties, const char *name, const char *value) {
    assert_true(pn_data_next(properties));
    const pn_bytes_t got = pn_data_get_string(properties);
    assert_int_equal(got.size, strlen(name));
    assert_memory_equal(got.start, name, got.size);
    assert_true(pn_data_next(properties));
    if (value == NULL)
        return;
    const pn_bytes_t text = pn_data_get_string(properties);
    assert_int_equal(text.size, strlen(value));
    assert_memory_equal(text.start, value, text.size);
}

static void the_request_is_as_the_protocol_guide_says(void **state) {
    (void)state;
    char *bytes;
    size_t length;
    assert_int_equal(put_token_request("the token", "hub/devices/d", 1795296790000, &bytes, &length, NULL), FB_OK);
    pn_message_t *parts = pn_message();
    assert_int_equal(pn_message_decode(parts, bytes, length), 0);
    assert_string_equal(pn_message_get_address(parts), "$cbs");
    assert_string_equal(pn_message_get_reply_to(parts), "cbs");
    pn_data_t *properties = pn_message_properties(parts), *body = pn_message_body(parts);
    pn_data_next(properties);
    assert_int_equal(pn_data_get_map(properties), 8);
    pn_data_enter(properties);
    assert_property(properties, "operation", "put-token");
    assert_property(properties, "type", "servicebus.windows.net:sastoken");
    assert_property(properties, "name", "hub/devices/d");
    assert_property(properties, "expiration", NULL);
    assert_int_equal(pn_data_type(properties), PN_TIMESTAMP);
    assert_true(pn_data_get_timestamp(properties) == 1795296790000);
    assert_false(pn_message_is_inferred(parts));
    pn_data_next(body);
    assert_int_equal(pn_data_type(body), PN_STRING);
    assert_memory_equal(pn_data_get_string(body).start, "the token", 9);
    pn_message_free(parts);
    free(bytes);
}

/* An answer with this code, as an int or a long, and description. */
static char *make_answer(const char *code_name, bool is_long, int64_t code, const char *description, size_t *length) {
    pn_message_t *parts = pn_message();
    pn_data_t *properties = pn_message_properties(parts);
    pn_rwbytes_t buffer = {0};
    pn_data_put_map(properties);
    pn_data_enter(properties);
    pn_data_put_string(properties, pn_bytes(strlen(code_name), code_name));
    if (is_long)
        pn_data_put_long(properties, code);
    else
        pn_data_put_int(properties, (int32_t)code);
    pn_data_put_string(properties, pn_bytes(18, "status-description"));
    pn_data_put_string(properties, pn_bytes(strlen(description), description));
    pn_data_exit(properties);
    *length = (size_t)pn_message_encode2(parts, &buffer);
    pn_message_free(parts);
    return buffer.start;
}

static void the_answer_gives_code_and_description(void **state) {
    (void)state;
    static const char *const names[] = {"status-code", "statusCode"};
    for (int i = 0; i < 4; i++) {
        struct put_token_answer answer;
        size_t length;
        char *bytes = make_answer(names[i / 2], i % 2 != 0, 401, "Unauthor\x01ized", &length);
        assert_int_equal(put_token_answer(bytes, length, &answer, NULL), FB_OK);
        assert_int_equal(answer.code, 401);
        assert_string_equal(answer.description, "Unauthor ized");
        free(bytes);
    }
}

static void an_answer_without_a_code_is_none(void **state) {
    (void)state;
    struct put_token_answer answer = {.code = 7};
    size_t length;
    char *bytes = make_answer("code", false, 200, "", &length);
    assert_int_equal(put_token_answer(bytes, length, &answer, NULL), FB_INVALID);
    for (size_t cut = 0; cut < length; cut++) {
        char *copy = malloc(cut + 1); /* exact, so that reading past it is seen */
        memcpy(copy, bytes, cut);
        assert_int_equal(put_token_answer(copy, cut, &answer, NULL), FB_INVALID);
        free(copy);
    }
    assert_int_equal(answer.code, 7);
    free(bytes);
}

static void addresses_and_audiences_follow_the_profile(void **state) {
    (void)state;
    const struct cloud_profile *iothub = cloud_profile(CLOUD_AZURE_IOTHUB),
                               *hubs = cloud_profile(CLOUD_AZURE_EVENTHUBS);
    char text[80];
    assert_true(cloud_address(iothub->address, "works-1", NULL, text, sizeof text));
    assert_string_equal(text, "/devices/works-1/messages/events");
    assert_true(cloud_audience(iothub, "hub.example", text, text, sizeof text));
    assert_string_equal(text, "hub.example/devices/works-1");
    assert_true(cloud_audience(hubs, "ns.example", "readings", text, sizeof text));
    assert_string_equal(text, "sb://ns.example/readings");
    assert_true(cloud_address("/exchanges/{gateway}/{kind}", "w", "senml", text, sizeof text));
    assert_string_equal(text, "/exchanges/w/senml");
    assert_true(cloud_address("{gateway}{kind}", "w", NULL, text, sizeof text));
    assert_string_equal(text, "w{kind}");
    assert_false(cloud_address("/exchanges/{gateway}", "works-1", NULL, text, 18));
    assert_true(cloud_address("/exchanges/{gateway}", "works-1", NULL, text, 19));
    assert_true(cloud_template_valid("/queues/{gateway}") && cloud_template_valid("") &&
                cloud_template_valid("{kind}"));
    assert_false(cloud_template_valid("/queues/{Gateway}") || cloud_template_valid("a}") ||
                 cloud_template_valid("{{kind}"));
    assert_true(cloud_address_varies("/e/{kind}") && !cloud_address_varies("/e/kind"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_token_is_what_the_documentation_makes),
        cmocka_unit_test(a_policys_token_names_it_and_takes_the_key_as_it_stands),
        cmocka_unit_test(a_file_without_a_usable_key_is_refused),
        cmocka_unit_test(a_resource_too_long_for_a_token_is_refused),
        cmocka_unit_test(the_request_is_as_the_protocol_guide_says),
        cmocka_unit_test(the_answer_gives_code_and_description),
        cmocka_unit_test(an_answer_without_a_code_is_none),
        cmocka_unit_test(addresses_and_audiences_follow_the_profile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
