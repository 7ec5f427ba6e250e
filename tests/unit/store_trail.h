/* store_trail.h - an audit record with each commit, for tests that break things: what was committed is there, in order,
 * without a gap, and chained; of what was not nothing is. */
#ifndef FB_TESTS_STORE_TRAIL_H
#define FB_TESTS_STORE_TRAIL_H

#include "store/store_records.h"
#include "store_fixture.h"

/* The record of the commit that comes next: it says which readings that one holds. False: not taken. */
static inline bool trail_add(struct fixture *fixture) {
    char body[64];
    uint64_t number;
    const int length = snprintf(body, sizeof body, "{\"sequence\":%llu}", (unsigned long long)fixture->sequence);
    return store_record_add(fixture->store, STORE_RECORD_AUDIT, FIXTURE_TIME_MS, body, (size_t)length, &number,
                            &fixture->cause) == FB_OK;
}

struct trail {
    const char *label;
    uint64_t number, sequence; /* of the last record */
    uint8_t head[RECORD_HASH_BYTES];
};

static inline bool trail_visit(const struct store_record *record, void *user) {
    struct trail *trail = user;
    char body[64];
    unsigned long long sequence = 0;
    snprintf(body, sizeof body, "%.*s", (int)record->length, (const char *)record->body);
    if (sscanf(body, "{\"sequence\":%llu}", &sequence) != 1 || (trail->number != 0 && sequence < trail->sequence))
        fail_msg("%s: audit record %llu says %s after %llu", trail->label, (unsigned long long)record->number, body,
                 (unsigned long long)trail->sequence);
    if (trail->number != 0 && record->number != trail->number + 1)
        fail_msg("%s: audit record %llu follows %llu", trail->label, (unsigned long long)record->number,
                 (unsigned long long)trail->number);
    if (trail->number != 0 && memcmp(record->previous, trail->head, sizeof trail->head) != 0)
        fail_msg("%s: audit record %llu has not the hash of the one before", trail->label,
                 (unsigned long long)record->number);
    assert_true(record_hash(record->previous, STORE_RECORD_AUDIT, record->number, record->time_ms, record->body,
                            record->length, trail->head));
    trail->number = record->number;
    trail->sequence = sequence;
    return true;
}

/* Walks all; returns the sequence that the last one says. */
static inline uint64_t trail_check(struct fixture *fixture, const char *label) {
    struct trail trail = {.label = label};
    struct store_records_figures figures;
    if (store_records_read(fixture->store, STORE_RECORD_AUDIT, 0, INT32_MAX, trail_visit, &trail, &fixture->cause) !=
        FB_OK)
        fail_msg("%s: %s", label, fixture->cause.text);
    store_records_figures(fixture->store, STORE_RECORD_AUDIT, &figures);
    if (figures.last != trail.number || memcmp(figures.head, trail.head, sizeof trail.head) != 0)
        fail_msg("%s: %llu audit records are counted, %llu are there", label, (unsigned long long)figures.last,
                 (unsigned long long)trail.number);
    return trail.sequence;
}

#endif
