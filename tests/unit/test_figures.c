// links: drivers/figures.c drivers/plan.c gateway/common/plant.c gateway/common/json.c gateway/common/error.c gateway/common/quality.c gateway/common/plant_lines.c gateway/common/plant_write.c drivers/json_memory.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <string.h>

#include "drivers/figures.h"
#include "gateway/common/quality.h"

#define START_MS 1000000

/* Two instruments; the first has two requests (two tables), the second one. */
struct world {
    struct plant_bus bus;
    struct plant_tag tags[3];
    struct plant_instrument instruments[2];
    struct plant plant;
    struct plan plan;
    struct figures figures;
};

static void open_world(struct world *world) {
    *world = (struct world){.bus = {.name = "line-1"}};
    for (size_t i = 0; i < 3; i++)
        world->tags[i] = (struct plant_tag){
            .table = i == 1 ? PLANT_INPUT : PLANT_HOLDING, .type = PLANT_UINT16, .interval_ms = 1000};
    world->instruments[0] =
        (struct plant_instrument){.name = "first", .registers_most = 125, .tags = world->tags, .tag_count = 2};
    world->instruments[1] =
        (struct plant_instrument){.name = "second", .registers_most = 125, .tags = world->tags + 2, .tag_count = 1};
    world->plant =
        (struct plant){.buses = &world->bus, .bus_count = 1, .instruments = world->instruments, .instrument_count = 2};
    assert_int_equal(plan_bus(&world->plant, 0, &world->plan), FB_OK);
    assert_int_equal(world->plan.request_count, 3);
    assert_int_equal(figures_make(&world->plant, 0, &world->plan, START_MS, 0, &world->figures), FB_OK);
}

static void close_world(struct world *world) {
    figures_done(&world->figures);
    plan_done(&world->plan);
}

static void note(struct world *world, size_t request, uint8_t quality, int64_t after_ms) {
    figures_note(&world->figures, request, quality, true, "no route", START_MS + after_ms);
}

static void note_all(struct world *world, uint8_t quality, int64_t after_ms) {
    for (size_t i = 0; i < 3; i++)
        note(world, i, quality, after_ms);
}

static void a_bus_starts_and_becomes_good(void **state) {
    (void)state;
    struct world world;
    open_world(&world);
    assert_string_equal(world.figures.state, "starting");
    note_all(&world, QUALITY_GOOD, 10);
    assert_string_equal(world.figures.state, "good");
    assert_int_equal(world.figures.since_ms, START_MS + 10);
    note_all(&world, QUALITY_GOOD, 20);
    assert_int_equal(world.figures.since_ms, START_MS + 10);
    close_world(&world);
}

static void one_silent_instrument_degrades_all_silent_put_it_down(void **state) {
    (void)state;
    struct world world;
    open_world(&world);
    note_all(&world, QUALITY_GOOD, 10);
    note(&world, 2, QUALITY_TIMEOUT, 20);
    assert_string_equal(world.figures.state, "degraded");
    assert_string_equal(world.figures.reason, "1 of 2 instruments bad, first second: timeout");
    note_all(&world, QUALITY_TIMEOUT, 30);
    assert_string_equal(world.figures.state, "down");
    note_all(&world, QUALITY_GOOD, 40);
    assert_string_equal(world.figures.state, "good");
    assert_string_equal(world.figures.reason, "");
    close_world(&world);
}

static void instruments_that_refuse_do_answer(void **state) {
    (void)state;
    struct world world;
    open_world(&world);
    note_all(&world, QUALITY_EXCEPTION, 10);
    assert_string_equal(world.figures.state, "degraded");
    close_world(&world);
}

static void no_connection_puts_it_down_with_the_reason(void **state) {
    (void)state;
    struct world world;
    open_world(&world);
    note(&world, 0, QUALITY_NOT_CONNECTED, 10);
    assert_string_equal(world.figures.state, "down");
    assert_string_equal(world.figures.reason, "not connected: no route");
    close_world(&world);
}

