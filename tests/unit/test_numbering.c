// links: gateway/core/[!m]*.c gateway/config/*.c store/*.c drivers/plan.c gateway/common/*.c gateway/amqp/validity.c gateway/amqp/certificate.c
/* test_numbering.c - on a disk that is full core starts with the tags it knows; the others get their numbers as soon as
 * there is room. On a real file system of a few megabytes. */
#include <sys/stat.h>
#include <sys/wait.h>

#include "core_fixture.h"
#include "gateway/core/report.h"
#include "small_disk.h"

#define DISK_BYTES (UINT64_C(4) * 1024 * 1024)
#define INSTRUMENT                                                                                                     \
    "gateway: {name: plant-1, data: data, run: run}\n"                                                                 \
    "store: {commit_interval: 100ms, quota: 16MB}\n"                                                                   \
    "buses: [{name: hall-1, kind: modbus-tcp, host: 127.0.0.1, port: 1502}]\n"                                         \
    "instruments:\n"                                                                                                   \
    "  - {name: probe, bus: hall-1, unit: 1, addresses: base-0, word_order: abcd, interval: 1s,\n"                     \
    "     writes: [{name: w, address: 9, type: int16, min: 0, max: 1}],\n"                                             \
    "     tags: ["
#define TAG_A "{name: a, table: holding, address: 0, type: float32, unit: NTU}"
#define TAG_A_OTHERWISE "{name: a, table: holding, address: 0, type: float32, unit: mg/l}"
#define TAG_B "{name: b, table: holding, address: 2, type: float32, unit: NTU}"

static void configure(struct core_fixture *fixture, const char *tags) {
    char text[1024];
    snprintf(text, sizeof text, INSTRUMENT "%s]}\n", tags);
    core_write(fixture, "forebay.yaml", text);
}

/* Core holds its lock as long as its process lives. */
static void start_and_stop_elsewhere(struct core_fixture *fixture) {
    int status;
    const pid_t child = fork();
    if (child == 0) {
        const enum fb_error error = core_try(fixture);
        core_stop(&fixture->core);
        _exit(error == FB_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* These tags are known, everything else on the disk is somebody else's, and core is not running. */
static struct core_fixture *on_full_disk(void **state, const char *tags) {
    struct core_fixture *fixture = *state;
    assert_int_equal(mkdir(core_path(fixture, "data"), 0700), 0);
    small_disk_mount(core_path(fixture, "data"), DISK_BYTES);
    configure(fixture, tags);
    start_and_stop_elsewhere(fixture);
    small_disk_fill(core_path(fixture, "data"), 0);
    return fixture;
}

static void start(struct core_fixture *fixture) {
    if (core_try(fixture) != FB_OK)
        fail_msg("%s", fixture->cause.text);
}

static void assert_polls(struct core_fixture *fixture, size_t tags, const char *state, int waiting) {
    json_t *status = report_status(&fixture->core);
    const json_t *store = json_object_get(status, "store");
    assert_int_equal(fixture->core.values.count, tags);
    for (size_t i = 0; i < tags; i++)
        assert_int_not_equal(fixture->core.values.all[i].tag->number, 0);
    assert_string_equal(json_string_value(json_object_get(store, "state")), state);
    assert_int_equal(json_integer_value(json_object_get(store, "waiting_tags")), waiting);
    json_decref(status);
}

static void make_room(struct core_fixture *fixture) {
    small_disk_empty(core_path(fixture, "data"));
    while (fixture->core.numbering.waiting_tags > 0)
        assert_true(sd_event_run(fixture->core.event, CORE_LIMIT_US) > 0);
}

static void new_tags_wait_for_room_and_the_others_go_on(void **state) {
    struct core_fixture *fixture = on_full_disk(state, TAG_A);
    configure(fixture, TAG_A ", " TAG_B);
    start(fixture);
    assert_polls(fixture, 1, "full", 1);
    make_room(fixture);
    assert_polls(fixture, 2, "good", 0);
    assert_int_equal(fixture->core.values.all[0].tag->number, 1);
    assert_int_equal(fixture->core.values.all[1].tag->number, 2);
    core_stop(&fixture->core);
}

/* Its readings would be sealed under a catalogue that names another unit. */
static void a_tag_that_has_changed_waits_too(void **state) {
    struct core_fixture *fixture = on_full_disk(state, TAG_A);
    configure(fixture, TAG_A_OTHERWISE);
    start(fixture);
    assert_polls(fixture, 0, "full", 1);
    make_room(fixture);
    assert_polls(fixture, 1, "good", 0);
    core_stop(&fixture->core);
}

static void tags_that_were_removed_are_no_reason_to_wait(void **state) {
    struct core_fixture *fixture = on_full_disk(state, TAG_A ", " TAG_B);
    configure(fixture, TAG_B);
    start(fixture);
    assert_polls(fixture, 1, "good", 0);
    assert_int_equal(fixture->core.values.all[0].tag->number, 2);
    core_stop(&fixture->core);
}

static void a_reload_applies_what_it_can(void **state) {
    struct core_fixture *fixture = on_full_disk(state, TAG_A);
    json_t *changed;
    start(fixture);
    assert_polls(fixture, 1, "good", 0);
    configure(fixture, TAG_A ", " TAG_B);
    assert_int_equal(core_reload(&fixture->core, "test", "", &changed, &fixture->cause), FB_OK);
    assert_polls(fixture, 1, "full", 1);
    const char *last = json_string_value(json_array_get(changed, json_array_size(changed) - 1));
    assert_non_null(strstr(last, "1 tag waits"));
    json_decref(changed);
    configure(fixture, TAG_A); /* not wanted any more */
    assert_int_equal(core_reload(&fixture->core, "test", "", &changed, &fixture->cause), FB_OK);
    assert_polls(fixture, 1, "good", 0);
    json_decref(changed);
    core_stop(&fixture->core);
}

/* Core's lock keeps the file system busy until the end of the program. */
static int teardown(void **state) {
    struct core_fixture *fixture = *state;
    umount2(core_path(fixture, "data"), MNT_DETACH);
    return core_teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, core_setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(new_tags_wait_for_room_and_the_others_go_on),
        TEST(a_tag_that_has_changed_waits_too),
        TEST(tags_that_were_removed_are_no_reason_to_wait),
        TEST(a_reload_applies_what_it_can),
    };
    return cmocka_run_group_tests(tests, small_disk_setup, NULL);
}
