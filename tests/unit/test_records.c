// links: gateway/core/[!m]*.c gateway/config/*.c store/*.c drivers/plan.c gateway/common/*.c gateway/amqp/validity.c gateway/amqp/certificate.c
/* test_records.c - what core keeps beside readings, as its control API tells it. */
#include "core_fixture.h"
#include "gateway/common/hex.h"
#include "gateway/core/record_calls.h"
#include "gateway/core/records.h"

static void start(struct core_fixture *fixture) {
    if (core_try(fixture) != FB_OK)
        fail_msg("%s", fixture->cause.text);
}

/* The lock lives as long as the process, which goes on here. */
static void restart(struct core_fixture *fixture) {
    core_stop(&fixture->core);
    unlink(core_path(fixture, "data/store.lock"));
    start(fixture);
}

static json_t *call(struct core_fixture *fixture,
                    enum fb_error (*function)(struct core *, const json_t *, struct text *, struct fb_cause *),
                    json_t *request) {
    struct text text = {0};
    if (function(&fixture->core, request, &text, &fixture->cause) != FB_OK)
        fail_msg("%s", fixture->cause.text);
    json_t *answer = json_loadb(text.data, text.used, 0, NULL);
    assert_non_null(answer);
    text_done(&text);
    json_decref(request);
    return answer;
}

static json_t *list(struct core_fixture *fixture, const char *kind, int after) {
    return call(fixture, record_call_list, json_pack("{s:s, s:i}", "call", kind, "after", after));
}

static const char *word(const json_t *answer, size_t index, const char *key) {
    const json_t *record = json_array_get(json_object_get(answer, "records"), index);
    return json_string_value(json_object_get(record, key));
}

static size_t count(const json_t *answer) {
    return json_array_size(json_object_get(answer, "records"));
}

static void audit_and_events_survive_a_restart(void **state) {
    struct core_fixture *fixture = *state;
    start(fixture);
    records_audit(&fixture->core, "alice", "reload", "done", json_pack("{s:s}", "reason", "new pump"));
    records_event(&fixture->core, RECORDS_WARNING, "link-down", NULL);
    records_attempt(&fixture->core, json_pack("{s:s}", "step", "tcp"));
    records_proof(&fixture->core, 17, json_pack("{s:s}", "display", "0.42"));
    restart(fixture);
    json_t *audit = list(fixture, "audit", 0), *proofs = list(fixture, "proofs", 0);
    assert_string_equal(word(audit, 0, "who"), "alice");
    assert_string_equal(word(audit, 0, "action"), "reload");
    assert_string_equal(word(audit, 0, "outcome"), "done");
    assert_int_equal(json_integer_value(json_object_get(audit, "last")), 1);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(json_object_get(proofs, "records"), 0), "tag")),
                     17);
    json_decref(audit);
    json_decref(proofs);
    json_t *attempts = list(fixture, "attempts", 0);
    assert_string_equal(word(attempts, 0, "step"), "tcp");
    json_decref(attempts);
    core_stop(&fixture->core);
}

static void what_happens_again_and_again_is_counted(void **state) {
    struct core_fixture *fixture = *state;
    start(fixture);
    json_t *before = list(fixture, "events", 0);
    for (int i = 0; i < 500; i++)
        records_event(&fixture->core, RECORDS_WARNING, "bus-down", json_pack("{s:i}", "i", i));
    json_t *after = list(fixture, "events", (int)count(before));
    assert_int_equal(count(after), 30);
    restart(fixture); /* what was held is told at the latest now */
    json_t *held = list(fixture, "events", (int)(count(before) + count(after)));
    json_t *record = NULL;
    size_t i;
    bool found = false;
    json_array_foreach(json_object_get(held, "records"), i, record) found |=
        json_integer_value(json_object_get(record, "more")) == 469;
    assert_true(found);
    json_decref(before);
    json_decref(after);
    json_decref(held);
    core_stop(&fixture->core);
}

