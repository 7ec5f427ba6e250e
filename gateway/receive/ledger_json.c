#include "gateway/receive/ledger_json.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/common/hex.h"

#define HASH_TEXT (2 * BATCH_HASH_BYTES + 1)

/* The counters of a store that stand in the file under their own names. */
static const struct counter {
    const char *name;
    size_t offset;
    bool optional; /* missing in files of before it was counted */
} counters[] = {
    {"batches", offsetof(struct ledger_store, batches)},
    {"readings", offsetof(struct ledger_store, readings)},
    {"repeated_batches", offsetof(struct ledger_store, repeated)},
    {"lost_readings", offsetof(struct ledger_store, lost_readings)},
    {"chain_breaks", offsetof(struct ledger_store, chain_breaks)},
    {"unnamed_readings", offsetof(struct ledger_store, unnamed_readings)},
    {"events", offsetof(struct ledger_store, events), true},
    {"last_event", offsetof(struct ledger_store, last_event), true},
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

static json_t *ranges_to_json(const struct ledger_range *ranges, size_t count) {
    json_t *json = json_array();
    bool good = json != NULL;
    for (size_t i = 0; good && i < count; i++)
        good = json_array_append_new(json,
                                     json_pack("[II]", (json_int_t)ranges[i].first, (json_int_t)ranges[i].last)) == 0;
    if (good)
        return json;
    json_decref(json);
    return NULL;
}

static json_t *broken_to_json(const struct ledger_store *store) {
    json_t *json = json_array();
    bool good = json != NULL;
    for (size_t i = 0; good && i < store->broken_count; i++)
        good = json_array_append_new(json, json_integer((json_int_t)store->broken[i])) == 0;
    if (good)
        return json;
    json_decref(json);
    return NULL;
}

static json_t *corrections_to_json(const struct ledger_store *store) {
    json_t *json = json_array();
    bool good = json != NULL;
    for (size_t i = 0; good && i < store->correction_count; i++) {
        const struct batch_correction *record = &store->corrections[i];
        good = json_array_append_new(json, json_pack("[IIIII]", (json_int_t)record->first_batch,
                                                     (json_int_t)record->last_batch, (json_int_t)record->from_ms,
                                                     (json_int_t)record->to_ms, (json_int_t)record->right_ms)) == 0;
    }
    if (good)
        return json;
    json_decref(json);
    return NULL;
}

static json_t *store_to_json(const struct ledger_store *store) {
    char id[2 * BATCH_STORE_ID_BYTES + 1];
    hex_encode(store->id, sizeof store->id, id);
    json_t *json = json_pack("{ss, ss, sI, so, so, so, so, so}", "store", id, "gateway", store->gateway,
                             "missing_batches", (json_int_t)ledger_missing(store), "runs", runs_to_json(store), "lost",
                             ranges_to_json(store->lost, store->lost_count), "thinned",
                             ranges_to_json(store->thinned, store->thinned_count), "broken", broken_to_json(store),
                             "corrections", corrections_to_json(store));
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
    return json_pack("{sI, sI, sI, sI, sI, sI, sI, sI, sI, sI, sI}", "readings", (json_int_t)totals->readings,
                     "batches", (json_int_t)totals->batches, "gateways", (json_int_t)totals->gateways, "stores",
                     (json_int_t)totals->stores, "missing_batches", (json_int_t)totals->missing_batches,
                     "lost_readings", (json_int_t)totals->lost_readings, "repeated_batches",
                     (json_int_t)totals->repeated_batches, "rejected", (json_int_t)totals->rejected, "chain_breaks",
                     (json_int_t)totals->chain_breaks, "unnamed_readings", (json_int_t)totals->unnamed_readings,
                     "events", (json_int_t)totals->events);
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

/* What batches name always lies below a batch that arrived. */
static bool below_last(const struct ledger_store *store, uint64_t number) {
    return store->run_count > 0 && number < store->runs[store->run_count - 1].last;
}

static bool ranges_from_json(const json_t *json, const struct ledger_store *store, struct ledger_range **ret_ranges,
                             size_t *ret_count) {
    const size_t count = json_array_size(json);
    if (!json_is_array(json) || count > LEDGER_RUNS_MAX ||
        (*ret_ranges = calloc(count + 1, sizeof **ret_ranges)) == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct ledger_range *range = &(*ret_ranges)[i];
        if (!range_from_json(json_array_get(json, i), 2, i > 0 ? range[-1].last + 1 : 0, &range->first, &range->last))
            return false;
    }
    *ret_count = count;
    return count == 0 || below_last(store, (*ret_ranges)[count - 1].last);
}

static bool broken_from_json(const json_t *json, struct ledger_store *store) {
    const size_t count = json_array_size(json);
    if (!json_is_array(json) || count > LEDGER_RUNS_MAX ||
        (store->broken = calloc(count + 1, sizeof *store->broken)) == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!number_from_json(json_array_get(json, i), &store->broken[i]) || !below_last(store, store->broken[i]))
            return false;
    store->broken_count = count;
    return true;
}

static bool correction_from_json(const json_t *json, struct batch_correction *ret_record) {
    uint64_t from_ms, to_ms, right_ms;
    if (!range_from_json(json, 5, 0, &ret_record->first_batch, &ret_record->last_batch) ||
        !number_from_json(json_array_get(json, 2), &from_ms) || !number_from_json(json_array_get(json, 3), &to_ms) ||
        !number_from_json(json_array_get(json, 4), &right_ms))
        return false;
    const uint64_t most = (uint64_t)READING_TIME_MAX_MS;
    ret_record->from_ms = (int64_t)from_ms;
    ret_record->to_ms = (int64_t)to_ms;
    ret_record->right_ms = (int64_t)right_ms;
    return from_ms <= to_ms && to_ms <= most && right_ms <= most;
}

/* Absent in files of before there were any. */
static bool corrections_from_json(const json_t *json, struct ledger_store *store) {
    const size_t count = json_array_size(json);
    if ((json != NULL && !json_is_array(json)) || count > LEDGER_CORRECTIONS_MAX)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!correction_from_json(json_array_get(json, i), &store->corrections[i]))
            return false;
        else
            memcpy(store->corrections[i].store_id, store->id, sizeof store->id);
    store->correction_count = count;
    return true;
}

static bool store_from_json(const json_t *json, struct ledger_store *store) {
    const char *id = json_string_value(json_object_get(json, "store"));
    const char *gateway = json_string_value(json_object_get(json, "gateway"));
    if (id == NULL || !hex_decode(id, store->id, sizeof store->id) || gateway == NULL ||
        strlen(gateway) >= sizeof store->gateway)
        return false;
    memcpy(store->gateway, gateway, strlen(gateway) + 1);
    for (size_t i = 0; i < COUNTERS; i++) {
        const json_t *value = json_object_get(json, counters[i].name);
        if (!(value == NULL && counters[i].optional) &&
            !number_from_json(value, (uint64_t *)((char *)store + counters[i].offset)))
            return false;
    }
    return runs_from_json(json_object_get(json, "runs"), store) &&
           ranges_from_json(json_object_get(json, "lost"), store, &store->lost, &store->lost_count) &&
           ranges_from_json(json_object_get(json, "thinned"), store, &store->thinned, &store->thinned_count) &&
           broken_from_json(json_object_get(json, "broken"), store) &&
           corrections_from_json(json_object_get(json, "corrections"), store);
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
