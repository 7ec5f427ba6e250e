#include "gateway/receive/ledger_json.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/common/hex.h"

#define HASH_TEXT (2 * BATCH_HASH_BYTES + 1)

/* The counters of a store that stand in the file under their own names. */
static const struct counter {
    const char *name;
    size_t offset;
} counters[] = {
    {"batches", offsetof(struct ledger_store, batches)},
    {"readings", offsetof(struct ledger_store, readings)},
    {"repeated_batches", offsetof(struct ledger_store, repeated)},
    {"lost_readings", offsetof(struct ledger_store, lost_readings)},
    {"chain_breaks", offsetof(struct ledger_store, chain_breaks)},
    {"unnamed_readings", offsetof(struct ledger_store, unnamed_readings)},
};
#define COUNTERS (sizeof counters / sizeof counters[0])

static json_t *run_to_json(const struct ledger_run *run) {
    char previous[HASH_TEXT], hash[HASH_TEXT];
    hex_encode(run->previous, sizeof run->previous, previous);
    hex_encode(run->hash, sizeof run->hash, hash);
    return json_pack("[IIss]", (json_int_t)run->first, (json_int_t)run->last, previous, hash);
}

static json_t *runs_to_json(const struct ledger_store *store) {
    json_t *runs = json_array();
    bool good = runs != NULL;
    for (size_t i = 0; good && i < store->run_count; i++)
        good = json_array_append_new(runs, run_to_json(&store->runs[i])) == 0;
    if (good)
        return runs;
    json_decref(runs);
    return NULL;
}

static json_t *lost_to_json(const struct ledger_store *store) {
    json_t *lost = json_array();
    bool good = lost != NULL;
    for (size_t i = 0; good && i < store->lost_count; i++)
        good = json_array_append_new(
                   lost, json_pack("[II]", (json_int_t)store->lost[i].first, (json_int_t)store->lost[i].last)) == 0;
    if (good)
        return lost;
    json_decref(lost);
    return NULL;
}

static json_t *store_to_json(const struct ledger_store *store) {
    char id[2 * BATCH_STORE_ID_BYTES + 1];
    hex_encode(store->id, sizeof store->id, id);
    json_t *json =
        json_pack("{ss, ss, sI, so, so}", "store", id, "gateway", store->gateway, "missing_batches",
                  (json_int_t)ledger_missing(store), "runs", runs_to_json(store), "lost", lost_to_json(store));
    bool good = json != NULL;
    for (size_t i = 0; good && i < COUNTERS; i++) {
        const uint64_t *value = (const uint64_t *)((const char *)store + counters[i].offset);
        good = json_object_set_new(json, counters[i].name, json_integer((json_int_t)*value)) == 0;
    }
    if (good)
        return json;
    json_decref(json);
    return NULL;
}

json_t *ledger_to_json(const struct ledger *ledger) {
    json_t *stores = json_array();
    bool good = stores != NULL;
    for (size_t i = 0; good && i < ledger->store_count; i++)
        good = json_array_append_new(stores, store_to_json(&ledger->stores[i])) == 0;
    if (good)
        return json_pack("{sI, so}", "rejected", (json_int_t)ledger->rejected, "stores", stores);
    json_decref(stores);
    return NULL;
}

json_t *ledger_totals_to_json(const struct ledger_totals *totals) {
    return json_pack("{sI, sI, sI, sI, sI, sI, sI, sI, sI, sI}", "readings", (json_int_t)totals->readings, "batches",
                     (json_int_t)totals->batches, "gateways", (json_int_t)totals->gateways, "stores",
                     (json_int_t)totals->stores, "missing_batches", (json_int_t)totals->missing_batches,
                     "lost_readings", (json_int_t)totals->lost_readings, "repeated_batches",
                     (json_int_t)totals->repeated_batches, "rejected", (json_int_t)totals->rejected, "chain_breaks",
                     (json_int_t)totals->chain_breaks, "unnamed_readings", (json_int_t)totals->unnamed_readings);
}