static void what_is_too_long_or_no_text_is_kept_without_or_counted(void **state) {
    struct core_fixture *fixture = *state;
    start(fixture);
    char long_text[8000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    records_audit(&fixture->core, "alice", "trace", "done", json_pack("{s:s}", "text", long_text));
    records_audit(&fixture->core, "\xff", "trace", "done", NULL);
    json_t *audit = list(fixture, "audit", 0);
    assert_int_equal(count(audit), 1);
    assert_string_equal(word(audit, 0, "details"), "too long to be kept");
    json_t *status = records_to_json(fixture->core.records);
    assert_int_equal(json_integer_value(json_object_get(status, "dropped")), 1);
    json_decref(status);
    json_decref(audit);
    core_stop(&fixture->core);
}

static void configurations_come_back_as_they_were(void **state) {
    struct core_fixture *fixture = *state;
    static const char document[] = "gateway: {name: other}\n# caf\xc3\xa9\n";
    start(fixture);
    json_t *before = list(fixture, "configurations", 0);
    const int last = (int)json_integer_value(json_object_get(before, "last"));
    for (int i = 0; i < 2; i++) /* the same once more is none */
        records_configuration(&fixture->core, "alice", "new pump", document, sizeof document - 1);
    restart(fixture);
    records_configuration(&fixture->core, "bob", "", "b", 1);
    json_t *after = list(fixture, "configurations", last);
    assert_string_equal(word(after, 0, "author"), "alice");
    assert_string_equal(word(after, 0, "reason"), "new pump");
    assert_null(word(after, 0, "document"));
    json_t *one = call(fixture, record_call_configuration, json_pack("{s:i}", "number", last + 1));
    assert_string_equal(json_string_value(json_object_get(one, "document")), document);
    json_decref(one);
    json_decref(before);
    json_decref(after);
    json_t *request = json_pack("{s:i}", "number", 1000);
    struct text text = {0};
    assert_int_equal(record_call_configuration(&fixture->core, request, &text, &fixture->cause), FB_NOT_FOUND);
    json_decref(request);
    text_done(&text);
    core_stop(&fixture->core);
}

/* The bodies with "exact" are those that the hashes were made of. */
static void the_chain_can_be_checked_from_outside(void **state) {
    struct core_fixture *fixture = *state;
    start(fixture);
    for (int i = 0; i < 5; i++)
        records_audit(&fixture->core, "alice", "reload", "done", json_pack("{s:f}", "x", 0.1 * i));
    json_t *answer =
        call(fixture, record_call_list, json_pack("{s:s, s:b, s:i}", "call", "audit", "exact", 1, "limit", 4));
    assert_int_equal(count(answer), 4);
    uint8_t head[RECORD_HASH_BYTES] = {0};
    for (size_t i = 0; i < 4; i++) {
        uint8_t previous[RECORD_HASH_BYTES];
        const json_t *record = json_array_get(json_object_get(answer, "records"), i);
        assert_true(hex_decode(word(answer, i, "previous"), previous, sizeof previous));
        assert_memory_equal(previous, head, sizeof head);
        const char *body = word(answer, i, "body");
        assert_true(record_hash(previous, STORE_RECORD_AUDIT, i + 1,
                                json_integer_value(json_object_get(record, "time_ms")), body, strlen(body), head));
    }
    json_decref(answer);
    core_stop(&fixture->core);
}

static void calls_that_ask_for_nothing_sensible_are_refused(void **state) {
    struct core_fixture *fixture = *state;
    static const char *const requests[] = {
        "{\"call\":\"audit\",\"after\":-1}",
        "{\"call\":\"audit\",\"after\":\"x\"}",
        "{\"call\":\"audit\",\"limit\":0}",
        "{\"call\":\"audit\",\"limit\":1001}",
        "{\"call\":\"audit\",\"after\":1e300}",
        "{\"call\":\"configurations\",\"exact\":true}",
        "{\"call\":\"audit\",\"after\":9223372036854775807}",
    };
    start(fixture);
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        json_t *request = json_loads(requests[i], 0, NULL);
        struct text text = {0};
        assert_int_equal(record_call_list(&fixture->core, request, &text, &fixture->cause), FB_INVALID);
        text_done(&text);
        json_decref(request);
    }
    core_stop(&fixture->core);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, core_setup, core_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(audit_and_events_survive_a_restart),
        TEST(what_happens_again_and_again_is_counted),
        TEST(what_is_too_long_or_no_text_is_kept_without_or_counted),
        TEST(configurations_come_back_as_they_were),
        TEST(the_chain_can_be_checked_from_outside),
        TEST(calls_that_ask_for_nothing_sensible_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
