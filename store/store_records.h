/* store_records.h - what is kept beside readings: audit, events, attempts to communicate, configurations, proofs. Used
 * by gateway/core/records.c.
 *
 * Records of a kind are numbered 1, 2, 3 ... without a gap, and each carries the hash of the one before it
 * (record_chain.h). Each kind has a quota of its own, which readings never take from, and which takes nothing from
 * them: of a kind that outgrows it the oldest records go, so that the number of the oldest that is left says how many.
 * In a store whose quota is small the kinds share a sixteenth of it instead. */
#ifndef FB_STORE_STORE_RECORDS_H
#define FB_STORE_STORE_RECORDS_H

#include "store/record_chain.h"
#include "store/store.h"

enum store_record_kind {
    STORE_RECORD_AUDIT = 1,
    STORE_RECORD_EVENT = 2,
    STORE_RECORD_ATTEMPT = 3,
    STORE_RECORD_CONFIGURATION = 4,
    STORE_RECORD_PROOF = 5,
};
#define STORE_RECORD_KINDS 5
/* Of a body: audit, events and attempts; proofs; configurations. */
#define STORE_RECORD_BYTES_MAX 4096
#define STORE_RECORD_PROOF_BYTES_MAX 16384
#define STORE_RECORD_CONFIGURATION_BYTES_MAX (1024 * 1024 + 16384)
/* What may wait in memory for the next commit, as while the disk is full. */
#define STORE_RECORDS_WAITING_MAX 1024
#define STORE_RECORDS_WAITING_BYTES_MAX (STORE_RECORD_CONFIGURATION_BYTES_MAX + 128 * 1024)

/* Add a record: durable, and to be read, with the next store_commit(). body is copied. ret_number: its number.
 * FB_LIMIT: the body is longer than its kind allows, or than its quota. FB_FULL: too many wait already. FB_MEMORY. */
enum fb_error store_record_add(struct store *store, enum store_record_kind kind, int64_t time_ms, const void *body,
                               size_t length, uint64_t *ret_number, struct fb_cause *cause) FB_MUST_USE;
/* How many wait for a commit. */
size_t store_records_waiting(const struct store *store);

/* A record; what it points to is borrowed. */
struct store_record {
    uint64_t number;
    int64_t time_ms;
    const uint8_t *previous; /* RECORD_HASH_BYTES: the hash of the record before it */
    const uint8_t *body;
    size_t length;
};
/* Must not call the store. Returns false to end the walk. */
typedef bool store_record_visit(const struct store_record *record, void *user);

/* Visit committed records with numbers above after_number in their order, limit at most. FB_CORRUPT: those that follow
 * cannot be read. */
enum fb_error store_records_read(struct store *store, enum store_record_kind kind, uint64_t after_number, size_t limit,
                                 store_record_visit *visit, void *user, struct fb_cause *cause) FB_MUST_USE;

/* Of what is committed of a kind; no I/O. */
struct store_records_figures {
    uint64_t first; /* number of the oldest that is left; last + 1 when none is */
    uint64_t last;  /* of the newest, 0: there has been none */
    uint64_t bytes; /* the place they take, rather too much than too little */
    uint64_t quota_bytes;
    uint8_t head[RECORD_HASH_BYTES]; /* the newest one's hash, all 0: there has been none */
};
void store_records_figures(const struct store *store, enum store_record_kind kind,
                           struct store_records_figures *ret_figures);

#endif
