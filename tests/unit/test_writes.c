// links: gateway/core/[!m]*.c gateway/config/*.c store/*.c drivers/plan.c gateway/common/*.c gateway/amqp/validity.c gateway/amqp/certificate.c
/* Core's part of a write and of a proof: what is refused, what is in the audit, and that nothing goes out without it.
 */
#include "core_fixture.h"
#include "gateway/common/plant_meaning.h"
#include "gateway/core/proofs.h"
#include "gateway/core/record_calls.h"
#include "gateway/core/records.h"
#include "gateway/core/writes.h"

#define OPEN                                                                                                           \
    "gateway: {name: plant-1, data: data, run: run}\n"                                                                 \
    "store: {commit_interval: 100ms, quota: 16MB}\n"                                                                   \
    "buses: [{name: hall-1, kind: modbus-tcp, host: 127.0.0.1, port: 1502}]\n"                                         \
    "instruments:\n"                                                                                                   \
    "  - {name: pump, bus: hall-1, unit: 1, addresses: base-0, word_order: abcd, interval: 1s,\n"                      \
    "     writes: [{name: speed, address: 4, type: uint16, min: 1, max: 9}],\n"                                        \
    "     tags: [{name: a, table: holding, address: 0, type: float32, unit: NTU}]}\n"

static struct writes *start(struct core_fixture *fixture) {
    struct writes *writes;
    core_write(fixture, "forebay.yaml", OPEN);
    if (core_try(fixture) != FB_OK)
        fail_msg("%s", fixture->cause.text);
    fixture->core.caller = "alice";
    assert_int_equal(writes_new(&fixture->core, &writes, &fixture->cause), FB_OK);
    return writes;
}

static void stop(struct core_fixture *fixture, struct writes *writes) {
    writes_free(writes);
    core_stop(&fixture->core);
}

static json_t *make_request(const char *name, double value, const char *reason) {
    return json_pack("{s:s, s:s, s:s, s:f, s:s}", "call", "write", "instrument", "pump", "name", name, "value", value,
                     "reason", reason);
}

static enum fb_error begin(struct core_fixture *fixture, struct writes *writes, json_t *request) {
    const enum fb_error error = writes_begin(writes, request, 7, &fixture->cause);
    json_decref(request);
    return error;
}

/* The outcome of the audit's entry for a write, counted from the last; "" when there is none. */
static const char *outcome(struct core_fixture *fixture, size_t from_last) {
    static char text[256];
    struct text result = {0};
    json_t *request = json_pack("{s:s}", "call", "audit");
    assert_int_equal(record_call_list(&fixture->core, request, &result, &fixture->cause), FB_OK);
    json_decref(request);
    json_t *answer = json_loadb(result.data, result.used, 0, NULL);
    const json_t *records = json_object_get(answer, "records");
    const json_t *record = json_array_get(records, json_array_size(records) - 1 - from_last);
    const char *found = json_string_value(json_object_get(record, "outcome"));
    snprintf(text, sizeof text, "%s", found != NULL ? found : "");
    json_decref(answer);
    text_done(&result);
    return text;
}

