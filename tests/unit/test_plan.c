// links: drivers/plan.c gateway/common/plant.c gateway/common/json.c gateway/common/error.c drivers/plan_split.c gateway/common/plant_lines.c gateway/common/plant_write.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "drivers/plan.h"

#define TAGS_MAX 300
/* What an instrument on a line is assumed to think: no reason to read over more. */
#define THINKS_US 5000

struct world {
    struct plant_bus bus;
    struct plant_instrument instruments[2];
    struct plant_tag tags[2][TAGS_MAX];
    struct plant plant;
    struct plan plan;
};

static struct world *new_world(enum plant_bus_kind kind) {
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->bus = (struct plant_bus){.kind = kind, .baud = 9600, .parity = PLANT_PARITY_EVEN, .stop_bits = 1};
    world->plant = (struct plant){.buses = &world->bus, .bus_count = 1, .instruments = world->instruments};
    return world;
}

static void free_world(struct world *world) {
    plan_done(&world->plan);
    free(world);
}

static struct plant_tag *add_tag(struct world *world, size_t instrument, enum plant_table table, enum plant_type type,
                                 uint16_t address) {
    if (world->plant.instrument_count <= instrument)
        world->plant.instrument_count = instrument + 1;
    struct plant_instrument *target = &world->instruments[instrument];
    if (target->tags == NULL)
        *target = (struct plant_instrument){
            .unit = (uint8_t)(instrument + 1), .registers_most = 125, .tags = world->tags[instrument]};
    struct plant_tag *tag = &target->tags[target->tag_count++];
    *tag = (struct plant_tag){.table = table, .type = type, .address = address, .interval_ms = 1000};
    return tag;
}

static void plan_world(struct world *world) {
    assert_int_equal(plan_bus(&world->plant, 0, &world->plan), FB_OK);
}

static void assert_request(const struct world *world, size_t index, unsigned address, unsigned count, size_t tags) {
    assert_true(index < world->plan.request_count);
    assert_int_equal(world->plan.requests[index].address, address);
    assert_int_equal(world->plan.requests[index].count, count);
    assert_int_equal(world->plan.requests[index].tag_count, tags);
}

static void neighbours_are_read_together_in_order_of_address(void **state) {
    (void)state;
    struct world *world = new_world(PLANT_MODBUS_TCP);
    const struct plant_tag *last = add_tag(world, 0, PLANT_HOLDING, PLANT_FLOAT32, 12);
    const struct plant_tag *first = add_tag(world, 0, PLANT_HOLDING, PLANT_UINT16, 10);
    add_tag(world, 0, PLANT_HOLDING, PLANT_UINT16, 11);
    plan_world(world);
    assert_int_equal(world->plan.request_count, 1);
    assert_request(world, 0, 10, 4, 3);
    assert_ptr_equal(world->plan.requests[0].tags[0], first);
    assert_ptr_equal(world->plan.requests[0].tags[2], last);
    free_world(world);
}

static void a_gap_is_read_over_up_to_the_cost_of_a_request(void **state) {
    (void)state;
    static const struct {
        enum plant_bus_kind kind;
        enum plant_table table;
        uint32_t pause_ms;
        unsigned most;
    } rows[] = {
        /* At 9600 8E1 a byte takes 1.146 ms: 13 of overhead, and twice 3.5 of silence. */
        {PLANT_MODBUS_RTU, PLANT_HOLDING, 0, 10},
        {PLANT_MODBUS_RTU, PLANT_COIL, 0, 182},
        /* 50 ms of pause in place of one silence: 40 bytes more. */
        {PLANT_MODBUS_RTU, PLANT_HOLDING, 50, 30},
        {PLANT_MODBUS_TCP, PLANT_INPUT, 0, 11},
        {PLANT_MODBUS_TCP, PLANT_INPUT, 20, 20},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (unsigned over = 0; over <= 1; over++) {
            struct world *world = new_world(rows[i].kind);
            world->bus.pause_ms = rows[i].pause_ms;
            world->bus.baud = rows[i].kind == PLANT_MODBUS_TCP ? 0 : 9600;
            add_tag(world, 0, rows[i].table, PLANT_BIT, 0);
            add_tag(world, 0, rows[i].table, PLANT_BIT, (uint16_t)(1 + rows[i].most + over));
            plan_world(world);
            assert_int_equal(world->plan.request_count, 1 + over);
            free_world(world);
        }
    }
}

