// links: gateway/receive/chain.c gateway/receive/chain_ranges.c store/thin.c store/batch*.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c
/* test_chain.c - the first batch that was altered, removed or reordered is named; what the gateway itself took out or
 * replaced, and told, is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/common/quality.h"
#include "gateway/receive/chain.h"
#include "store/thin.h"

#define T INT64_C(1795293180000)
#define BATCHES 10

/* Batches 1 to BATCHES, sealed one behind the other. */
struct world {
    struct {
        uint8_t bytes[BATCH_BYTES_MAX];
        size_t length;
        uint64_t number; /* under which it is shown; 0: not at all */
        uint8_t hash[BATCH_HASH_BYTES];
    } batches[BATCHES + 1];
    struct batch_loss loss; /* goes into batch loss_in */
    uint64_t loss_in;
    struct chain_head head;
    uint64_t evicted_to;
};

static void seal(struct world *world, uint64_t number) {
    struct batch_info info = {.gateway = "works-1", .number = number, .sealed_ms = T, .clock = CLOCK_SYNCHRONISED};
    struct reading readings[300];
    struct fb_cause cause;
    for (size_t i = 0; i < 300; i++)
        readings[i] = reading_integer(1, T + (int64_t)(number * 1000 + i), QUALITY_GOOD, (int64_t)(i * 37 % 101));
    if (number > 1)
        memcpy(info.previous, world->batches[number - 1].hash, sizeof info.previous);
    if (number == world->loss_in)
        info.losses[info.loss_count++] = world->loss;
    if (batch_encode(&info, readings, 300, world->batches[number].bytes, &world->batches[number].length, &cause) !=
        FB_OK)
        fail_msg("%s", cause.text);
    batch_hash(world->batches[number].bytes, world->batches[number].length, world->batches[number].hash);
    world->batches[number].number = number;
}

static void seal_all(struct world *world) {
    for (uint64_t number = 1; number <= BATCHES; number++)
        seal(world, number);
}

static struct chain_finding judge(const struct world *world) {
    struct chain *chain;
    struct chain_finding finding;
    struct fb_cause cause;
    assert_int_equal(chain_new(&world->head, &chain, &cause), FB_OK);
    for (uint64_t number = 1; number <= BATCHES; number++)
        for (size_t i = 1; i <= BATCHES; i++)
            if (world->batches[i].number == number)
                assert_int_equal(chain_add(chain, number, world->batches[i].length > 0 ? world->batches[i].bytes : NULL,
                                           world->batches[i].length, &cause),
                                 FB_OK);
    assert_int_equal(chain_judge(chain, world->evicted_to, &finding, &cause), FB_OK);
    chain_free(chain);
    return finding;
}

static void assert_finding(const struct world *world, enum chain_verdict verdict, uint64_t number) {
    const struct chain_finding finding = judge(world);
    assert_int_equal(finding.verdict, verdict);
    if (verdict != CHAIN_GOOD)
        assert_int_equal(finding.number, number);
}

/* Readings are taken out and the batch is sealed again, as somebody with access to the files might. */
static void alter(struct world *world, uint64_t number) {
    static struct thin_result result;
    uint8_t *bytes = malloc(BATCH_BYTES_MAX);
    assert_int_equal(thin_batch(world->batches[number].bytes, world->batches[number].length, bytes,
                                &world->batches[number].length, &result, NULL),
                     FB_OK);
    memcpy(world->batches[number].bytes, bytes, world->batches[number].length);
    free(bytes);
}

static int setup(void **state) {
    *state = calloc(1, sizeof(struct world));
    return *state != NULL ? 0 : -1;
}

static int teardown(void **state) {
    free(*state);
    return 0;
}

static void untouched_batches_are_good(void **state) {
    struct world *world = *state;
    seal_all(world);
    const struct chain_finding finding = judge(world);
    assert_int_equal(finding.verdict, CHAIN_GOOD);
    assert_int_equal(finding.batches, BATCHES);
    assert_int_equal(finding.first, 1);
    assert_int_equal(finding.last, BATCHES);
    assert_memory_equal(finding.hash, world->batches[BATCHES].hash, BATCH_HASH_BYTES);
}

