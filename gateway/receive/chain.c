#include "gateway/receive/chain.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/receive/chain_ranges.h"

/* The batch that was taken last. */
struct link {
    uint64_t number; /* 0: none yet */
    bool decoded;    /* info is meant */
    bool in_place;   /* and says the number and the store that are expected */
    bool readable;   /* hash is meant */
    uint8_t hash[BATCH_HASH_BYTES];
    struct batch_info info;
};

struct chain {
    struct chain_head head;
    bool head_seen, head_fits, head_next_fits; /* the pinned batch itself; what the one behind it says */
    bool head_next_seen;
    bool has_store;
    uint8_t store_id[BATCH_STORE_ID_BYTES];
    uint64_t batches, first;
    uint64_t reordered, foreign; /* the first of each; 0: none */
    struct link last, fresh;
    struct chain_ranges broken;     /* its hash is not what the next one carries */
    struct chain_ranges unreadable; /* its bytes are gone */
    struct chain_ranges missing;
    struct chain_ranges thinned, gone; /* as named by loss records that can be believed */
};

const char *chain_verdict_word(enum chain_verdict verdict) {
    static const char *const words[] = {
        [CHAIN_GOOD] = "is good",
        [CHAIN_ALTERED] = "was altered",
        [CHAIN_UNREADABLE] = "cannot be read any more",
        [CHAIN_REMOVED] = "was removed: it is missing, and no loss record names it",
        [CHAIN_REORDERED] = "was reordered: another batch is kept under its number",
        [CHAIN_FOREIGN] = "is of another store",
        [CHAIN_HEAD_DIFFERS] = "is not the one that was pinned: its hash is another",
        [CHAIN_HEAD_GONE] = "was pinned, but neither it nor the next one is there any more to compare",
    };
    return words[verdict];
}