static void a_long_run_is_cut_where_the_protocol_or_the_instrument_ends(void **state) {
    (void)state;
    struct world *world = new_world(PLANT_MODBUS_TCP);
    for (uint16_t i = 0; i < 300; i++)
        add_tag(world, 0, PLANT_HOLDING, PLANT_UINT16, i);
    plan_world(world);
    assert_int_equal(world->plan.request_count, 3);
    assert_request(world, 0, 0, 125, 125);
    assert_request(world, 2, 250, 50, 50);
    plan_done(&world->plan);
    world->instruments[0].registers_most = 10;
    plan_world(world);
    assert_int_equal(world->plan.request_count, 30);
    free_world(world);
}

static void a_value_is_never_cut_in_two(void **state) {
    (void)state;
    struct world *world = new_world(PLANT_MODBUS_TCP);
    for (uint16_t i = 0; i < 40; i++)
        add_tag(world, 0, PLANT_HOLDING, PLANT_FLOAT64, (uint16_t)(i * 4));
    plan_world(world);
    assert_int_equal(world->plan.request_count, 2);
    assert_request(world, 0, 0, 124, 31);
    assert_request(world, 1, 124, 36, 9);
    free_world(world);
}

static void bits_come_two_thousand_at_once(void **state) {
    (void)state;
    struct world *world = new_world(PLANT_MODBUS_TCP);
    for (uint16_t i = 0; i < 300; i++)
        add_tag(world, 0, PLANT_DISCRETE, PLANT_BIT, (uint16_t)(i * 10));
    plan_world(world);
    assert_int_equal(world->plan.request_count, 2);
    assert_request(world, 0, 0, 1991, 200);
    free_world(world);
}

static void tables_intervals_and_instruments_stay_apart(void **state) {
    (void)state;
    struct world *world = new_world(PLANT_MODBUS_RTU);
    add_tag(world, 0, PLANT_HOLDING, PLANT_UINT16, 0);
    add_tag(world, 0, PLANT_INPUT, PLANT_UINT16, 1);
    add_tag(world, 0, PLANT_HOLDING, PLANT_UINT16, 1)->interval_ms = 5000;
    add_tag(world, 1, PLANT_HOLDING, PLANT_UINT16, 1);
    plan_world(world);
    assert_int_equal(world->plan.request_count, 4);
    free_world(world);
}

static void values_may_share_registers(void **state) {
    (void)state;
    struct world *world = new_world(PLANT_MODBUS_RTU);
    add_tag(world, 0, PLANT_HOLDING, PLANT_FLOAT64, 10);
    add_tag(world, 0, PLANT_HOLDING, PLANT_UINT16, 11);
    add_tag(world, 0, PLANT_HOLDING, PLANT_UINT16, 11);
    plan_world(world);
    assert_int_equal(world->plan.request_count, 1);
    assert_request(world, 0, 10, 4, 3);
    free_world(world);
}

static void a_value_that_runs_past_the_table_is_refused(void **state) {
    (void)state;
    struct world *world = new_world(PLANT_MODBUS_RTU);
    add_tag(world, 0, PLANT_HOLDING, PLANT_FLOAT32, 65535);
    assert_int_equal(plan_bus(&world->plant, 0, &world->plan), FB_INVALID);
    world->tags[0][0].address = 65534;
    plan_world(world);
    assert_request(world, 0, 65534, 2, 1);
    free_world(world);
}

static void a_bus_without_tags_has_an_empty_plan(void **state) {
    (void)state;
    struct world *world = new_world(PLANT_MODBUS_RTU);
    plan_world(world);
    assert_int_equal(world->plan.request_count, 0);
    assert_true(plan_load(&world->bus, &world->plan) == 0.0);
    free_world(world);
}

/* Measured: 125 registers at 9600 8E1 take 303 ms, without the instrument's own delay. */
static void a_full_request_at_9600_takes_a_third_of_a_second(void **state) {
    (void)state;
    struct world *world = new_world(PLANT_MODBUS_RTU);
    for (uint16_t i = 0; i < 125; i++)
        add_tag(world, 0, PLANT_HOLDING, PLANT_UINT16, i);
    plan_world(world);
    const uint64_t cost_us = plan_request_cost_us(&world->bus, &world->plan.requests[0]);
    assert_in_range(cost_us, 303000, 330000);
    assert_true(plan_load(&world->bus, &world->plan) > 0.30 && plan_load(&world->bus, &world->plan) < 0.33);
    world->bus.pause_ms = 100;
    assert_in_range(plan_request_cost_us(&world->bus, &world->plan.requests[0]), cost_us + 90000, cost_us + 100000);
    free_world(world);
}

static void a_status_register_is_read_with_its_value(void **state) {
    (void)state;
    struct world *world = new_world(PLANT_MODBUS_TCP);
    add_tag(world, 0, PLANT_HOLDING, PLANT_FLOAT32, 100)->status = (struct plant_status){.address = 60, .fault = 1};
    add_tag(world, 0, PLANT_HOLDING, PLANT_FLOAT32, 10)->status = (struct plant_status){.address = 14, .fault = 1};
    plan_world(world);
    assert_int_equal(world->plan.request_count, 2);
    assert_request(world, 0, 10, 5, 1);
    assert_request(world, 1, 60, 42, 1);
    free_world(world);
}

