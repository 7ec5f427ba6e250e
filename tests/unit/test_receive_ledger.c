// links: gateway/receive/ledger.c gateway/receive/ledger_json.c gateway/common/hex.c gateway/common/error.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/receive/ledger_json.h"

static void fake_hash(uint8_t store, uint64_t number, uint8_t ret_hash[BATCH_HASH_BYTES]) {
    memset(ret_hash, number == 0 ? 0 : 1, BATCH_HASH_BYTES);
    if (number == 0)
        return;
    ret_hash[0] = store;
    memcpy(ret_hash + 1, &number, sizeof number);
}

static struct batch_info batch(uint8_t store, uint64_t number) {
    struct batch_info info = {.gateway = "works-1", .store_id = {store}, .number = number};
    fake_hash(store, number - 1, info.previous);
    return info;
}

static enum ledger_verdict add_info(struct ledger *ledger, const struct batch_info *info, struct ledger_entry *entry) {
    uint8_t hash[BATCH_HASH_BYTES];
    fake_hash(info->store_id[0], info->number, hash);
    return ledger_add(ledger, info, hash, 10, entry);
}

static enum ledger_verdict add(struct ledger *ledger, uint64_t number) {
    const struct batch_info info = batch(7, number);
    struct ledger_entry entry;
    const enum ledger_verdict verdict = add_info(ledger, &info, &entry);
    assert_false(entry.chain_broken);
    return verdict;
}

static void ordered_batches_make_one_run(void **state) {
    (void)state;
    struct ledger ledger = {0};
    for (uint64_t number = 1; number <= 100; number++)
        assert_int_equal(add(&ledger, number), LEDGER_NEW);
    assert_int_equal(ledger.store_count, 1);
    assert_int_equal(ledger.stores[0].run_count, 1);
    const struct ledger_totals totals = ledger_sum(&ledger);
    char line[200];
    ledger_summary(&totals, line, sizeof line);
    assert_string_equal(line, "received 1000 readings in 100 batches from 1 gateway, 0 missing, 0 lost, 0 repeated");
    ledger_done(&ledger);
}

static void a_repeat_is_told_apart(void **state) {
    (void)state;
    struct ledger ledger = {0};
    for (uint64_t number = 1; number <= 3; number++)
        assert_int_equal(add(&ledger, number), LEDGER_NEW);
    for (uint64_t number = 1; number <= 3; number++)
        assert_int_equal(add(&ledger, number), LEDGER_REPEATED);
    assert_int_equal(ledger_sum(&ledger).repeated_batches, 3);
    assert_int_equal(ledger_sum(&ledger).readings, 30);
    ledger_done(&ledger);
}

static void a_gap_is_missing_until_it_closes(void **state) {
    (void)state;
    struct ledger ledger = {0};
    assert_int_equal(add(&ledger, 5), LEDGER_NEW);
    assert_int_equal(ledger_missing(&ledger.stores[0]), 4);
    static const uint64_t backlog[] = {1, 3, 2, 4};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(add(&ledger, backlog[i]), LEDGER_NEW);
        assert_int_equal(ledger_missing(&ledger.stores[0]), 3 - i);
    }
    assert_int_equal(ledger.stores[0].run_count, 1);
    ledger_done(&ledger);
}

static void a_foreign_batch_breaks_the_chain_on_either_side(void **state) {
    (void)state;
    struct ledger ledger = {0};
    struct ledger_entry entry;
    assert_int_equal(add(&ledger, 1), LEDGER_NEW);
    struct batch_info info = batch(7, 2);
    info.previous[5] ^= 1;
    assert_int_equal(add_info(&ledger, &info, &entry), LEDGER_NEW);
    assert_true(entry.chain_broken);
    assert_int_equal(add(&ledger, 4), LEDGER_NEW);
    info = batch(7, 3);
    uint8_t other[BATCH_HASH_BYTES] = {42};
    assert_int_equal(ledger_add(&ledger, &info, other, 10, &entry), LEDGER_NEW);
    assert_true(entry.chain_broken);
    info = batch(8, 1);
    info.previous[0] = 1;
    assert_int_equal(add_info(&ledger, &info, &entry), LEDGER_NEW);
    assert_true(entry.chain_broken);
    assert_int_equal(ledger_sum(&ledger).chain_breaks, 3);
    ledger_done(&ledger);
}