static void what_makes_no_sense_is_refused_and_audited(void **state) {
    struct core_fixture *fixture = *state;
    struct writes *writes = start(fixture);
    static const struct {
        const char *name;
        double value;
        const char *reason;
        enum fb_error error;
        const char *words;
    } rows[] = {
        {"speed", 10, "why", FB_DENIED, "the configuration opens it for 1 to 9"},
        {"speed", 1.5, "why", FB_INVALID, "no whole number"},
        {"a", 5, "why", FB_DENIED, "opens no such register"},
        {"speed", 5, "", FB_INVALID, "reason: say why"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(begin(fixture, writes, make_request(rows[i].name, rows[i].value, rows[i].reason)),
                         rows[i].error);
        assert_non_null(strstr(fixture->cause.text, rows[i].words));
        assert_string_equal(outcome(fixture, 0), fixture->cause.text);
    }
    assert_int_equal(begin(fixture, writes, json_pack("{s:s, s:s}", "call", "write", "reason", "x")), FB_INVALID);
    stop(fixture, writes);
}

static void the_audit_is_kept_before_anything_is_asked(void **state) {
    struct core_fixture *fixture = *state;
    struct writes *writes = start(fixture);
    /* No forebay-field here: the grant goes nowhere, but what was asked for is there. */
    assert_int_equal(begin(fixture, writes, make_request("speed", 5, "why")), FB_CLOSED);
    assert_string_equal(outcome(fixture, 1), "asked");
    assert_string_equal(outcome(fixture, 0), "forebay-field is not running");
    stop(fixture, writes);
}

static void without_an_audit_there_is_no_grant(void **state) {
    struct core_fixture *fixture = *state;
    struct writes *writes = start(fixture);
    struct records *records = fixture->core.records;
    fixture->core.records = NULL;
    assert_int_equal(begin(fixture, writes, make_request("speed", 5, "why")), FB_FULL);
    assert_non_null(strstr(fixture->cause.text, "the audit cannot be kept"));
    fixture->core.records = records;
    stop(fixture, writes);
}

static void a_flood_of_writes_ends_where_the_audit_does(void **state) {
    struct core_fixture *fixture = *state;
    struct writes *writes = start(fixture);
    unsigned asked = 0;
    enum fb_error error = FB_CLOSED;
    for (; error == FB_CLOSED && asked < 1000; asked++)
        error = begin(fixture, writes, make_request("speed", 5, "why"));
    assert_int_equal(error, FB_FULL);
    assert_true(asked > 10);
    stop(fixture, writes);
}

static json_t *make_proof(struct core_fixture *fixture, const char *display, const char *sent) {
    char meaning[PLANT_MEANING_MAX];
    const struct plant *plant = &fixture->core.config.plant;
    plant_meaning(plant, &plant->instruments[0], &plant->instruments[0].tags[0], meaning);
    return json_pack("{s:s, s:s, s:s, s:f, s:s, s:s, s:s}", "instrument", "pump", "name", "a", "display", display,
                     "value", 7.4231, "meaning", meaning, "sent", sent, "received", "0103");
}

static enum fb_error prove(struct core_fixture *fixture, json_t *request) {
    struct text result = {0};
    const enum fb_error error = proofs_call(&fixture->core, request, &result, &fixture->cause);
    text_done(&result);
    json_decref(request);
    return error;
}

static bool is_proven(struct core_fixture *fixture) {
    json_t *value = json_object();
    proofs_describe(fixture->core.proofs, fixture->core.config.plant.instruments[0].tags[0].number, value);
    const char *who = json_string_value(json_object_get(json_object_get(value, "proven"), "who"));
    const bool proven = who != NULL && strcmp(who, "alice") == 0;
    json_decref(value);
    return proven;
}

static void a_proof_needs_its_evidence_and_the_way_the_tag_is_read(void **state) {
    struct core_fixture *fixture = *state;
    struct writes *writes = start(fixture);
    json_t *other = make_proof(fixture, "7.42", "0103");
    json_object_set_new(other, "meaning", json_string("hall-1 unit 2 holding 0 float32 abcd, x 1e0 + 0e0"));
    assert_int_equal(prove(fixture, other), FB_AGAIN);
    assert_int_equal(prove(fixture, make_proof(fixture, "", "0103")), FB_INVALID);
    assert_int_equal(prove(fixture, make_proof(fixture, "7.42", "")), FB_INVALID);
    other = make_proof(fixture, "7.42", "0103");
    json_object_set_new(other, "name", json_string("b"));
    assert_int_equal(prove(fixture, other), FB_NOT_FOUND);
    assert_false(is_proven(fixture));
    assert_int_equal(prove(fixture, make_proof(fixture, "7.42", "0103")), FB_OK);
    assert_true(is_proven(fixture));
    fixture->core.config.plant.instruments[0].tags[0].word_order = PLANT_CDAB;
    proofs_follow(fixture->core.proofs);
    assert_false(is_proven(fixture));
    stop(fixture, writes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_makes_no_sense_is_refused_and_audited, core_setup, core_teardown),
        cmocka_unit_test_setup_teardown(the_audit_is_kept_before_anything_is_asked, core_setup, core_teardown),
        cmocka_unit_test_setup_teardown(without_an_audit_there_is_no_grant, core_setup, core_teardown),
        cmocka_unit_test_setup_teardown(a_flood_of_writes_ends_where_the_audit_does, core_setup, core_teardown),
        cmocka_unit_test_setup_teardown(a_proof_needs_its_evidence_and_the_way_the_tag_is_read, core_setup,
                                        core_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