static void what_speaks_for_the_instrument_is_read_too(void **state) {
    (void)state;
    struct world *world = new_world(PLANT_MODBUS_TCP);
    add_tag(world, 0, PLANT_HOLDING, PLANT_UINT16, 10);
    world->instruments[0].heartbeat = (struct plant_watch){PLANT_HOLDING, 9, 0xffff, 1000};
    world->instruments[0].service = (struct plant_watch){PLANT_COIL, 3, 1, 1000};
    plan_world(world);
    assert_int_equal(world->plan.request_count, 2);
    assert_request(world, 0, 3, 1, 0);
    assert_int_equal(world->plan.requests[0].watches, PLAN_SERVICE);
    assert_request(world, 1, 9, 2, 1);
    assert_int_equal(world->plan.requests[1].watches, PLAN_HEARTBEAT);
    assert_int_equal(plan_light_request(&world->plan.requests[1]).address, 9);
    assert_int_equal(plan_light_request(&world->plan.requests[1]).count, 1);
    free_world(world);
}

static void a_refused_request_is_cut_at_its_widest_gap_first(void **state) {
    (void)state;
    struct world *world = new_world(PLANT_MODBUS_TCP);
    static const uint16_t addresses[] = {10, 12, 16, 17, 18, 19};
    for (size_t i = 0; i < 6; i++)
        add_tag(world, 0, PLANT_HOLDING, PLANT_UINT16, addresses[i]);
    add_tag(world, 1, PLANT_HOLDING, PLANT_UINT16, 0);
    plan_world(world);
    assert_int_equal(world->plan.request_count, 2);
    assert_true(plan_split(&world->plan, 0));
    assert_request(world, 0, 10, 3, 2);
    assert_request(world, 1, 16, 4, 4);
    assert_int_equal(world->plan.requests[1].tags[0]->address, 16);
    assert_request(world, 2, 0, 1, 1);
    assert_true(plan_split(&world->plan, 1));
    assert_request(world, 1, 16, 2, 2);
    assert_request(world, 2, 18, 2, 2);
    assert_true(plan_split(&world->plan, 0));
    assert_request(world, 0, 10, 1, 1);
    assert_request(world, 1, 12, 1, 1);
    assert_false(plan_split(&world->plan, 0));
    free_world(world);
}

static void a_watch_behind_a_hole_is_cut_off(void **state) {
    (void)state;
    struct world *world = new_world(PLANT_MODBUS_TCP);
    add_tag(world, 0, PLANT_HOLDING, PLANT_FLOAT32, 10);
    world->instruments[0].heartbeat = (struct plant_watch){PLANT_HOLDING, 15, 0xffff, 1000};
    plan_world(world);
    assert_int_equal(world->plan.request_count, 1);
    assert_true(plan_split(&world->plan, 0));
    assert_request(world, 0, 10, 2, 1);
    assert_int_equal(world->plan.requests[0].watches, 0);
    assert_request(world, 1, 15, 1, 0);
    assert_int_equal(world->plan.requests[1].watches, PLAN_HEARTBEAT);
    free_world(world);
}

static void values_that_share_registers_are_never_cut_apart(void **state) {
    (void)state;
    struct world *world = new_world(PLANT_MODBUS_TCP);
    add_tag(world, 0, PLANT_HOLDING, PLANT_UINT32, 10);
    add_tag(world, 0, PLANT_HOLDING, PLANT_UINT32, 11);
    add_tag(world, 0, PLANT_HOLDING, PLANT_UINT16, 12);
    plan_world(world);
    assert_false(plan_split(&world->plan, 0));
    assert_request(world, 0, 10, 3, 3);
    free_world(world);
}

static void splits_are_bounded_and_lose_nothing(void **state) {
    (void)state;
    struct world *world = new_world(PLANT_MODBUS_TCP);
    for (unsigned i = 0; i < TAGS_MAX; i++)
        add_tag(world, 0, PLANT_HOLDING, PLANT_UINT16, (uint16_t)(2 * i));
    plan_world(world);
    const size_t before = world->plan.request_count;
    for (size_t i = 0; i < world->plan.request_count;)
        i += !plan_split(&world->plan, i);
    assert_int_equal(world->plan.request_count, before + PLAN_SPLITS_MOST);
    size_t tags = 0;
    for (size_t i = 0; i < world->plan.request_count; i++) {
        const struct plan_request *request = &world->plan.requests[i];
        assert_ptr_equal(request->tags, world->plan.tags + tags);
        assert_int_equal(request->tags[0]->address, request->address);
        tags += request->tag_count;
    }
    assert_int_equal(tags, TAGS_MAX);
    free_world(world);
}

