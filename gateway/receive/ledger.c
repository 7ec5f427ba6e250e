#include "gateway/receive/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ledger_done(struct ledger *ledger) {
    for (size_t i = 0; i < ledger->store_count; i++) {
        free(ledger->stores[i].runs);
        free(ledger->stores[i].lost);
        free(ledger->stores[i].thinned);
        free(ledger->stores[i].broken);
    }
    free(ledger->stores);
    *ledger = (struct ledger){0};
}

static struct ledger_store *find_store(struct ledger *ledger, const uint8_t *id) {
    for (size_t i = 0; i < ledger->store_count; i++)
        if (memcmp(ledger->stores[i].id, id, BATCH_STORE_ID_BYTES) == 0)
            return &ledger->stores[i];
    return NULL;
}

static enum ledger_verdict add_store(struct ledger *ledger, const uint8_t *id, const char *gateway,
                                     struct ledger_store **ret_store) {
    if (ledger->store_count == LEDGER_STORES_MAX)
        return LEDGER_NO_ROOM;
    struct ledger_store *grown = reallocarray(ledger->stores, ledger->store_count + 1, sizeof *grown);
    if (grown == NULL)
        return LEDGER_NO_MEMORY;
    ledger->stores = grown;
    struct ledger_store *store = &grown[ledger->store_count++];
    *store = (struct ledger_store){0};
    memcpy(store->id, id, sizeof store->id);
    snprintf(store->gateway, sizeof store->gateway, "%s", gateway);
    *ret_store = store;
    return LEDGER_NEW;
}

