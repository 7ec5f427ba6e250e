// links: gateway/core/[!m]*.c gateway/config/*.c store/*.c drivers/plan.c gateway/common/*.c gateway/amqp/validity.c gateway/amqp/certificate.c
/* test_web.c - what nginx gets from core, and what clients that do not behave get. */
#include "core_fixture.h"
#include "gateway/common/clock.h"
#include "gateway/common/protocol.h"
#include "gateway/core/values.h"

#define CLIENTS_MAX 64 /* of web.c */
#define LARGE_TAGS 2000

static struct core_fixture *start(void **state) {
    struct core_fixture *fixture = *state;
    if (core_try(fixture) != FB_OK)
        fail_msg("%s", fixture->cause.text);
    return fixture;
}

static int ask(struct core_fixture *fixture, const char *method, const char *path) {
    char head[256] = "", request[300];
    size_t length = 0;
    const char *const parts[] = {"REQUEST_METHOD", method, "DOCUMENT_URI", path};
    for (size_t i = 0; i < 4; i++)
        length += (size_t)snprintf(head + length, sizeof head - length, "%s", parts[i]) + 1;
    size_t used = (size_t)snprintf(request, sizeof request, "%zu:", length);
    memcpy(request + used, head, length);
    used += length;
    request[used++] = ',';
    const int client = core_connect(fixture, PROTOCOL_WEB_SOCKET, SOCK_STREAM);
    assert_int_equal(send(client, request, used, MSG_NOSIGNAL), (ssize_t)used);
    core_settle(fixture);
    return client;
}

/* All that has come so far, as text. */
static size_t take(int client, char *ret_text, size_t size) {
    size_t used = 0;
    ssize_t got;
    while (used < size - 1 && (got = recv(client, ret_text + used, size - 1 - used, MSG_DONTWAIT)) > 0)
        used += (size_t)got;
    ret_text[used] = '\0';
    return used;
}

static void expect(struct core_fixture *fixture, const char *method, const char *path, const char *status,
                   const char *member) {
    static char text[65536];
    const int client = ask(fixture, method, path);
    take(client, text, sizeof text);
    assert_int_equal(strncmp(text, status, strlen(status)), 0);
    const char *body = strstr(text, "\r\n\r\n");
    assert_non_null(body);
    json_t *json = json_loads(body + 4, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json_object_get(json, member));
    json_decref(json);
    char byte;
    assert_int_equal(recv(client, &byte, 1, 0), 0); /* answered and done */
    close(client);
}

static void pages_are_answered_and_others_refused(void **state) {
    struct core_fixture *fixture = start(state);
    expect(fixture, "GET", "/api/status", "Status: 200 ", "gateway");
    expect(fixture, "HEAD", "/api/status", "Status: 200 ", "store");
    expect(fixture, "GET", "/api/values", "Status: 200 ", "values");
    expect(fixture, "GET", "/api/reload", "Status: 404 ", "cause");
    expect(fixture, "POST", "/api/status", "Status: 405 ", "cause");
    core_stop(&fixture->core);
}

static void what_is_no_request_is_refused(void **state) {
    struct core_fixture *fixture = start(state);
    char text[512];
    const int client = core_connect(fixture, PROTOCOL_WEB_SOCKET, SOCK_STREAM);
    assert_int_equal(send(client, "GET / HTTP/1.1\r\n", 16, 0), 16);
    core_settle(fixture);
    take(client, text, sizeof text);
    assert_int_equal(strncmp(text, "Status: 400 ", 12), 0);
    close(client);
    core_stop(&fixture->core);
}

static void half_requests_harm_nobody(void **state) {
    struct core_fixture *fixture = start(state);
    int clients[3];
    for (size_t i = 0; i < 3; i++)
        clients[i] = core_connect(fixture, PROTOCOL_WEB_SOCKET, SOCK_STREAM);
    assert_int_equal(send(clients[0], "24:REQ", 6, 0), 6);
    core_settle(fixture);
    assert_int_equal(shutdown(clients[0], SHUT_WR), 0);
    assert_int_equal(send(clients[1], "8", 1, 0), 1);
    core_settle(fixture);
    close(clients[1]);
    expect(fixture, "GET", "/api/status", "Status: 200 ", "gateway");
    char byte;
    assert_int_equal(recv(clients[0], &byte, 1, 0), 0);
    close(clients[0]);
    core_stop(&fixture->core); /* with one that never said anything */
    close(clients[2]);
}