/* The cheapest way to cut the sorted registers into reads, by dynamic programming; a byte more a request, so that
 * of two that cost nearly the same the one with fewer requests counts as cheaper; microseconds. */
static uint64_t cheapest_us(const struct plant_bus *bus, const uint16_t *addresses, size_t count) {
    uint64_t best[TAGS_MAX + 1] = {0};
    for (size_t end = 1; end <= count; end++) {
        best[end] = UINT64_MAX;
        for (size_t start = end; start-- > 0;) {
            const unsigned length = addresses[end - 1] + 1u - addresses[start];
            if (length > 125)
                break;
            const struct plan_request read = {.table = PLANT_HOLDING, .count = (uint16_t)length};
            const uint64_t cost_us =
                best[start] + plan_request_cost_us(bus, &read) - THINKS_US + plan_character_us(bus);
            best[end] = cost_us < best[end] ? cost_us : best[end];
        }
    }
    return best[count];
}

/* Scattered registers on lines of all speeds, with and without pauses. */
static void no_sweep_is_cheaper(void **state) {
    (void)state;
    static const uint32_t bauds[] = {1200, 9600, 19200, 115200}, pauses_ms[] = {0, 20, 200};
    uint32_t dice = 1;
    for (size_t round = 0; round < 120; round++) {
        struct world *world = new_world(PLANT_MODBUS_RTU);
        uint16_t addresses[TAGS_MAX], address = 0;
        world->bus.baud = bauds[round % 4];
        world->bus.pause_ms = pauses_ms[round % 3];
        for (size_t i = 0; i < TAGS_MAX; i++) {
            dice = dice * 1664525 + 1013904223; /* Numerical Recipes, section 7.1 */
            address = (uint16_t)(address + 1 + (dice >> 16) % (2 + round));
            addresses[i] = address;
            add_tag(world, 0, PLANT_HOLDING, PLANT_UINT16, address);
        }
        plan_world(world);
        const uint64_t cost_us = plan_cycle_us(&world->bus, &world->plan, 0);
        const uint64_t requests = world->plan.request_count;
        assert_int_equal(cost_us + requests * plan_character_us(&world->bus) - requests * THINKS_US,
                         cheapest_us(&world->bus, addresses, TAGS_MAX));
        free_world(world);
    }
}

static void a_cycle_takes_its_requests_and_the_time_outs_of_the_dead(void **state) {
    (void)state;
    struct world *world = new_world(PLANT_MODBUS_RTU);
    world->bus.timeout_ms = 500;
    add_tag(world, 0, PLANT_HOLDING, PLANT_UINT16, 0);
    add_tag(world, 1, PLANT_HOLDING, PLANT_UINT16, 0);
    plan_world(world);
    const uint64_t one_us = plan_request_cost_us(&world->bus, &world->plan.requests[0]);
    assert_int_equal(plan_cycle_us(&world->bus, &world->plan, 0), 2 * one_us);
    assert_int_equal(plan_cycle_us(&world->bus, &world->plan, 1), 500000 + one_us);
    assert_int_equal(plan_cycle_us(&world->bus, &world->plan, 9), 1000000);
    free_world(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_register_is_read_with_its_value),
        cmocka_unit_test(what_speaks_for_the_instrument_is_read_too),
        cmocka_unit_test(a_refused_request_is_cut_at_its_widest_gap_first),
        cmocka_unit_test(a_watch_behind_a_hole_is_cut_off),
        cmocka_unit_test(values_that_share_registers_are_never_cut_apart),
        cmocka_unit_test(splits_are_bounded_and_lose_nothing),
        cmocka_unit_test(no_sweep_is_cheaper),
        cmocka_unit_test(a_cycle_takes_its_requests_and_the_time_outs_of_the_dead),
        cmocka_unit_test(neighbours_are_read_together_in_order_of_address),
        cmocka_unit_test(a_gap_is_read_over_up_to_the_cost_of_a_request),
        cmocka_unit_test(a_long_run_is_cut_where_the_protocol_or_the_instrument_ends),
        cmocka_unit_test(a_value_is_never_cut_in_two),
        cmocka_unit_test(bits_come_two_thousand_at_once),
        cmocka_unit_test(tables_intervals_and_instruments_stay_apart),
        cmocka_unit_test(values_may_share_registers),
        cmocka_unit_test(a_value_that_runs_past_the_table_is_refused),
        cmocka_unit_test(a_bus_without_tags_has_an_empty_plan),
        cmocka_unit_test(a_full_request_at_9600_takes_a_third_of_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