static void the_same_number_with_other_content_is_a_contradiction(void **state) {
    (void)state;
    struct ledger ledger = {0};
    struct ledger_entry entry;
    assert_int_equal(add(&ledger, 1), LEDGER_NEW);
    assert_int_equal(add(&ledger, 2), LEDGER_NEW);
    const struct batch_info info = batch(7, 2);
    const uint8_t other[BATCH_HASH_BYTES] = {42};
    assert_int_equal(ledger_add(&ledger, &info, other, 10, &entry), LEDGER_CONTRADICTS);
    assert_int_equal(ledger_sum(&ledger).repeated_batches, 0);
    ledger_done(&ledger);
}

/* Batch 3 was replaced after it was sealed; batch 6 says so. Whatever comes first, in the end nothing is broken. */
static void a_replaced_batch_is_no_break_once_a_record_names_it(void **state) {
    (void)state;
    for (int told_first = 0; told_first < 2; told_first++) {
        struct ledger ledger = {0};
        struct ledger_entry entry;
        const uint8_t thinner[BATCH_HASH_BYTES] = {42};
        const struct batch_info replaced = batch(7, 3);
        struct batch_info teller = batch(7, 6);
        teller.losses[0] = (struct batch_loss){BATCH_LOSS_THINNED, 5, 0, 0, 3, 3};
        teller.loss_count = 1;
        if (told_first)
            assert_int_equal(add_info(&ledger, &teller, &entry), LEDGER_NEW);
        assert_int_equal(add(&ledger, 4), LEDGER_NEW);
        assert_int_equal(ledger_add(&ledger, &replaced, thinner, 5, &entry), LEDGER_NEW);
        assert_int_equal(entry.chain_broken, !told_first);
        if (!told_first)
            assert_int_equal(add_info(&ledger, &teller, &entry), LEDGER_NEW);
        assert_int_equal(ledger_sum(&ledger).chain_breaks, 0);
        assert_int_equal(ledger_missing(&ledger.stores[0]), 3); /* 1, 2, 5: a thinned batch still comes */
        /* The same number as it was before is a repeat, not a contradiction. */
        assert_int_equal(add_info(&ledger, &replaced, &entry), LEDGER_REPEATED);
        ledger_done(&ledger);
    }
}

static void what_may_still_be_explained_survives_the_state_file(void **state) {
    (void)state;
    struct ledger ledger = {0}, again;
    struct ledger_entry entry;
    struct fb_cause cause;
    const uint8_t other[BATCH_HASH_BYTES] = {42};
    struct batch_info info = batch(7, 3);
    assert_int_equal(add(&ledger, 4), LEDGER_NEW);
    assert_int_equal(ledger_add(&ledger, &info, other, 5, &entry), LEDGER_NEW);
    json_t *json = ledger_to_json(&ledger);
    assert_int_equal(ledger_from_json(json, &again, &cause), FB_OK);
    json_decref(json);
    assert_int_equal(ledger_sum(&again).chain_breaks, 1);
    info = batch(7, 5);
    info.losses[0] = (struct batch_loss){BATCH_LOSS_THINNED, 5, 0, 0, 2, 3};
    info.loss_count = 1;
    assert_int_equal(add_info(&again, &info, &entry), LEDGER_NEW);
    assert_int_equal(ledger_sum(&again).chain_breaks, 0);
    json = ledger_to_json(&again);
    ledger_done(&again);
    assert_int_equal(ledger_from_json(json, &again, &cause), FB_OK);
    json_decref(json);
    assert_int_equal(again.stores[0].thinned_count, 1);
    assert_int_equal(again.stores[0].thinned[0].last, 3);
    ledger_done(&again);
    ledger_done(&ledger);
}

