// links: gateway/core/[!m]*.c gateway/config/*.c store/*.c drivers/plan.c gateway/common/*.c gateway/amqp/validity.c gateway/amqp/certificate.c
/* test_core.c - core starts, refuses to start, and applies configurations, without leaving anything behind. */
#include <sys/stat.h>

#include "core_fixture.h"
#include "gateway/common/protocol.h"

static void refused(struct core_fixture *fixture, enum fb_error error, const char *why) {
    assert_int_equal(core_try(fixture), error);
    if (strstr(fixture->cause.text, why) == NULL)
        fail_msg("%s", fixture->cause.text);
    core_stop(&fixture->core);
    assert_int_equal(access(core_path(fixture, "run/field.sock"), F_OK), -1);
}

static void a_core_that_ends_leaves_its_store_and_no_sockets(void **state) {
    struct core_fixture *fixture = *state;
    static const char *const sockets[] = {"run/field.sock", "run/cloud.sock", "run/control.sock", "run/web.sock"};
    assert_int_equal(core_try(fixture), FB_OK);
    core_settle(fixture);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(access(core_path(fixture, sockets[i]), F_OK), 0);
    core_stop(&fixture->core);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(access(core_path(fixture, sockets[i]), F_OK), -1);
    assert_int_equal(access(core_path(fixture, "data/store.db"), F_OK), 0);
}

static void a_missing_configuration_is_named(void **state) {
    struct core_fixture *fixture = *state;
    unlink(fixture->file);
    refused(fixture, FB_NOT_FOUND, "forebay.yaml");
}

static void a_wrong_configuration_tells_line_and_column(void **state) {
    struct core_fixture *fixture = *state;
    core_write(fixture, "forebay.yaml", "gateway: {name: plant-1}\nstore: {quota: plenty}\n");
    refused(fixture, FB_INVALID, "forebay.yaml:2:");
    assert_int_equal(access(core_path(fixture, "data"), F_OK), -1);
}

static void a_data_folder_that_is_a_file_is_refused(void **state) {
    struct core_fixture *fixture = *state;
    core_write(fixture, "data", "");
    refused(fixture, FB_IO, "not a folder");
}

static void a_run_folder_that_is_a_file_is_refused(void **state) {
    struct core_fixture *fixture = *state;
    core_write(fixture, "run", "");
    assert_int_equal(core_try(fixture), FB_IO);
    core_stop(&fixture->core);
}

static void a_key_that_others_may_read_is_refused(void **state) {
    struct core_fixture *fixture = *state;
    mkdir(core_path(fixture, "data"), 0700);
    core_write(fixture, "data/store.key", "00\n");
    chmod(core_path(fixture, "data/store.key"), 0644);
    refused(fixture, FB_DENIED, "chmod 600");
}

static void a_socket_that_cannot_be_made_is_refused(void **state) {
    struct core_fixture *fixture = *state;
    static const char *const names[] = {PROTOCOL_CLOUD_SOCKET, PROTOCOL_CONTROL_SOCKET, PROTOCOL_WEB_SOCKET};
    for (size_t i = 0; i < 3; i++) {
        char text[1024], folder[64];
        snprintf(folder, sizeof folder, "run/%s/taken", names[i]);
        assert_int_equal(file_make_folder(core_path(fixture, folder), &fixture->cause), FB_OK);
        snprintf(text, sizeof text, "gateway: {name: plant-1, data: data-%zu, run: run}\nbuses: []\ninstruments: []\n",
                 i);
        core_write(fixture, "forebay.yaml", text);
        refused(fixture, FB_IO, names[i]);
        rmdir(core_path(fixture, folder));
        snprintf(folder, sizeof folder, "run/%s", names[i]);
        rmdir(core_path(fixture, folder));
    }
}

static json_t *reload(struct core_fixture *fixture) {
    json_t *changed = NULL;
    assert_int_equal(core_reload(&fixture->core, "alice", "", &changed, &fixture->cause), FB_OK);
    return changed;
}

static void a_reload_tells_what_has_changed(void **state) {
    struct core_fixture *fixture = *state;
    assert_int_equal(core_try(fixture), FB_OK);
    json_t *changed = reload(fixture);
    assert_int_equal(json_array_size(changed), 0);
    json_decref(changed);
    core_write(fixture, "forebay.yaml",
               CORE_CONFIG "  - {name: other, bus: hall-1, unit: 2, addresses: base-0,"
                           " word_order: abcd, interval: 1s,\n"
                           "     tags: [{name: b, table: coil, address: 0, type: bit}]}\n");
    changed = reload(fixture);
    assert_int_equal(json_array_size(changed), 1);
    assert_string_equal(json_string_value(json_array_get(changed, 0)), "bus hall-1");
    json_decref(changed);
    assert_int_equal(fixture->core.values.count, 2);
    core_stop(&fixture->core);
}

static void a_wrong_reload_changes_nothing_and_is_shown(void **state) {
    struct core_fixture *fixture = *state;
    assert_int_equal(core_try(fixture), FB_OK);
    json_t *changed = NULL;
    core_write(fixture, "forebay.yaml", "gateway: {name: \xc2\xb0}\n");
    assert_int_equal(core_reload(&fixture->core, "alice", "", &changed, &fixture->cause), FB_INVALID);
    assert_null(changed);
    assert_string_not_equal(fixture->core.config_error.text, "");
    assert_string_equal(fixture->core.config.name, "plant-1");
    assert_int_equal(fixture->core.values.count, 1);
    core_write(fixture, "forebay.yaml", CORE_CONFIG);
    json_decref(reload(fixture));
    assert_string_equal(fixture->core.config_error.text, "");
    core_stop(&fixture->core);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, core_setup, core_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_core_that_ends_leaves_its_store_and_no_sockets), TEST(a_missing_configuration_is_named),
        TEST(a_wrong_configuration_tells_line_and_column),      TEST(a_data_folder_that_is_a_file_is_refused),
        TEST(a_run_folder_that_is_a_file_is_refused),           TEST(a_key_that_others_may_read_is_refused),
        TEST(a_socket_that_cannot_be_made_is_refused),          TEST(a_reload_tells_what_has_changed),
        TEST(a_wrong_reload_changes_nothing_and_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
