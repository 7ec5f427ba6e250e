// links: gateway/receive/endpoint.c gateway/common/error.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/receive/endpoint.h"

static void addresses_to_listen_on(void **state) {
    (void)state;
    static const struct {
        const char *text, *host;
        int port; /* -1: refused */
    } cases[] = {
        {"127.0.0.1:5671", "127.0.0.1", 5671},
        {"[::1]:0", "::1", 0},
        {"0.0.0.0:65535", "0.0.0.0", 65535},
        {"127.0.0.1", NULL, -1},
        {"127.0.0.1:", NULL, -1},
        {":5671", NULL, -1},
        {"127.0.0.1:65536", NULL, -1},
        {"127.0.0.1:12x", NULL, -1},
        {"127.0.0.1:-1", NULL, -1},
        {"127.0.0.1:000005671", NULL, -1},
        {"[::1:5671", NULL, -1},
        {"[]:5671", NULL, -1},
        {"[::1]5671", NULL, -1},
        {"", NULL, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct endpoint endpoint;
        struct fb_cause cause;
        const enum fb_error error = endpoint_parse_listen(cases[i].text, &endpoint, &cause);
        if (cases[i].port < 0) {
            assert_int_equal(error, FB_INVALID);
            assert_non_null(strstr(cause.text, "such as 127.0.0.1:5671"));
            continue;
        }
        assert_int_equal(error, FB_OK);
        assert_string_equal(endpoint.host, cases[i].host);
        assert_int_equal(endpoint.port, cases[i].port);
        assert_string_equal(endpoint.address, "");
    }
}

static void queues_to_fetch_from(void **state) {
    (void)state;
    static const struct {
        const char *text, *host, *address;
        int port;
    } cases[] = {
        {"amqps://broker.example/queues/readings", "broker.example", "/queues/readings", 5671},
        {"amqps://broker.example:5672/queues/a%20b", "broker.example", "/queues/a%20b", 5672},
        {"amqps://[2001:db8::1]:7/q", "2001:db8::1", "/q", 7},
        {"amqps://broker.example", NULL, NULL, -1},
        {"amqps://broker.example/", NULL, NULL, -1},
        {"amqp://broker.example/queues/readings", NULL, NULL, -1},
        {"amqps:///queues/readings", NULL, NULL, -1},
        {"amqps://broker.example:0/q", NULL, NULL, -1},
        {"amqps://broker.example:99999/q", NULL, NULL, -1},
        {"amqps://user@broker.example/q", NULL, NULL, -1},
        {"amqps://broker.example?q", NULL, NULL, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct endpoint endpoint;
        struct fb_cause cause;
        const enum fb_error error = endpoint_parse_from(cases[i].text, &endpoint, &cause);
        if (cases[i].port < 0) {
            assert_int_equal(error, FB_INVALID);
            assert_non_null(strstr(cause.text, "such as amqps://"));
            continue;
        }
        assert_int_equal(error, FB_OK);
        assert_string_equal(endpoint.host, cases[i].host);
        assert_string_equal(endpoint.address, cases[i].address);
        assert_int_equal(endpoint.port, cases[i].port);
    }
}

static void too_long_is_refused(void **state) {
    (void)state;
    char text[2 * ENDPOINT_TEXT_MAX] = "amqps://";
    struct endpoint endpoint;
    memset(text + 8, 'a', ENDPOINT_TEXT_MAX);
    strcpy(text + 8 + ENDPOINT_TEXT_MAX, "/q");
    assert_int_equal(endpoint_parse_from(text, &endpoint, NULL), FB_INVALID);
    strcpy(text, "amqps://b/");
    memset(text + 10, 'a', ENDPOINT_TEXT_MAX);
    text[10 + ENDPOINT_TEXT_MAX] = '\0';
    assert_int_equal(endpoint_parse_from(text, &endpoint, NULL), FB_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_to_listen_on),
        cmocka_unit_test(queues_to_fetch_from),
        cmocka_unit_test(too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