static void an_altered_batch_is_named(void **state) {
    struct world *world = *state;
    for (uint64_t number = 1; number < BATCHES; number++) {
        seal_all(world);
        alter(world, number);
        assert_finding(world, CHAIN_ALTERED, number);
    }
}

static void a_damaged_byte_is_found_in_every_batch_even_the_last(void **state) {
    struct world *world = *state;
    for (uint64_t number = 1; number <= BATCHES; number++) {
        seal_all(world);
        world->batches[number].bytes[world->batches[number].length / 2] ^= 1;
        assert_finding(world, CHAIN_ALTERED, number);
    }
}

static void a_batch_with_another_previous_may_be_the_altered_one(void **state) {
    struct world *world = *state;
    seal_all(world);
    memset(world->batches[4].hash, 0, sizeof world->batches[4].hash);
    seal(world, 5);
    const struct chain_finding finding = judge(world);
    assert_int_equal(finding.verdict, CHAIN_ALTERED);
    assert_int_equal(finding.number, 4);
    assert_true(finding.or_next);
}

static void a_removed_batch_is_named(void **state) {
    struct world *world = *state;
    for (uint64_t number = 1; number < BATCHES; number++) {
        seal_all(world);
        world->batches[number].number = 0;
        assert_finding(world, CHAIN_REMOVED, number);
    }
}

static void swapped_batches_are_named(void **state) {
    struct world *world = *state;
    seal_all(world);
    world->batches[4].number = 5;
    world->batches[5].number = 4;
    assert_finding(world, CHAIN_REORDERED, 4);
}

static void a_batch_of_another_store_is_named(void **state) {
    struct world *world = *state, *other = calloc(1, sizeof *other);
    seal_all(world);
    struct batch_info info = {.gateway = "works-1", .number = 6, .sealed_ms = T};
    memset(info.store_id, 7, sizeof info.store_id);
    memcpy(info.previous, world->batches[5].hash, sizeof info.previous);
    assert_int_equal(batch_encode(&info, NULL, 0, world->batches[6].bytes, &world->batches[6].length, NULL), FB_OK);
    assert_finding(world, CHAIN_FOREIGN, 6);
    free(other);
}

static void a_missing_batch_that_a_loss_record_names_is_explained(void **state) {
    struct world *world = *state;
    world->loss = (struct batch_loss){BATCH_LOSS_QUOTA, 300, T, T, 3, 3};
    world->loss_in = 6;
    seal_all(world);
    world->batches[3].number = 0;
    const struct chain_finding finding = judge(world);
    assert_int_equal(finding.verdict, CHAIN_GOOD);
    assert_int_equal(finding.missing, 1);
    world->batches[4].number = 0;
    assert_finding(world, CHAIN_REMOVED, 4);
}

static void history_that_gave_way_is_no_removal(void **state) {
    struct world *world = *state;
    seal_all(world);
    world->batches[1].number = world->batches[3].number = 0;
    world->evicted_to = 3;
    assert_finding(world, CHAIN_GOOD, 0);
    world->evicted_to = 2;
    assert_finding(world, CHAIN_REMOVED, 3);
}

static void a_replaced_batch_is_accepted_only_where_a_record_names_it(void **state) {
    struct world *world = *state;
    world->loss = (struct batch_loss){BATCH_LOSS_THINNED, 296, T, T, 3, 4};
    world->loss_in = 7;
    seal_all(world);
    alter(world, 3);
    alter(world, 4);
    const struct chain_finding finding = judge(world);
    assert_int_equal(finding.verdict, CHAIN_GOOD);
    assert_int_equal(finding.thinned, 2);
    alter(world, 5);
    assert_finding(world, CHAIN_ALTERED, 5);
}

static void the_record_of_a_replaced_batch_itself_counts_for_nothing(void **state) {
    struct world *world = *state;
    seal_all(world);
    alter(world, 3);
    /* Batch 5 is made anew with a record that would excuse batch 3; batch 6 knows the old one. */
    world->loss = (struct batch_loss){BATCH_LOSS_THINNED, 296, T, T, 3, 4};
    world->loss_in = 5;
    seal(world, 5);
    assert_finding(world, CHAIN_ALTERED, 3);
}

