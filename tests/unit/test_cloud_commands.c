// links: gateway/core/[!m]*.c gateway/config/*.c store/*.c drivers/plan.c gateway/common/*.c gateway/amqp/validity.c gateway/amqp/certificate.c
/* test_cloud_commands.c - what core makes of a command, seen from forebay-cloud's end of the socket: what is done, what
 * is refused and why, and what the audit keeps of it. */
#include "core_fixture.h"

#include "gateway/common/clock.h"
#include "gateway/common/protocol.h"
#include "gateway/core/cloud_commands.h"
#include "gateway/core/command_calls.h"
#include "gateway/core/records.h"
#include "jws_maker.h"
#include "store/store_records.h"

#define COMMANDS                                                                                                       \
    "cloud: {host: broker.example, address: /queues/readings, ca: ca.pem, certificate: c.pem, key: k.pem,\n"           \
    "  commands: {address: /queues/c, replies: /queues/r, keys: [{name: works, file: works.pem},\n"                    \
    "    {name: gone, file: gone.pem}], allow: [%s]}}\n"

struct world {
    struct core_fixture *fixture;
    EVP_PKEY *key;
    int program;
    uint64_t id;
    bool accepted;
    json_t *reply; /* of the last command; NULL: none came */
    char reason[FB_CAUSE_MAX];
};

static void send_packet(const struct world *world, uint8_t type, const void *payload, size_t length) {
    static uint8_t packet[MESSAGE_BYTES_MAX];
    struct message_writer writer = message_begin(packet, sizeof packet, type, 0);
    message_put_bytes(&writer, payload, length);
    assert_int_equal(message_finish(&writer), FB_OK);
    assert_int_equal(send(world->program, packet, writer.used, MSG_NOSIGNAL), (ssize_t)writer.used);
}

static struct world *open_world(void **state, const char *allow) {
    static struct world world;
    char text[4096];
    world = (struct world){.fixture = *state, .key = maker_key(JWS_EDDSA)};
    char *pem = maker_public_pem(world.key);
    core_write(world.fixture, "works.pem", pem);
    free(pem);
    snprintf(text, sizeof text, COMMANDS "%s", allow, CORE_CONFIG);
    core_write(world.fixture, "forebay.yaml", text);
    if (core_try(world.fixture) != FB_OK)
        fail_msg("%s", world.fixture->cause.text);
    world.program = core_connect(world.fixture, PROTOCOL_CLOUD_SOCKET, SOCK_SEQPACKET);
    send_packet(&world, PROTOCOL_CLOUD_HELLO, NULL, 0);
    core_settle(world.fixture);
    return &world;
}

static void close_world(struct world *world) {
    json_decref(world->reply);
    close(world->program);
    core_stop(&world->fixture->core);
    EVP_PKEY_free(world->key);
}