static void named_losses_are_not_missing(void **state) {
    (void)state;
    struct ledger ledger = {0};
    struct ledger_entry entry;
    assert_int_equal(add(&ledger, 1), LEDGER_NEW);
    struct batch_info info = batch(7, 10);
    info.losses[0] = (struct batch_loss){.reason = BATCH_LOSS_QUOTA, .readings = 40, .first_batch = 2, .last_batch = 5};
    info.losses[1] = (struct batch_loss){.reason = BATCH_LOSS_QUOTA, .readings = 10, .first_batch = 5, .last_batch = 6};
    info.losses[2] = (struct batch_loss){.reason = BATCH_LOSS_STORE_FULL, .readings = 0};
    info.loss_count = 3;
    assert_int_equal(add_info(&ledger, &info, &entry), LEDGER_NEW);
    assert_int_equal(entry.missing, 3);
    assert_int_equal(ledger_sum(&ledger).lost_readings, 51);
    assert_int_equal(ledger.stores[0].lost_count, 1);
    /* One of them had got through after all. */
    assert_int_equal(add(&ledger, 4), LEDGER_NEW);
    assert_int_equal(ledger_missing(&ledger.stores[0]), 3);
    /* A repeat does not count its losses again. */
    assert_int_equal(add_info(&ledger, &info, &entry), LEDGER_REPEATED);
    assert_int_equal(ledger_sum(&ledger).lost_readings, 51);
    ledger_done(&ledger);
}

static void a_loss_beyond_its_batch_is_cut(void **state) {
    (void)state;
    struct ledger ledger = {0};
    struct ledger_entry entry;
    struct batch_info info = batch(7, 3);
    info.losses[0] = (struct batch_loss){.readings = UINT64_MAX, .first_batch = 1, .last_batch = UINT64_MAX};
    info.losses[1] = (struct batch_loss){.readings = UINT64_MAX, .first_batch = 9, .last_batch = 12};
    info.loss_count = 2;
    assert_int_equal(add_info(&ledger, &info, &entry), LEDGER_NEW);
    assert_int_equal(entry.missing, 0);
    assert_int_equal(ledger.stores[0].lost[0].last, 2);
    assert_int_equal(ledger_sum(&ledger).lost_readings, LEDGER_NUMBER_MAX);
    ledger_done(&ledger);
}

static void limits_hold(void **state) {
    (void)state;
    struct ledger ledger = {0};
    struct ledger_entry entry;
    assert_int_equal(add(&ledger, LEDGER_NUMBER_MAX + 1), LEDGER_NO_NUMBER);
    struct batch_info info = {.number = 0};
    assert_int_equal(ledger_add(&ledger, &info, info.previous, 0, &entry), LEDGER_NO_NUMBER);
    for (uint64_t i = 1; i <= LEDGER_RUNS_MAX; i++)
        assert_int_equal(add(&ledger, 2 * i), LEDGER_NEW);
    assert_int_equal(add(&ledger, 5000), LEDGER_NO_ROOM);
    assert_int_equal(ledger_sum(&ledger).batches, LEDGER_RUNS_MAX);
    assert_int_equal(add(&ledger, 3), LEDGER_NEW);
    assert_int_equal(add(&ledger, 5000), LEDGER_NEW);
    for (unsigned store = 0; store < LEDGER_STORES_MAX; store++) {
        info = batch((uint8_t)store, 1);
        assert_int_equal(add_info(&ledger, &info, &entry), LEDGER_NEW);
    }
    info.store_id[3] = 1;
    assert_int_equal(add_info(&ledger, &info, &entry), LEDGER_NO_ROOM);
    assert_null(entry.store);
    ledger_done(&ledger);
}

#define MODEL_NUMBERS 400

/* Any order, any repeats: always what a plain list of numbers says. */
static void it_agrees_with_a_plain_list_in_any_order(void **state) {
    (void)state;
    for (unsigned seed = 1; seed <= 50; seed++) {
        struct ledger ledger = {0};
        bool arrived[MODEL_NUMBERS + 1] = {false};
        uint64_t highest = 0, count = 0;
        srand(seed);
        for (unsigned i = 0; i < 600; i++) {
            const uint64_t number = 1 + (uint64_t)rand() % MODEL_NUMBERS;
            assert_int_equal(add(&ledger, number), arrived[number] ? LEDGER_REPEATED : LEDGER_NEW);
            count += !arrived[number];
            arrived[number] = true;
            highest = number > highest ? number : highest;
            assert_int_equal(ledger_missing(&ledger.stores[0]), highest - count);
        }
        size_t runs = 0;
        for (uint64_t number = 1; number <= MODEL_NUMBERS; number++)
            runs += arrived[number] && !arrived[number - 1];
        assert_int_equal(ledger.stores[0].run_count, runs);
        ledger_done(&ledger);
    }
}

