// links: gateway/core/scgi.c gateway/common/error.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "gateway/core/scgi.h"

struct text {
    char bytes[2 * SCGI_HEAD_BYTES_MAX];
    size_t length;
};

static void add(struct text *head, const char *name, const char *value) {
    head->length += (size_t)snprintf(head->bytes + head->length, sizeof head->bytes - head->length, "%s", name) + 1;
    head->length += (size_t)snprintf(head->bytes + head->length, sizeof head->bytes - head->length, "%s", value) + 1;
}

/* The netstring around the head. */
static struct text packed(const struct text *head) {
    struct text request;
    request.length = (size_t)snprintf(request.bytes, sizeof request.bytes, "%zu:", head->length);
    memcpy(request.bytes + request.length, head->bytes, head->length);
    request.length += head->length;
    request.bytes[request.length++] = ',';
    return request;
}

static struct text ask(const char *method, const char *path) {
    struct text head = {.length = 0};
    add(&head, "CONTENT_LENGTH", "0");
    add(&head, "SCGI", "1");
    add(&head, "REQUEST_METHOD", method);
    add(&head, "DOCUMENT_URI", path);
    add(&head, "QUERY_STRING", "");
    return packed(&head);
}

static void a_request_is_its_method_and_path(void **state) {
    (void)state;
    const struct text request = ask("GET", "/api/status");
    struct scgi_request parsed;
    assert_int_equal(scgi_parse(request.bytes, request.length, &parsed), FB_OK);
    assert_string_equal(parsed.method, "GET");
    assert_string_equal(parsed.path, "/api/status");
}

static void what_follows_the_head_is_left_alone(void **state) {
    (void)state;
    struct text request = ask("POST", "/api/status");
    memcpy(request.bytes + request.length, "body", 4);
    struct scgi_request parsed;
    assert_int_equal(scgi_parse(request.bytes, request.length + 4, &parsed), FB_OK);
    assert_string_equal(parsed.method, "POST");
}

static void every_part_of_a_request_asks_for_more(void **state) {
    (void)state;
    const struct text request = ask("GET", "/api/status");
    struct scgi_request parsed = {.method = "untouched"};
    for (size_t length = 0; length < request.length; length++)
        assert_int_equal(scgi_parse(request.bytes, length, &parsed), FB_AGAIN);
    assert_string_equal(parsed.method, "untouched");
}

static enum fb_error parse(const char *bytes, size_t length) {
    struct scgi_request parsed;
    return scgi_parse(bytes, length, &parsed);
}

static void what_is_no_netstring_is_refused_at_once(void **state) {
    (void)state;
    assert_int_equal(parse("GET / HTTP/1.1", 14), FB_INVALID);
    assert_int_equal(parse(":", 1), FB_INVALID);
    assert_int_equal(parse("-1:", 3), FB_INVALID);
    assert_int_equal(parse("99999", 5), FB_INVALID);
    assert_int_equal(parse("8193:", 5), FB_LIMIT);
    assert_int_equal(parse("0:,", 3), FB_INVALID);
    assert_int_equal(parse("3:a\0b;", 6), FB_INVALID);
}

static void names_and_values_must_end_in_pairs(void **state) {
    (void)state;
    assert_int_equal(parse("2:ab,", 5), FB_INVALID);
    assert_int_equal(parse("2:a\0,", 5), FB_INVALID);
    assert_int_equal(parse("3:a\0b,", 6), FB_INVALID);
    assert_int_equal(parse("4:a\0b\0,", 7), FB_INVALID); /* neither method nor path */
}

static void method_and_path_must_be_there_and_fit(void **state) {
    (void)state;
    struct text request = ask("", "/");
    assert_int_equal(parse(request.bytes, request.length), FB_INVALID);
    request = ask("GET", "api");
    assert_int_equal(parse(request.bytes, request.length), FB_INVALID);
    char far[SCGI_PATH_MAX + 1];
    memset(far, '/', sizeof far);
    far[SCGI_PATH_MAX] = '\0';
    request = ask("GET", far);
    assert_int_equal(parse(request.bytes, request.length), FB_LIMIT);
    far[SCGI_PATH_MAX - 1] = '\0';
    request = ask("GET", far);
    assert_int_equal(parse(request.bytes, request.length), FB_OK);
    request = ask("ABCDEFGHIJKLMNOP", "/");
    assert_int_equal(parse(request.bytes, request.length), FB_LIMIT);
}

static void the_largest_head_is_taken(void **state) {
    (void)state;
    struct text head = {.length = 0};
    add(&head, "REQUEST_METHOD", "GET");
    add(&head, "DOCUMENT_URI", "/");
    char filler[SCGI_HEAD_BYTES_MAX];
    const size_t left = SCGI_HEAD_BYTES_MAX - head.length - 3;
    memset(filler, 'x', left);
    filler[left] = '\0';
    add(&head, "X", filler);
    assert_int_equal(head.length, SCGI_HEAD_BYTES_MAX);
    const struct text request = packed(&head);
    assert_int_equal(parse(request.bytes, request.length), FB_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_its_method_and_path),
        cmocka_unit_test(what_follows_the_head_is_left_alone),
        cmocka_unit_test(every_part_of_a_request_asks_for_more),
        cmocka_unit_test(what_is_no_netstring_is_refused_at_once),
        cmocka_unit_test(names_and_values_must_end_in_pairs),
        cmocka_unit_test(method_and_path_must_be_there_and_fit),
        cmocka_unit_test(the_largest_head_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