static void too_many_clients_are_turned_away_until_some_leave(void **state) {
    struct core_fixture *fixture = start(state);
    int clients[CLIENTS_MAX + 1];
    char byte;
    for (size_t i = 0; i <= CLIENTS_MAX; i++) {
        clients[i] = core_connect(fixture, PROTOCOL_WEB_SOCKET, SOCK_STREAM);
        core_settle(fixture);
    }
    assert_int_equal(recv(clients[CLIENTS_MAX], &byte, 1, 0), 0);
    assert_int_equal(recv(clients[CLIENTS_MAX - 1], &byte, 1, 0), -1);
    close(clients[0]);
    core_settle(fixture);
    expect(fixture, "GET", "/api/status", "Status: 200 ", "gateway");
    for (size_t i = 1; i <= CLIENTS_MAX; i++)
        close(clients[i]);
    core_stop(&fixture->core);
}

static void take_value(struct core_fixture *fixture, float value) {
    const struct reading reading =
        reading_real32(fixture->core.config.plant.instruments[0].tags[0].number, INT64_C(1795293200000), 0, value);
    values_take(&fixture->core.values, &reading, clock_monotonic_ms());
}

static void the_event_stream_tells_all_first_and_then_what_changes(void **state) {
    struct core_fixture *fixture = start(state);
    static char text[65536];
    const int client = ask(fixture, "GET", "/api/events");
    take(client, text, sizeof text);
    assert_non_null(strstr(text, "Content-Type: text/event-stream\r\n"));
    assert_non_null(strstr(text, "\nevent: status\ndata: {\"gateway\""));
    assert_non_null(strstr(text, "\nevent: values\ndata: {\"values\":[{"));
    take_value(fixture, 0.42f);
    size_t used = 0;
    while (used == 0) {
        assert_true(sd_event_run(fixture->core.event, CORE_LIMIT_US) > 0);
        used = take(client, text, sizeof text);
    }
    assert_int_equal(strncmp(text, "event: values\n", 14), 0);
    assert_non_null(strstr(text, "\"value\":0.42,"));
    assert_string_equal(text + used - 2, "\n\n");
    close(client);
    core_settle(fixture);
    core_stop(&fixture->core);
}

/* A plant whose values do not fit into a socket's buffer. */
static void write_large_plant(struct core_fixture *fixture) {
    const size_t size = (size_t)LARGE_TAGS * 80 + 1024;
    char *text = malloc(size);
    size_t used = (size_t)snprintf(text, size, "%s",
                                   CORE_CONFIG "  - {name: large, bus: hall-1, unit: 2, interval: 1min,"
                                               " addresses: base-0, word_order: abcd, tags: [\n");
    for (int i = 0; i < LARGE_TAGS; i++)
        used +=
            (size_t)snprintf(text + used, size - used, "{name: coil-%d, table: coil, address: %d, type: bit},\n", i, i);
    snprintf(text + used, size - used, "]}\n");
    core_write(fixture, "forebay.yaml", text);
    free(text);
}

static void a_slow_reader_gets_a_large_answer_whole(void **state) {
    write_large_plant(*state);
    struct core_fixture *fixture = start(state);
    const size_t size = 4u * 1024 * 1024;
    char *text = malloc(size);
    const int client = ask(fixture, "GET", "/api/values");
    size_t used = 0, got;
    while ((got = take(client, text + used, 1000)) > 0) {
        used += got;
        core_settle(fixture);
    }
    json_t *json = json_loads(strstr(text, "\r\n\r\n") + 4, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(json, "values")), LARGE_TAGS + 1);
    json_decref(json);
    free(text);
    close(client);
    core_stop(&fixture->core);
}

static void a_page_that_does_not_read_does_not_hold_up_the_others(void **state) {
    write_large_plant(*state);
    struct core_fixture *fixture = start(state);
    static char text[65536];
    const int deaf = ask(fixture, "GET", "/api/events");
    const int client = ask(fixture, "GET", "/api/events");
    while (take(client, text, sizeof text) > 0)
        core_settle(fixture);
    for (int i = 0; i < 3; i++) {
        take_value(fixture, (float)i);
        while (take(client, text, sizeof text) == 0)
            assert_true(sd_event_run(fixture->core.event, CORE_LIMIT_US) > 0);
    }
    assert_int_equal(send(deaf, "x", 1, 0), 1); /* and breaks the rules, with much still waiting for it */
    core_settle(fixture);
    while (take(deaf, text, sizeof text) > 0) {
    }
    assert_int_equal(recv(deaf, text, 1, 0), 0);
    close(deaf);
    core_stop(&fixture->core); /* with a stream still open */
    close(client);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, core_setup, core_teardown)
    const struct CMUnitTest tests[] = {
        TEST(pages_are_answered_and_others_refused),
        TEST(what_is_no_request_is_refused),
        TEST(half_requests_harm_nobody),
        TEST(too_many_clients_are_turned_away_until_some_leave),
        TEST(the_event_stream_tells_all_first_and_then_what_changes),
        TEST(a_slow_reader_gets_a_large_answer_whole),
        TEST(a_page_that_does_not_read_does_not_hold_up_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
