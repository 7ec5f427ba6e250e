#include "gateway/cli/verify_salvaged.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/stored.h"
#include "gateway/common/hex.h"
#include "store/store.h" /* STORE_SALVAGED_FIRST */

/* More than fit into any store: each takes a page. */
#define PLACES_MOST (UINT32_C(1) << 24)

/* A batch: whose it is, and where it stands here. They come in the order in which they were salvaged. */
struct place {
    uint8_t store_id[BATCH_STORE_ID_BYTES];
    uint64_t number;
    uint64_t local;
};

struct places {
    struct place *all; /* malloc */
    size_t count;
    uint64_t unreadable; /* batches that cannot say any more whose they are */
};

static bool add(struct places *places, const struct batch_info *info, uint64_t local) {
    struct place *grown = places->all;
    if (places->count == PLACES_MOST)
        return false;
    if ((places->count & (places->count - 1)) == 0)
        grown = reallocarray(places->all, places->count > 0 ? 2 * places->count : 1, sizeof *grown);
    if (grown == NULL)
        return false;
    places->all = grown;
    grown[places->count] = (struct place){.number = info->number, .local = local};
    memcpy(grown[places->count++].store_id, info->store_id, sizeof info->store_id);
    return true;
}

static enum fb_error take(struct places *places, const struct stored *stored, struct batch_info *info,
                          struct fb_cause *cause) {
    struct reading *readings = NULL;
    size_t units;
    const enum fb_error error =
        stored->readable ? batch_decode(stored->bytes, stored->length, info, &readings, &units, cause) : FB_INVALID;
    free(readings);
    if (error == FB_MEMORY)
        return error;
    places->unreadable += error != FB_OK;
    return error != FB_OK || add(places, info, stored->number) ? FB_OK : fb_fail(cause, FB_MEMORY, "out of memory");
}

static enum fb_error find_places(struct stored *stored, struct places *places, struct fb_cause *cause) {
    struct batch_info *info = calloc(1, sizeof *info);
    if (info == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    enum fb_error error = FB_OK;
    stored->number = STORE_SALVAGED_FIRST - 1;
    while (error == FB_OK) {
        error = stored_next_number(stored, cause);
        if (error == FB_OK)
            error = take(places, stored, info, cause);
    }
    free(info);
    return error == FB_NOT_FOUND ? FB_OK : error;
}

static int compare_places(const void *a, const void *b) {
    const struct place *first = a, *second = b;
    const int stores = memcmp(first->store_id, second->store_id, sizeof first->store_id);
    return stores != 0 ? stores : first->number < second->number ? -1 : first->number > second->number;
}

/* One that gave way since it was found is not missed. */
static enum fb_error add_to_chain(struct stored *stored, struct chain *chain, const struct place *place,
                                  struct fb_cause *cause) {
    stored->number = place->local - 1;
    const enum fb_error error = stored_next_number(stored, cause);
    if (error == FB_NOT_FOUND || (error == FB_OK && stored->number != place->local))
        return FB_OK;
    return error == FB_OK
               ? chain_add(chain, place->number, stored->readable ? stored->bytes : NULL, stored->length, cause)
               : error;
}

static bool print(const struct place *place, const struct chain_finding *finding) {
    char store[2 * BATCH_STORE_ID_BYTES + 1];
    hex_encode(place->store_id, sizeof place->store_id, store);
    if (finding->verdict != CHAIN_GOOD) {
        printf("of store %s, salvaged: batch %" PRIu64 " %s%s\n", store, finding->number,
               chain_verdict_word(finding->verdict),
               finding->verdict == CHAIN_ALTERED
                   ? ", or thinned by the gateway in a time whose loss records are not here"
                   : "");
        return false;
    }
    printf("of store %s, salvaged: %" PRIu64 " batches, %" PRIu64 " to %" PRIu64
           ": each is the one that the next was made behind, as far as both are here\n",
           store, finding->batches, finding->first, finding->last);
    return true;
}

/* All of one store. Which numbers are here says nothing: what had been sent was left where it was. */
static enum fb_error judge(struct stored *stored, const struct place *places, size_t count,
                           const struct chain_head *head, bool *ret_good, struct fb_cause *cause) {
    struct chain *chain;
    struct chain_finding finding;
    enum fb_error error = chain_new(head, &chain, cause);
    if (error != FB_OK)
        return error;
    for (size_t i = 0; error == FB_OK && i < count; i++)
        if (i == 0 || places[i].number != places[i - 1].number)
            error = add_to_chain(stored, chain, &places[i], cause);
    if (error == FB_OK)
        error = chain_judge(chain, CHAIN_ANY_MAY_BE_MISSING, &finding, cause);
    chain_free(chain);
    if (error == FB_OK && (finding.batches > 0 || finding.verdict != CHAIN_GOOD))
        *ret_good = print(places, &finding) && *ret_good;
    return error;
}

static enum fb_error judge_all(struct stored *stored, const struct places *places, const struct chain_head *head,
                               const uint8_t *head_store, struct verify_salvaged *salvaged, struct fb_cause *cause) {
    enum fb_error error = FB_OK;
    size_t count;
    for (size_t at = 0; error == FB_OK && at < places->count; at += count) {
        const struct place *first = &places->all[at];
        for (count = 1; at + count < places->count; count++)
            if (memcmp(first[count].store_id, first->store_id, sizeof first->store_id) != 0)
                break;
        const bool is_pinned = head->number != 0 && memcmp(head_store, first->store_id, sizeof first->store_id) == 0;
        salvaged->has_pinned = salvaged->has_pinned || is_pinned;
        error = judge(stored, first, count, is_pinned ? head : NULL, &salvaged->good, cause);
    }
    return error;
}

enum fb_error verify_salvaged(const char *run, const struct chain_head *head,
                              const uint8_t head_store[static BATCH_STORE_ID_BYTES],
                              struct verify_salvaged *ret_salvaged, struct fb_cause *cause) {
    struct verify_salvaged salvaged = {.good = true};
    struct places places = {0};
    struct stored *stored = calloc(1, sizeof *stored);
    if (stored == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    stored->run = run;
    enum fb_error error = find_places(stored, &places, cause);
    if (places.count > 0)
        qsort(places.all, places.count, sizeof *places.all, compare_places);
    if (error == FB_OK)
        error = judge_all(stored, &places, head, head_store, &salvaged, cause);
    if (error == FB_OK && places.unreadable > 0) {
        printf("%" PRIu64 " salvaged batches cannot be read any more\n", places.unreadable);
        salvaged.good = false;
    }
    free(places.all);
    free(stored);
    if (error == FB_OK)
        *ret_salvaged = salvaged;
    return error;
}