enum fb_error chain_new(const struct chain_head *head, struct chain **ret_chain, struct fb_cause *cause) {
    struct chain *chain = calloc(1, sizeof *chain);
    if (chain == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    if (head != NULL)
        chain->head = *head;
    *ret_chain = chain;
    return FB_OK;
}

void chain_free(struct chain *chain) {
    if (chain == NULL)
        return;
    struct chain_ranges *const all[] = {&chain->broken, &chain->unreadable, &chain->missing, &chain->thinned,
                                        &chain->gone};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        chain_ranges_done(all[i]);
    free(chain);
}

void chain_drop_head(struct chain *chain) {
    chain->head.number = 0;
}

static bool same_hash(const uint8_t *a, const uint8_t *b) {
    return memcmp(a, b, BATCH_HASH_BYTES) == 0;
}

/* Loss records count when nothing speaks against the batch that carries them. */
static bool believe(struct chain *chain, const struct link *link) {
    bool good = true;
    for (size_t i = 0; link->in_place && good && i < link->info.loss_count; i++) {
        const struct batch_loss *loss = &link->info.losses[i];
        if (loss->first_batch != 0)
            good = chain_ranges_add(loss->reason == BATCH_LOSS_THINNED ? &chain->thinned : &chain->gone,
                                    loss->first_batch, loss->last_batch);
    }
    return good;
}

/* The fresh batch tells whether the last one is what it was made behind. */
static bool look_back(struct chain *chain) {
    const struct link *last = &chain->last, *fresh = &chain->fresh;
    static const uint8_t none[BATCH_HASH_BYTES];
    if (fresh->number > last->number + 1 && !chain_ranges_add(&chain->missing, last->number + 1, fresh->number - 1))
        return false;
    if (fresh->in_place && fresh->number == 1 && !same_hash(fresh->info.previous, none))
        return chain_ranges_add(&chain->broken, 1, 1);
    if (last->number == 0)
        return true;
    const bool told = fresh->in_place && last->readable && fresh->number == last->number + 1;
    if (told && !same_hash(last->hash, fresh->info.previous))
        return chain_ranges_add(&chain->broken, last->number, last->number);
    return believe(chain, last);
}

static void compare_head(struct chain *chain) {
    const struct link *fresh = &chain->fresh;
    if (chain->head.number == 0)
        return;
    if (fresh->number == chain->head.number && fresh->readable) {
        chain->head_seen = true;
        chain->head_fits = same_hash(fresh->hash, chain->head.hash);
    }
    if (fresh->number == chain->head.number + 1 && fresh->in_place) {
        chain->head_next_seen = true;
        chain->head_next_fits = same_hash(fresh->info.previous, chain->head.hash);
    }
}

/* The envelope must say what the place says. */
static void check_identity(struct chain *chain) {
    struct link *fresh = &chain->fresh;
    fresh->in_place = false;
    if (!fresh->decoded)
        return;
    if (!chain->has_store)
        memcpy(chain->store_id, fresh->info.store_id, sizeof chain->store_id);
    chain->has_store = true;
    const bool is_foreign = memcmp(chain->store_id, fresh->info.store_id, sizeof chain->store_id) != 0;
    const bool is_reordered = fresh->info.number != fresh->number;
    fresh->in_place = !is_foreign && !is_reordered;
    if (chain->foreign == 0 && is_foreign)
        chain->foreign = fresh->number;
    if (chain->reordered == 0 && is_reordered)
        chain->reordered = fresh->number;
}

static enum fb_error take_apart(struct link *link, const uint8_t *bytes, size_t length, struct fb_cause *cause) {
    struct reading *readings = NULL;
    size_t units;
    link->readable = bytes != NULL;
    link->decoded = false;
    if (bytes == NULL)
        return FB_OK;
    batch_hash(bytes, length, link->hash);
    const enum fb_error error = batch_decode(bytes, length, &link->info, &readings, &units, cause);
    free(readings);
    link->decoded = error == FB_OK;
    return error == FB_MEMORY ? error : FB_OK;
}

enum fb_error chain_add(struct chain *chain, uint64_t number, const uint8_t *bytes, size_t length,
                        struct fb_cause *cause) {
    chain->fresh.number = number;
    enum fb_error error = take_apart(&chain->fresh, bytes, length, cause);
    if (error != FB_OK)
        return error;
    check_identity(chain);
    compare_head(chain);
    bool good = look_back(chain);
    if (good && !chain->fresh.readable)
        good = chain_ranges_add(&chain->unreadable, number, number);
    else if (good && !chain->fresh.decoded)
        good = chain_ranges_add(&chain->broken, number, number);
    if (!good)
        return fb_fail(cause, FB_LIMIT, "more than %d gaps and losses", CHAIN_RANGES_MAX);
    chain->last = chain->fresh;
    chain->first = chain->batches++ == 0 ? number : chain->first;
    return FB_OK;
}

static void take_lower(struct chain_finding *finding, enum chain_verdict verdict, uint64_t number) {
    if (number == 0 || (finding->verdict != CHAIN_GOOD && finding->number <= number))
        return;
    finding->verdict = verdict;
    finding->number = number;
}

static void judge_head(const struct chain *chain, uint64_t evicted_to, struct chain_finding *finding) {
    const uint64_t number = chain->head.number;
    if (number == 0 || finding->verdict != CHAIN_GOOD)
        return;
    const bool replaced = chain_ranges_hold(&chain->thinned, number);
    if (number > chain->last.number && number > evicted_to)
        take_lower(finding, CHAIN_REMOVED, chain->last.number + 1);
    else if (chain->head_next_seen ? !chain->head_next_fits : chain->head_seen && !chain->head_fits && !replaced)
        take_lower(finding, CHAIN_HEAD_DIFFERS, number);
    else if (!chain->head_next_seen && !chain->head_seen)
        take_lower(finding, CHAIN_HEAD_GONE, number);
}

enum fb_error chain_judge(struct chain *chain, uint64_t evicted_to, struct chain_finding *ret_finding,
                          struct fb_cause *cause) {
    if (!believe(chain, &chain->last))
        return fb_fail(cause, FB_LIMIT, "more than %d losses", CHAIN_RANGES_MAX);
    struct chain_finding finding = {.verdict = CHAIN_GOOD,
                                    .batches = chain->batches,
                                    .first = chain->first,
                                    .last = chain->last.number,
                                    .missing = chain_ranges_size(&chain->missing),
                                    .thinned = chain_ranges_size(&chain->broken)};
    memcpy(finding.store_id, chain->store_id, sizeof finding.store_id);
    memcpy(finding.hash, chain->last.hash, sizeof finding.hash);
    const uint64_t altered = chain_ranges_unexcused(&chain->broken, &chain->thinned, 0);
    take_lower(&finding, CHAIN_REORDERED, chain->reordered);
    take_lower(&finding, CHAIN_FOREIGN, chain->foreign);
    take_lower(&finding, CHAIN_ALTERED, altered);
    take_lower(&finding, CHAIN_REMOVED, chain_ranges_unexcused(&chain->missing, &chain->gone, evicted_to));
    take_lower(&finding, CHAIN_UNREADABLE, chain_ranges_unexcused(&chain->unreadable, &chain->gone, 0));
    judge_head(chain, evicted_to, &finding);
    finding.or_next = finding.verdict == CHAIN_ALTERED && chain_ranges_hold(&chain->broken, altered + 1) &&
                      !chain_ranges_hold(&chain->thinned, altered + 1);
    *ret_finding = finding;
    return FB_OK;
}
