/* ledger.h - what has arrived from each store: removes repeats, checks the chain of hashes, finds gaps. Pure; used by
 * `forebay receive`.
 *
 * Two lanes and lost acknowledgements bring batches late, twice and out of order. So the numbers that arrived are kept
 * as runs without a gap, and of each run only what its neighbours will have to fit to: which hash must stand before its
 * first batch, and the hash of its last one. */
#ifndef FB_RECEIVE_LEDGER_H
#define FB_RECEIVE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/batch.h"

#define LEDGER_STORES_MAX 256
/* Runs, and ranges of lost batches, of one store. A healthy link needs two: live and backlog. */
#define LEDGER_RUNS_MAX 1024
/* Larger numbers do not survive in JSON; at one batch a second they take 285 million years. */
#define LEDGER_NUMBER_MAX (UINT64_C(1) << 53)

struct ledger_run {
    uint64_t first, last;
    uint8_t previous[BATCH_HASH_BYTES]; /* carried by first */
    uint8_t hash[BATCH_HASH_BYTES];     /* of last */
};

struct ledger_range {
    uint64_t first, last;
};

/* Of one store; before more, the oldest is forgotten. */
#define LEDGER_CORRECTIONS_MAX 64

struct ledger_store {
    uint8_t id[BATCH_STORE_ID_BYTES];
    char gateway[BATCH_GATEWAY_MAX];
    struct ledger_run *runs; /* ordered, never touching each other; malloc */
    size_t run_count;
    struct ledger_range *lost; /* batches the gateway has named as lost; ordered, never touching; malloc */
    size_t lost_count;
    struct ledger_range *thinned; /* batches the gateway has named as replaced; ordered, never touching; malloc */
    size_t thinned_count;
    uint64_t *broken; /* numbers whose hash does not fit to the next batch, while nothing explains it; malloc */
    size_t broken_count;
    struct batch_correction corrections[LEDGER_CORRECTIONS_MAX]; /* as its batches told them */
    size_t correction_count;
    uint64_t batches;
    uint64_t readings;
    uint64_t repeated;         /* batches that came again */
    uint64_t lost_readings;    /* as named by the gateway; a loss of unknown size counts as one */
    uint64_t chain_breaks;     /* neighbours whose hashes do not fit, and no batch has said why */
    uint64_t unnamed_readings; /* written without names, their catalogue being unknown */
    uint64_t events;           /* that came */
    uint64_t last_event;       /* the highest number of one: they come in order */
};

struct ledger {
    struct ledger_store *stores; /* malloc */
    size_t store_count;
    uint64_t rejected; /* messages that were no batch and no catalogue, or a contradiction */
};

enum ledger_verdict {
    LEDGER_NEW,         /* write its readings */
    LEDGER_REPEATED,    /* seen before: write nothing */
    LEDGER_CONTRADICTS, /* its number came before with other content */
    LEDGER_NO_ROOM,     /* a limit above is reached; nothing was changed */
    LEDGER_NO_NUMBER,   /* 0 or above LEDGER_NUMBER_MAX */
    LEDGER_NO_MEMORY,
};

/* What one batch said. */
struct ledger_entry {
    struct ledger_store *store; /* NULL when there was no room for it; valid until the next ledger_add() */
    bool chain_broken;          /* does not fit to its neighbour: something was changed or made twice */
    uint64_t missing;           /* of the store, after this batch */
};

/* Frees what the ledger holds and leaves it empty. */
void ledger_done(struct ledger *ledger);

/* Enter a batch. hash: of its bytes as sealed. readings: how many it holds. ret_entry is always filled. */
enum ledger_verdict ledger_add(struct ledger *ledger, const struct batch_info *info,
                               const uint8_t hash[static BATCH_HASH_BYTES], size_t readings,
                               struct ledger_entry *ret_entry) FB_MUST_USE;

/* Enter an event. LEDGER_NEW: write it. LEDGER_REPEATED, LEDGER_NO_ROOM, LEDGER_NO_MEMORY. */
enum ledger_verdict ledger_add_event(struct ledger *ledger, const uint8_t store_id[static BATCH_STORE_ID_BYTES],
                                     const char *gateway, uint64_t number) FB_MUST_USE;

/* Batches below the highest number seen that have neither arrived nor been named as lost. A gap may still close. */
uint64_t ledger_missing(const struct ledger_store *store);

/* Sums over all stores. */
struct ledger_totals {
    uint64_t readings, batches, missing_batches, lost_readings, repeated_batches, rejected, chain_breaks,
        unnamed_readings, events;
    size_t gateways; /* different names */
    size_t stores;
};
struct ledger_totals ledger_sum(const struct ledger *ledger);

/* "received 12345 readings in 67 batches from 1 gateway, 0 missing, 0 lost, 0 repeated" into ret_text. */
void ledger_summary(const struct ledger_totals *totals, char *ret_text, size_t size);

#endif