static bool number_from_json(const json_t *json, uint64_t *ret_number) {
    const json_int_t value = json_integer_value(json);
    if (!json_is_integer(json) || value < 0)
        return false;
    *ret_number = (uint64_t)value;
    return true;
}

/* [first, last, ...] behind all that came before. */
static bool range_from_json(const json_t *json, size_t members, uint64_t behind, uint64_t *ret_first,
                            uint64_t *ret_last) {
    return json_is_array(json) && json_array_size(json) == members &&
           number_from_json(json_array_get(json, 0), ret_first) &&
           number_from_json(json_array_get(json, 1), ret_last) && *ret_first > behind && *ret_first <= *ret_last &&
           *ret_last <= LEDGER_NUMBER_MAX;
}

static bool hash_from_json(const json_t *json, uint8_t *ret_hash) {
    return json_is_string(json) && hex_decode(json_string_value(json), ret_hash, BATCH_HASH_BYTES);
}

static bool runs_from_json(const json_t *json, struct ledger_store *store) {
    const size_t count = json_array_size(json);
    if (!json_is_array(json) || count > LEDGER_RUNS_MAX ||
        (store->runs = calloc(count + 1, sizeof *store->runs)) == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct ledger_run *run = &store->runs[i];
        const json_t *item = json_array_get(json, i);
        if (!range_from_json(item, 4, i > 0 ? run[-1].last + 1 : 0, &run->first, &run->last) ||
            !hash_from_json(json_array_get(item, 2), run->previous) ||
            !hash_from_json(json_array_get(item, 3), run->hash))
            return false;
    }
    store->run_count = count;
    return true;
}

/* A range of lost batches always lies below a batch that arrived. */
static bool lost_from_json(const json_t *json, struct ledger_store *store) {
    const size_t count = json_array_size(json);
    if (!json_is_array(json) || count > LEDGER_RUNS_MAX ||
        (store->lost = calloc(count + 1, sizeof *store->lost)) == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct ledger_range *range = &store->lost[i];
        if (!range_from_json(json_array_get(json, i), 2, i > 0 ? range[-1].last + 1 : 0, &range->first, &range->last))
            return false;
    }
    store->lost_count = count;
    return count == 0 || (store->run_count > 0 && store->lost[count - 1].last < store->runs[store->run_count - 1].last);
}

static bool store_from_json(const json_t *json, struct ledger_store *store) {
    const char *id = json_string_value(json_object_get(json, "store"));
    const char *gateway = json_string_value(json_object_get(json, "gateway"));
    if (id == NULL || !hex_decode(id, store->id, sizeof store->id) || gateway == NULL ||
        strlen(gateway) >= sizeof store->gateway)
        return false;
    memcpy(store->gateway, gateway, strlen(gateway) + 1);
    for (size_t i = 0; i < COUNTERS; i++)
        if (!number_from_json(json_object_get(json, counters[i].name),
                              (uint64_t *)((char *)store + counters[i].offset)))
            return false;
    return runs_from_json(json_object_get(json, "runs"), store) && lost_from_json(json_object_get(json, "lost"), store);
}

enum fb_error ledger_from_json(const json_t *json, struct ledger *ret_ledger, struct fb_cause *cause) {
    struct ledger ledger = {0};
    const json_t *stores = json_object_get(json, "stores");
    const size_t count = json_array_size(stores);
    if (!json_is_array(stores) || count > LEDGER_STORES_MAX ||
        !number_from_json(json_object_get(json, "rejected"), &ledger.rejected))
        return fb_fail(cause, FB_CORRUPT, "no list of stores");
    ledger.stores = calloc(count + 1, sizeof *ledger.stores);
    if (ledger.stores == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    for (; ledger.store_count < count; ledger.store_count++)
        if (!store_from_json(json_array_get(stores, ledger.store_count), &ledger.stores[ledger.store_count])) {
            const size_t bad = ledger.store_count++;
            ledger_done(&ledger);
            return fb_fail(cause, FB_CORRUPT, "store %zu of the list is not as it was written", bad + 1);
        }
    *ret_ledger = ledger;
    return FB_OK;
}