static void take_reply(struct world *world, struct message_reader *reader) {
    size_t length;
    assert_int_equal(message_get_u64(reader), world->id);
    world->accepted = message_get_u8(reader) == PARCEL_ACCEPTED;
    const uint32_t reason_length = message_get_u32(reader);
    snprintf(world->reason, sizeof world->reason, "%.*s", (int)reason_length,
             (const char *)message_get_bytes(reader, reason_length));
    const uint8_t *bytes = message_get_rest(reader, &length);
    world->reply = length > 0 ? json_loadb((const char *)bytes, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
    assert_true(length == 0 || world->reply != NULL);
}

static void hear_reply(struct world *world) {
    static uint8_t packet[MESSAGE_BYTES_MAX];
    struct message_reader reader;
    ssize_t got;
    json_decref(world->reply);
    world->reply = NULL;
    core_settle(world->fixture);
    while ((got = recv(world->program, packet, sizeof packet, MSG_DONTWAIT)) > 0) {
        assert_int_equal(message_open(packet, (size_t)got, &reader), FB_OK);
        if (reader.type == PROTOCOL_REPLY) {
            take_reply(world, &reader);
            return;
        }
    }
    fail_msg("no REPLY came");
}

static void command_bytes(struct world *world, const void *bytes, size_t length) {
    static uint8_t payload[COMMAND_BYTES_MAX + 64];
    const uint32_t name_length = 2;
    world->id++;
    memcpy(payload, &world->id, 8);
    memcpy(payload + 8, &name_length, 4);
    memcpy(payload + 12, "id", 2);
    memcpy(payload + 14, bytes, length);
    send_packet(world, PROTOCOL_COMMAND, payload, 14 + length);
    hear_reply(world);
}

static json_t *claims_of(const char *command, json_t *arguments) {
    static unsigned count;
    char nonce[32];
    snprintf(nonce, sizeof nonce, "AAAAAAAAAAAAAAAAAAAA%04u", ++count);
    const json_int_t now_s = clock_utc_ms() / 1000;
    return json_pack("{s:s, s:s, s:I, s:I, s:s, s:o}", "gateway", "plant-1", "nonce", nonce, "iat", now_s, "exp",
                     now_s + 60, "command", command, "arguments", arguments);
}

static char *sign(const struct world *world, json_t *claims) {
    char *payload = json_dumps(claims, JSON_COMPACT);
    char *token = maker_token(world->key, NULL, payload, strlen(payload));
    free(payload);
    json_decref(claims);
    return token;
}

static void command_claims(struct world *world, json_t *claims) {
    char *token = sign(world, claims);
    command_bytes(world, token, strlen(token));
    free(token);
}

static void command(struct world *world, const char *name, json_t *arguments) {
    command_claims(world, claims_of(name, arguments));
}

static json_t *result(const struct world *world) {
    assert_true(world->accepted);
    assert_true(json_is_true(json_object_get(world->reply, "ok")));
    return json_object_get(world->reply, "result");
}

static void assert_refused(const struct world *world, const char *word, const char *reason) {
    assert_false(world->accepted);
    assert_string_equal(json_string_value(json_object_get(world->reply, "refused")), word);
    if (reason != NULL && strstr(world->reason, reason) == NULL)
        fail_msg("%s", world->reason);
}

static bool keep_last(const struct store_record *record, void *user) {
    json_t **last = user;
    json_decref(*last);
    *last = json_loadb((const char *)record->body, record->length, 0, NULL);
    return true;
}

static void assert_audit(const struct world *world, const char *who, const char *action, const char *outcome) {
    json_t *last = NULL;
    struct fb_cause cause;
    intake_commit_now(world->fixture->core.intake);
    assert_int_equal(
        store_records_read(world->fixture->core.store, STORE_RECORD_AUDIT, 0, 1000, keep_last, &last, &cause), FB_OK);
    assert_non_null(last);
    assert_string_equal(json_string_value(json_object_get(last, "who")), who);
    assert_string_equal(json_string_value(json_object_get(last, "action")), action);
    assert_string_equal(json_string_value(json_object_get(last, "outcome")), outcome);
    json_decref(last);
}

static void a_status_is_given_audited_and_given_once(void **state) {
    struct world *world = open_world(state, "status");
    char *token = sign(world, claims_of("status", json_object()));
    command_bytes(world, token, strlen(token));
    assert_non_null(json_object_get(result(world), "store"));
    assert_audit(world, "cloud:works", "command status", "done");
    command_bytes(world, token, strlen(token));
    assert_refused(world, "replayed", "each command needs one of its own");
    assert_audit(world, "cloud:works", "command status", "replayed");
    free(token);
    close_world(world);
}

static void what_is_not_listed_is_refused_and_its_nonce_not_spent(void **state) {
    struct world *world = open_world(state, "status");
    command(world, "read-now", json_object());
    assert_refused(world, "not-permitted", "does not allow \"read-now\"");
    command(world, "reboot", json_object());
    assert_refused(world, "not-permitted", "does not allow \"reboot\"");
    assert_audit(world, "cloud:works", "command reboot", "not-permitted");
    assert_int_equal(access(core_path(world->fixture, "data/commands.nonces"), F_OK), -1);
    close_world(world);
}

static void claims_that_do_not_hold_are_refused(void **state) {
    struct world *world = open_world(state, "status");
    json_t *claims = claims_of("status", json_object());
    json_object_set_new(claims, "gateway", json_string("plant-2"));
    command_claims(world, claims);
    assert_refused(world, "foreign", "another gateway");
    assert_audit(world, "cloud:works", "command status", "foreign");
    claims = claims_of("status", json_object());
    json_object_set_new(claims, "exp", json_integer(99));
    json_object_set_new(claims, "iat", json_integer(1));
    command_claims(world, claims);
    assert_refused(world, "late", "expired");
    claims = claims_of("status", json_object());
    json_object_del(claims, "nonce");
    command_claims(world, claims);
    assert_refused(world, "malformed", "\"nonce\" is missing");
    close_world(world);
}

static void what_no_pinned_key_has_signed_learns_nothing_and_little_of_that(void **state) {
    struct world *world = open_world(state, "status");
    EVP_PKEY *stranger = maker_key(JWS_EDDSA);
    char *token = maker_token(stranger, NULL, "{}", 2);
    unsigned told = 0;
    for (int i = 0; i < 40; i++) {
        command_bytes(world, i % 2 == 0 ? token : "x", i % 2 == 0 ? strlen(token) : 1);
        assert_false(world->accepted);
        assert_string_equal(world->reason, "refused");
        told += world->reply != NULL;
        assert_true(world->reply == NULL || json_object_size(world->reply) == 2);
    }
    assert_in_range(told, CLOUD_COMMANDS_UNKNOWN_BURST, CLOUD_COMMANDS_UNKNOWN_BURST + 1);
    assert_audit(world, "cloud:unknown", "command", "unknown");
    command(world, "status", json_object());
    assert_true(world->accepted);
    free(token);
    EVP_PKEY_free(stranger);
    close_world(world);
}

static void too_many_in_a_row_are_refused(void **state) {
    struct world *world = open_world(state, "catalogue");
    unsigned done = 0;
    for (int i = 0; i < 2 * CLOUD_COMMANDS_BURST; i++) {
        command(world, "catalogue", json_object());
        done += world->accepted;
    }
    assert_true(done >= CLOUD_COMMANDS_BURST);
    assert_refused(world, "too-many", NULL);
    close_world(world);
}

static void a_key_that_cannot_be_read_is_told_and_the_other_counts(void **state) {
    struct world *world = open_world(state, "status");
    json_t *json = cloud_commands_to_json(world->fixture->core.commands);
    const json_t *keys = json_object_get(json, "keys");
    assert_string_equal(json_string_value(json_object_get(json_array_get(keys, 0), "reason")), "");
    assert_string_not_equal(json_string_value(json_object_get(json_array_get(keys, 1), "reason")), "");
    json_decref(json);
    command(world, "status", json_object());
    assert_true(world->accepted);
    close_world(world);
}

static void without_the_section_nothing_is_followed(void **state) {
    struct world *world = open_world(state, "status");
    json_t *changed = NULL;
    core_write(world->fixture, "forebay.yaml", CORE_CONFIG);
    assert_int_equal(core_reload(&world->fixture->core, "test", "", &changed, &world->fixture->cause), FB_OK);
    json_decref(changed);
    command(world, "status", json_object());
    assert_false(world->accepted);
    assert_string_equal(world->reason, "refused");
    close_world(world);
}

static void arguments_are_checked(void **state) {
    struct world *world = open_world(state, "status, catalogue, read-now, backfill, log-level, configuration");
    static const struct {
        const char *command, *arguments, *reason;
    } rows[] = {
        {"status", "{\"all\":true}", "unknown member"},
        {"catalogue", "{\"from\":-1}", "from: -1, allowed are"},
        {"read-now", "{}", "either \"instrument\" or \"tags\""},
        {"read-now", "{\"instrument\":\"probe\",\"tags\":[]}", "either \"instrument\" or \"tags\""},
        {"read-now", "{\"tags\":[]}", "1 to 200"},
        {"read-now", "{\"tags\":[7]}", "INSTRUMENT/TAG"},
        {"read-now", "{\"tags\":[\"probe/b\"]}", "there is no tag probe/b"},
        {"read-now", "{\"instrument\":\"none\"}", "there is no instrument none"},
        {"backfill", "{\"from_ms\":5}", "to_ms: not an integer"},
        {"backfill", "{\"from_ms\":5,\"to_ms\":5}", "to_ms: 5, allowed are 6 to"},
        {"backfill", "{\"from_ms\":0,\"to_ms\":2678400001}", "allowed are 1 to 2678400000"},
        {"log-level", "{\"program\":\"core\",\"level\":\"all\",\"minutes\":1}", "debug or normal"},
        {"log-level", "{\"program\":\"core\",\"level\":\"debug\",\"minutes\":61}", "minutes: 61"},
        {"log-level", "{\"program\":\"sh\",\"level\":\"debug\",\"minutes\":1}", "core or cloud"},
        {"configuration", "{\"document\":\"\"}", "\"document\" and a \"reason\""},
        {"configuration", "{\"document\":\"a: [\",\"reason\":\"r\"}", "document: 2:1:"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        command(world, rows[i].command, json_loads(rows[i].arguments, 0, NULL));
        assert_refused(world, "failed", rows[i].reason);
    }
    close_world(world);
}

static void each_command_gives_its_result(void **state) {
    struct world *world = open_world(state, "catalogue, read-now, backfill, log-level, configuration");
    command(world, "catalogue", json_object());
    const json_t *tag = json_array_get(json_object_get(result(world), "tags"), 0);
    assert_string_equal(json_string_value(json_object_get(tag, "unit")), "NTU");
    assert_true(json_is_null(json_object_get(result(world), "next")));
    command(world, "read-now", json_pack("{s:[s]}", "tags", "probe/a"));
    assert_int_equal(json_array_size(json_object_get(result(world), "values")), 1);
    command(world, "backfill", json_pack("{s:i, s:i}", "from_ms", 0, "to_ms", 1000));
    assert_int_equal(json_integer_value(json_object_get(result(world), "to_ms")), 1000);
    command(world, "log-level", json_pack("{s:s, s:s, s:i}", "program", "cloud", "level", "debug", "minutes", 1));
    (void)result(world);
    command(world, "configuration", json_pack("{s:s, s:s}", "document", CORE_CONFIG, "reason", "why"));
    assert_true(json_integer_value(json_object_get(result(world), "number")) > 0);
    assert_audit(world, "cloud:works", "command configuration", "done");
    close_world(world);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, core_setup, core_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_status_is_given_audited_and_given_once),
        TEST(what_is_not_listed_is_refused_and_its_nonce_not_spent),
        TEST(claims_that_do_not_hold_are_refused),
        TEST(what_no_pinned_key_has_signed_learns_nothing_and_little_of_that),
        TEST(too_many_in_a_row_are_refused),
        TEST(a_key_that_cannot_be_read_is_told_and_the_other_counts),
        TEST(without_the_section_nothing_is_followed),
        TEST(arguments_are_checked),
        TEST(each_command_gives_its_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
