/* chain.h - whether batches are those that the gateway sealed: each carries the hash of the one before it. Pure; used
 * by `forebay verify`. docs/batch.md "Rules for receivers" and "Thinned batches" say what is checked. */
#ifndef FB_RECEIVE_CHAIN_H
#define FB_RECEIVE_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "store/batch.h"

/* Stretches of numbers that have gaps or were lost, of each kind. */
#define CHAIN_RANGES_MAX 65536

/* A batch whose hash a person has written down. */
struct chain_head {
    uint64_t number; /* 0: none */
    uint8_t hash[BATCH_HASH_BYTES];
};

struct chain;

/* ret_chain: yours, end it with chain_free(). head: copied, NULL for none. FB_MEMORY. */
enum fb_error chain_new(const struct chain_head *head, struct chain **ret_chain, struct fb_cause *cause) FB_MUST_USE;
void chain_free(struct chain *chain); /* NULL is fine */
/* The pinned batch is of another chain: judge without it. */
void chain_drop_head(struct chain *chain);

/* Take the next batch; numbers rise. number: under which it is kept. bytes: NULL when it cannot be read any more.
 * FB_MEMORY, FB_LIMIT: more than CHAIN_RANGES_MAX; what is wrong with the batch comes from chain_judge(). */
enum fb_error chain_add(struct chain *chain, uint64_t number, const uint8_t *bytes, size_t length,
                        struct fb_cause *cause) FB_MUST_USE;

enum chain_verdict {
    CHAIN_GOOD,
    CHAIN_ALTERED,      /* its hash is not the one that the next batch carries, or it can no longer be decoded */
    CHAIN_UNREADABLE,   /* it is there, but its bytes are not */
    CHAIN_REMOVED,      /* it is missing, and nothing says why */
    CHAIN_REORDERED,    /* it is kept under another number */
    CHAIN_FOREIGN,      /* it is of another store than the first one */
    CHAIN_HEAD_DIFFERS, /* the pinned batch has another hash */
    CHAIN_HEAD_GONE,    /* the pinned batch and the next one are not there any more: nothing to compare */
};

/* In words, for people. Static storage. */
const char *chain_verdict_word(enum chain_verdict verdict);

struct chain_finding {
    enum chain_verdict verdict;
    uint64_t number;           /* of the first batch that is not as it should be */
    bool or_next;              /* altered: or the one behind it, for both do not fit */
    uint64_t batches;          /* taken */
    uint64_t first, last;      /* numbers; 0 when there are none */
    uint64_t missing, thinned; /* batches that are not there, or replaced, with an explanation */
    uint8_t store_id[BATCH_STORE_ID_BYTES];
    uint8_t hash[BATCH_HASH_BYTES]; /* of the last */
};

/* What is wrong first. evicted_to: missing numbers up to it need no explanation, see history_evicted_to(); 0 for files
 * that are kept for good; CHAIN_ANY_MAY_BE_MISSING where only some batches ever came, and the pinned one may be behind
 * them. To be called once, after the last batch. */
#define CHAIN_ANY_MAY_BE_MISSING (UINT64_MAX - 1)
enum fb_error chain_judge(struct chain *chain, uint64_t evicted_to, struct chain_finding *ret_finding,
                          struct fb_cause *cause) FB_MUST_USE;

#endif