static void it_survives_json(void **state) {
    (void)state;
    struct ledger ledger = {.rejected = 3}, again = {0};
    struct ledger_entry entry;
    struct batch_info info = batch(9, 50);
    info.losses[0] = (struct batch_loss){.readings = 5, .first_batch = 10, .last_batch = 12};
    info.loss_count = 1;
    assert_int_equal(add_info(&ledger, &info, &entry), LEDGER_NEW);
    for (uint64_t number = 1; number < 20; number += 3)
        assert_int_equal(add(&ledger, number), LEDGER_NEW);
    json_t *json = ledger_to_json(&ledger);
    assert_int_equal(ledger_from_json(json, &again, NULL), FB_OK);
    json_t *json_again = ledger_to_json(&again);
    assert_true(json_equal(json, json_again));
    const struct ledger_totals totals = ledger_sum(&ledger), totals_again = ledger_sum(&again);
    assert_memory_equal(&totals, &totals_again, sizeof totals);
    assert_int_equal(add(&again, 4), LEDGER_REPEATED);
    json_decref(json);
    json_decref(json_again);
    ledger_done(&ledger);
    ledger_done(&again);
}

static void damaged_json_is_refused(void **state) {
    (void)state;
#define HASH "\"0101010101010101010101010101010101010101010101010101010101010101\""
#define STORE(runs, lost)                                                                                              \
    "{\"rejected\":0,\"stores\":[{\"store\":\"07000000000000000000000000000000\",\"gateway\":\"g\",\"batches\":1,"     \
    "\"readings\":1,\"repeated_batches\":0,\"lost_readings\":0,\"chain_breaks\":0,\"unnamed_readings\":0,"             \
    "\"runs\":" runs ",\"lost\":" lost ",\"thinned\":[],\"broken\":[]}]}"
    static const struct {
        const char *text;
        enum fb_error error;
    } cases[] = {
        {STORE("[[3,4," HASH "," HASH "]]", "[[1,2]]"), FB_OK},
        {"{}", FB_CORRUPT},
        {"{\"rejected\":-1,\"stores\":[]}", FB_CORRUPT},
        {"{\"rejected\":0,\"stores\":[{}]}", FB_CORRUPT},
        {STORE("[[0,4," HASH "," HASH "]]", "[]"), FB_CORRUPT},
        {STORE("[[4,3," HASH "," HASH "]]", "[]"), FB_CORRUPT},
        {STORE("[[3,4," HASH ",\"01\"]]", "[]"), FB_CORRUPT},
        {STORE("[[3,4," HASH "," HASH "],[5,5," HASH "," HASH "]]", "[]"), FB_CORRUPT},
        {STORE("[[3,9007199254740993," HASH "," HASH "]]", "[]"), FB_CORRUPT},
        {STORE("[[3,4," HASH "," HASH "]]", "[[1,4]]"), FB_CORRUPT},
        {STORE("[]", "[[1,2]]"), FB_CORRUPT},
        {STORE("7", "[]"), FB_CORRUPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ledger ledger = {0};
        json_t *json = json_loads(cases[i].text, 0, NULL);
        assert_non_null(json);
        assert_int_equal(ledger_from_json(json, &ledger, NULL), cases[i].error);
        json_decref(json);
        ledger_done(&ledger);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordered_batches_make_one_run),
        cmocka_unit_test(a_repeat_is_told_apart),
        cmocka_unit_test(a_gap_is_missing_until_it_closes),
        cmocka_unit_test(a_foreign_batch_breaks_the_chain_on_either_side),
        cmocka_unit_test(the_same_number_with_other_content_is_a_contradiction),
        cmocka_unit_test(a_replaced_batch_is_no_break_once_a_record_names_it),
        cmocka_unit_test(what_may_still_be_explained_survives_the_state_file),
        cmocka_unit_test(named_losses_are_not_missing),
        cmocka_unit_test(a_loss_beyond_its_batch_is_cut),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(it_agrees_with_a_plain_list_in_any_order),
        cmocka_unit_test(it_survives_json),
        cmocka_unit_test(damaged_json_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