/* The first run that ends at number or behind it; run_count if there is none. */
static size_t run_at(const struct ledger_store *store, uint64_t number) {
    size_t low = 0, high = store->run_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (store->runs[middle].last < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool same_hash(const uint8_t *a, const uint8_t *b) {
    return memcmp(a, b, BATCH_HASH_BYTES) == 0;
}

/* Only the ends of a run still know their hashes; in between a repeat is believed. */
static bool contradicts(const struct ledger_run *run, const struct batch_info *info, const uint8_t *hash) {
    return (info->number == run->last && !same_hash(run->hash, hash)) ||
           (info->number == run->first && !same_hash(run->previous, info->previous));
}

static enum ledger_verdict insert_run(struct ledger_store *store, size_t at, uint64_t number) {
    if (store->run_count == LEDGER_RUNS_MAX)
        return LEDGER_NO_ROOM;
    struct ledger_run *grown = reallocarray(store->runs, store->run_count + 1, sizeof *grown);
    if (grown == NULL)
        return LEDGER_NO_MEMORY;
    store->runs = grown;
    memmove(&grown[at + 1], &grown[at], (store->run_count - at) * sizeof *grown);
    store->run_count++;
    grown[at] = (struct ledger_run){.first = number, .last = number};
    return LEDGER_NEW;
}

static void remove_run(struct ledger_store *store, size_t at) {
    store->run_count--;
    memmove(&store->runs[at], &store->runs[at + 1], (store->run_count - at) * sizeof *store->runs);
}

/* Which links of the chain do not hold: to the batch before, to the one behind. */
struct misfit {
    bool before, behind;
};

static struct misfit compare(const struct ledger_run *left, const struct ledger_run *right,
                             const struct batch_info *info, const uint8_t *hash) {
    static const uint8_t none[BATCH_HASH_BYTES];
    return (struct misfit){
        .before = (left != NULL && !same_hash(left->hash, info->previous)) ||
                  (info->number == 1 && !same_hash(info->previous, none)),
        .behind = right != NULL && !same_hash(right->previous, hash),
    };
}

/* Put a number that is in no run into its place: at an end of a run, between two that become one, or alone. */
static enum ledger_verdict enter(struct ledger_store *store, size_t at, const struct batch_info *info,
                                 const uint8_t *hash, struct misfit *ret_misfit) {
    struct ledger_run *left = at > 0 && store->runs[at - 1].last + 1 == info->number ? &store->runs[at - 1] : NULL;
    struct ledger_run *right =
        at < store->run_count && store->runs[at].first == info->number + 1 ? &store->runs[at] : NULL;
    const struct misfit misfit = compare(left, right, info, hash);
    if (left != NULL && right != NULL) {
        left->last = right->last;
        memcpy(left->hash, right->hash, sizeof left->hash);
        remove_run(store, at);
    } else if (left != NULL) {
        left->last = info->number;
        memcpy(left->hash, hash, sizeof left->hash);
    } else if (right != NULL) {
        right->first = info->number;
        memcpy(right->previous, info->previous, sizeof right->previous);
    } else {
        const enum ledger_verdict verdict = insert_run(store, at, info->number);
        if (verdict != LEDGER_NEW)
            return verdict;
        memcpy(store->runs[at].previous, info->previous, sizeof store->runs[at].previous);
        memcpy(store->runs[at].hash, hash, sizeof store->runs[at].hash);
    }
    *ret_misfit = misfit;
    return LEDGER_NEW;
}

/* Add a range and join all that it touches. Without room it is left out: lost batches then go on counting as missing,
 * replaced ones as breaks. */
static void add_range(struct ledger_range **ranges, size_t *count, struct ledger_range range) {
    struct ledger_range *all = *ranges;
    size_t at = 0;
    while (at < *count && all[at].last + 1 < range.first)
        at++;
    size_t behind = at;
    for (; behind < *count && all[behind].first <= range.last + 1; behind++) {
        range.first = all[behind].first < range.first ? all[behind].first : range.first;
        range.last = all[behind].last > range.last ? all[behind].last : range.last;
    }
    if (behind == at) {
        all = *count == LEDGER_RUNS_MAX ? NULL : reallocarray(all, *count + 1, sizeof *all);
        if (all == NULL)
            return;
        *ranges = all;
    }
    memmove(&all[at + 1], &all[behind], (*count - behind) * sizeof *all);
    *count = *count - (behind - at) + 1;
    all[at] = range;
}

static bool was_thinned(const struct ledger_store *store, uint64_t number) {
    for (size_t i = 0; i < store->thinned_count; i++)
        if (store->thinned[i].first <= number && number <= store->thinned[i].last)
            return true;
    return false;
}

/* The batch of this number and the next one do not fit. Counts unless it is known why; what may still be explained is
 * remembered, as long as there is room. */
static void note_break(struct ledger_store *store, uint64_t number) {
    if (was_thinned(store, number))
        return;
    store->chain_breaks++;
    uint64_t *grown = store->broken_count == LEDGER_RUNS_MAX
                          ? NULL
                          : reallocarray(store->broken, store->broken_count + 1, sizeof *grown);
    if (grown == NULL)
        return;
    store->broken = grown;
    grown[store->broken_count++] = number;
}

static void explain_breaks(struct ledger_store *store, struct ledger_range thinned) {
    size_t left = 0;
    for (size_t i = 0; i < store->broken_count; i++) {
        const uint64_t number = store->broken[i];
        if (thinned.first <= number && number <= thinned.last)
            store->chain_breaks -= store->chain_breaks > 0;
        else
            store->broken[left++] = number;
    }
    store->broken_count = left;
}

static void note_thinned(struct ledger_store *store, struct ledger_range range) {
    add_range(&store->thinned, &store->thinned_count, range);
    explain_breaks(store, range);
}

/* Never beyond what JSON keeps, whatever a peer claims. */
static uint64_t add_bounded(uint64_t sum, uint64_t more) {
    return more > LEDGER_NUMBER_MAX - sum ? LEDGER_NUMBER_MAX : sum + more;
}

/* A batch can only tell of batches before it; a range that says otherwise is cut. */
static void note_losses(struct ledger_store *store, const struct batch_info *info) {
    for (size_t i = 0; i < info->loss_count; i++) {
        const struct batch_loss *loss = &info->losses[i];
        store->lost_readings = add_bounded(store->lost_readings, loss->readings > 0 ? loss->readings : 1);
        const uint64_t last = loss->last_batch < info->number ? loss->last_batch : info->number - 1;
        const struct ledger_range range = {loss->first_batch, last};
        if (loss->first_batch == 0 || loss->first_batch > last)
            continue;
        if (loss->reason == BATCH_LOSS_THINNED)
            note_thinned(store, range);
        else
            add_range(&store->lost, &store->lost_count, range);
    }
}

static enum ledger_verdict add_to_store(struct ledger_store *store, const struct batch_info *info, const uint8_t *hash,
                                        size_t readings, struct ledger_entry *entry) {
    const size_t at = run_at(store, info->number);
    if (at < store->run_count && store->runs[at].first <= info->number) {
        if (contradicts(&store->runs[at], info, hash) && !was_thinned(store, info->number))
            return LEDGER_CONTRADICTS;
        store->repeated++;
        return LEDGER_REPEATED;
    }
    struct misfit misfit;
    const enum ledger_verdict verdict = enter(store, at, info, hash, &misfit);
    if (verdict != LEDGER_NEW)
        return verdict;
    memcpy(store->gateway, info->gateway, sizeof store->gateway);
    store->batches++;
    store->readings += readings;
    const uint64_t breaks = store->chain_breaks;
    if (misfit.before)
        note_break(store, info->number - 1);
    if (misfit.behind)
        note_break(store, info->number);
    entry->chain_broken = store->chain_breaks > breaks;
    note_losses(store, info);
    return LEDGER_NEW;
}

static bool knows_correction(const struct ledger_store *store, const struct batch_correction *record) {
    for (size_t i = 0; i < store->correction_count; i++) {
        const struct batch_correction *known = &store->corrections[i];
        if (known->first_batch == record->first_batch && known->last_batch == record->last_batch &&
            known->from_ms == record->from_ms && known->to_ms == record->to_ms && known->right_ms == record->right_ms)
            return true;
    }
    return false;
}

static void add_correction(struct ledger_store *store, const struct batch_correction *record) {
    if (knows_correction(store, record))
        return;
    if (store->correction_count == LEDGER_CORRECTIONS_MAX) {
        store->correction_count--;
        memmove(store->corrections, store->corrections + 1, store->correction_count * sizeof store->corrections[0]);
    }
    store->corrections[store->correction_count++] = *record;
}

/* A record may speak of a store that has not come yet: the one set aside before this one. Without room for it the
 * readings keep the times that they stand with. */
static void add_corrections(struct ledger *ledger, const struct batch_info *info) {
    for (size_t i = 0; i < info->correction_count; i++) {
        const struct batch_correction *record = &info->corrections[i];
        struct ledger_store *store = find_store(ledger, record->store_id);
        if (store != NULL || add_store(ledger, record->store_id, info->gateway, &store) == LEDGER_NEW)
            add_correction(store, record);
    }
}

enum ledger_verdict ledger_add(struct ledger *ledger, const struct batch_info *info,
                               const uint8_t hash[static BATCH_HASH_BYTES], size_t readings,
                               struct ledger_entry *ret_entry) {
    *ret_entry = (struct ledger_entry){0};
    if (info->number == 0 || info->number > LEDGER_NUMBER_MAX)
        return LEDGER_NO_NUMBER;
    struct ledger_store *store = find_store(ledger, info->store_id);
    if (store == NULL) {
        const enum ledger_verdict verdict = add_store(ledger, info->store_id, info->gateway, &store);
        if (verdict != LEDGER_NEW)
            return verdict;
    }
    const enum ledger_verdict verdict = add_to_store(store, info, hash, readings, ret_entry);
    if (verdict == LEDGER_NEW)
        add_corrections(ledger, info);
    ret_entry->store = find_store(ledger, info->store_id); /* they may have moved */
    ret_entry->missing = ledger_missing(ret_entry->store);
    return verdict;
}

enum ledger_verdict ledger_add_event(struct ledger *ledger, const uint8_t store_id[static BATCH_STORE_ID_BYTES],
                                     const char *gateway, uint64_t number) {
    struct ledger_store *store = find_store(ledger, store_id);
    if (store == NULL) {
        const enum ledger_verdict verdict = add_store(ledger, store_id, gateway, &store);
        if (verdict != LEDGER_NEW)
            return verdict;
    }
    if (number <= store->last_event)
        return LEDGER_REPEATED;
    store->last_event = number;
    store->events++;
    return LEDGER_NEW;
}

/* How many numbers of range stand in runs. from: where to begin to look, moved on for the next, higher range. */
static uint64_t arrived_within(const struct ledger_store *store, const struct ledger_range *range, size_t *from) {
    uint64_t count = 0;
    while (*from < store->run_count && store->runs[*from].last < range->first)
        ++*from;
    for (size_t i = *from; i < store->run_count && store->runs[i].first <= range->last; i++) {
        const uint64_t first = store->runs[i].first > range->first ? store->runs[i].first : range->first;
        const uint64_t last = store->runs[i].last < range->last ? store->runs[i].last : range->last;
        count += last - first + 1;
    }
    return count;
}

uint64_t ledger_missing(const struct ledger_store *store) {
    if (store->run_count == 0)
        return 0;
    uint64_t missing = store->runs[store->run_count - 1].last;
    for (size_t i = 0; i < store->run_count; i++)
        missing -= store->runs[i].last - store->runs[i].first + 1;
    size_t from = 0;
    for (size_t i = 0; i < store->lost_count; i++) {
        const struct ledger_range *lost = &store->lost[i];
        missing -= lost->last - lost->first + 1 - arrived_within(store, lost, &from);
    }
    return missing;
}

static bool named_before(const struct ledger *ledger, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (strcmp(ledger->stores[i].gateway, ledger->stores[index].gateway) == 0)
            return true;
    return false;
}

struct ledger_totals ledger_sum(const struct ledger *ledger) {
    struct ledger_totals totals = {.rejected = ledger->rejected, .stores = ledger->store_count};
    for (size_t i = 0; i < ledger->store_count; i++) {
        const struct ledger_store *store = &ledger->stores[i];
        totals.readings += store->readings;
        totals.batches += store->batches;
        totals.missing_batches += ledger_missing(store);
        totals.lost_readings += store->lost_readings;
        totals.repeated_batches += store->repeated;
        totals.chain_breaks += store->chain_breaks;
        totals.unnamed_readings += store->unnamed_readings;
        totals.events += store->events;
        totals.gateways += !named_before(ledger, i);
    }
    return totals;
}

void ledger_summary(const struct ledger_totals *totals, char *ret_text, size_t size) {
    snprintf(ret_text, size,
             "received %" PRIu64 " readings in %" PRIu64 " batches from %zu gateway%s, %" PRIu64 " missing, %" PRIu64
             " lost, %" PRIu64 " repeated",
             totals->readings, totals->batches, totals->gateways, totals->gateways == 1 ? "" : "s",
             totals->missing_batches, totals->lost_readings, totals->repeated_batches);
}