static void one_bad_request_does_not_make_an_instrument_flicker(void **state) {
    (void)state;
    struct world world;
    open_world(&world);
    note(&world, 0, QUALITY_EXCEPTION, 10);
    note(&world, 1, QUALITY_GOOD, 10);
    const struct figures_instrument *first = figures_instrument(&world.figures, 0);
    assert_int_equal(first->state, FIGURES_BAD);
    world.figures.changed = false;
    for (int64_t i = 20; i < 100; i += 10) {
        note(&world, 0, QUALITY_EXCEPTION, i);
        note(&world, 1, QUALITY_GOOD, i);
        assert_int_equal(first->state, FIGURES_BAD);
    }
    assert_false(world.figures.changed);
    assert_int_equal(first->since_ms, START_MS + 10);
    assert_int_equal(first->last_good_ms, START_MS + 90);
    close_world(&world);
}

static double number_at(const json_t *json, const char *object, const char *key) {
    return json_number_value(json_object_get(json_object_get(json, object), key));
}

static void the_json_says_it_all(void **state) {
    (void)state;
    struct world world;
    open_world(&world);
    for (uint64_t i = 1; i <= 100; i++)
        figures_sent(&world.figures, i * 1000, 2500, i > 50);
    note(&world, 0, QUALITY_GOOD, 10);
    note(&world, 1, QUALITY_GOOD, 10);
    note(&world, 2, QUALITY_TIMEOUT, 10);
    char *text = figures_json(&world.figures, 5, 1000000);
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "name")), "line-1");
    assert_int_equal(json_integer_value(json_object_get(json, "requests")), 100);
    assert_int_equal(json_integer_value(json_object_get(json, "overruns")), 5);
    assert_true(json_number_value(json_object_get(json, "load_percent")) == 25.0);
    assert_true(number_at(json, "errors", "timeout") == 1);
    assert_true(number_at(json, "lateness_ms", "p50") == 51.0);
    assert_true(number_at(json, "lateness_ms", "p99") == 100.0);
    assert_true(number_at(json, "response_ms", "p50") == 2.5);
    const json_t *second = json_array_get(json_object_get(json, "instruments"), 1);
    assert_string_equal(json_string_value(json_object_get(second, "state")), "bad");
    assert_string_equal(json_string_value(json_object_get(second, "reason")), "timeout");
    assert_true(json_is_null(json_object_get(second, "last_good_ms")));
    json_decref(json);
    free(text);
    close_world(&world);
}

static void a_split_request_stays_with_its_instrument(void **state) {
    (void)state;
    struct world world;
    open_world(&world);
    world.plan.request_most = 4;
    figures_done(&world.figures);
    assert_int_equal(figures_make(&world.plant, 0, &world.plan, START_MS, 0, &world.figures), FB_OK);
    note(&world, 2, QUALITY_GOOD, 10);
    figures_split(&world.figures, 0);
    assert_int_equal(world.figures.instruments[0].request_count, 3);
    assert_ptr_equal(figures_instrument(&world.figures, 2), &world.figures.instruments[0]);
    assert_ptr_equal(figures_instrument(&world.figures, 3), &world.figures.instruments[1]);
    assert_int_equal(world.figures.qualities[3], QUALITY_GOOD);
    close_world(&world);
}

static void a_stopped_heartbeat_makes_the_instrument_bad_and_not_the_bus_down(void **state) {
    (void)state;
    struct world world;
    open_world(&world);
    note_all(&world, QUALITY_STALE_HEARTBEAT, 10);
    assert_int_equal(world.figures.instruments[0].state, FIGURES_BAD);
    assert_string_equal(world.figures.state, "degraded");
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bus_starts_and_becomes_good),
        cmocka_unit_test(one_silent_instrument_degrades_all_silent_put_it_down),
        cmocka_unit_test(instruments_that_refuse_do_answer),
        cmocka_unit_test(no_connection_puts_it_down_with_the_reason),
        cmocka_unit_test(one_bad_request_does_not_make_an_instrument_flicker),
        cmocka_unit_test(a_split_request_stays_with_its_instrument),
        cmocka_unit_test(a_stopped_heartbeat_makes_the_instrument_bad_and_not_the_bus_down),
        cmocka_unit_test(the_json_says_it_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