static void a_batch_that_cannot_be_read_needs_a_record(void **state) {
    struct world *world = *state;
    seal_all(world);
    world->batches[3].length = 0;
    assert_finding(world, CHAIN_UNREADABLE, 3);
    world->loss = (struct batch_loss){BATCH_LOSS_DAMAGED, 300, T, T, 3, 3};
    world->loss_in = 7;
    seal_all(world);
    world->batches[3].length = 0;
    assert_finding(world, CHAIN_GOOD, 0);
}

static void pin(struct world *world, uint64_t number) {
    world->head.number = number;
    memcpy(world->head.hash, world->batches[number].hash, BATCH_HASH_BYTES);
}

static void a_pinned_head_fits_by_itself_or_by_the_batch_behind_it(void **state) {
    struct world *world = *state;
    seal_all(world);
    pin(world, BATCHES);
    assert_finding(world, CHAIN_GOOD, 0);
    pin(world, 4);
    assert_finding(world, CHAIN_GOOD, 0);
    world->evicted_to = 4;
    for (size_t i = 1; i <= 4; i++)
        world->batches[i].number = 0;
    assert_finding(world, CHAIN_GOOD, 0);
    pin(world, 3);
    assert_finding(world, CHAIN_HEAD_GONE, 3);
}

static void a_chain_made_anew_does_not_have_the_pinned_head(void **state) {
    struct world *world = *state;
    seal_all(world);
    pin(world, 8);
    memset(world->batches[1].hash, 1, BATCH_HASH_BYTES);
    for (uint64_t number = 2; number <= BATCHES; number++)
        seal(world, number);
    seal(world, 1);
    memcpy(world->batches[1].hash, world->batches[2].hash, BATCH_HASH_BYTES);
    const struct chain_finding finding = judge(world);
    assert_int_not_equal(finding.verdict, CHAIN_GOOD);
    seal_all(world);
    world->head.hash[0] ^= 1;
    assert_finding(world, CHAIN_HEAD_DIFFERS, 8);
}

static void batches_cut_off_behind_show_against_the_pinned_head(void **state) {
    struct world *world = *state;
    seal_all(world);
    pin(world, BATCHES);
    world->batches[BATCHES].number = world->batches[BATCHES - 1].number = 0;
    assert_finding(world, CHAIN_REMOVED, BATCHES - 1);
}

/* Of a store set aside only some batches come: neither the others nor a head behind them were removed for that. */
static void what_never_came_is_not_missed_where_any_may_be_missing(void **state) {
    struct world *world = *state;
    seal_all(world);
    pin(world, BATCHES);
    world->evicted_to = CHAIN_ANY_MAY_BE_MISSING;
    world->batches[1].number = world->batches[4].number = world->batches[BATCHES].number = 0;
    assert_finding(world, CHAIN_HEAD_GONE, BATCHES);
    world->head.number = 0;
    assert_finding(world, CHAIN_GOOD, 0);
    alter(world, 5);
    assert_finding(world, CHAIN_ALTERED, 5);
}

static void nothing_at_all_is_good(void **state) {
    const struct chain_finding finding = judge(*state);
    assert_int_equal(finding.verdict, CHAIN_GOOD);
    assert_int_equal(finding.batches, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(untouched_batches_are_good, setup, teardown),
        cmocka_unit_test_setup_teardown(an_altered_batch_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_byte_is_found_in_every_batch_even_the_last, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_with_another_previous_may_be_the_altered_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_removed_batch_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(swapped_batches_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_of_another_store_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_batch_that_a_loss_record_names_is_explained, setup, teardown),
        cmocka_unit_test_setup_teardown(history_that_gave_way_is_no_removal, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replaced_batch_is_accepted_only_where_a_record_names_it, setup, teardown),
        cmocka_unit_test_setup_teardown(the_record_of_a_replaced_batch_itself_counts_for_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_that_cannot_be_read_needs_a_record, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pinned_head_fits_by_itself_or_by_the_batch_behind_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_chain_made_anew_does_not_have_the_pinned_head, setup, teardown),
        cmocka_unit_test_setup_teardown(batches_cut_off_behind_show_against_the_pinned_head, setup, teardown),
        cmocka_unit_test_setup_teardown(what_never_came_is_not_missed_where_any_may_be_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_at_all_is_good, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
