// links: store/*.c gateway/common/*.c
/* test_store_records.c - records of each kind are numbered without a gap, chained, and bounded by their own quota; what
 * becomes of readings and of the disk does not touch them. */
#include <sqlite3.h>

#include "store/store_records.h"
#include "store_fixture.h"

#define QUOTA_BYTES (UINT64_C(16) * 1024 * 1024)

static uint64_t add(struct fixture *fixture, enum store_record_kind kind, const char *body) {
    uint64_t number = 0;
    if (store_record_add(fixture->store, kind, FIXTURE_TIME_MS, body, strlen(body), &number, &fixture->cause) != FB_OK)
        fail_msg("%s", fixture->cause.text);
    return number;
}

static struct store_records_figures span_of(const struct fixture *fixture, enum store_record_kind kind) {
    struct store_records_figures figures;
    store_records_figures(fixture->store, kind, &figures);
    return figures;
}

/* Holds each record against the one before it. */
struct reading_back {
    enum store_record_kind kind;
    uint64_t count, last;
    uint8_t head[RECORD_HASH_BYTES];
    char body[64]; /* of the last */
    bool chained;
};

static bool visit(const struct store_record *record, void *user) {
    struct reading_back *back = user;
    if (back->count > 0) {
        assert_int_equal(record->number, back->last + 1);
        back->chained = back->chained && memcmp(record->previous, back->head, sizeof back->head) == 0;
    }
    assert_true(record_hash(record->previous, back->kind, record->number, record->time_ms, record->body, record->length,
                            back->head));
    snprintf(back->body, sizeof back->body, "%.*s", (int)record->length, (const char *)record->body);
    back->last = record->number;
    back->count++;
    return true;
}

static struct reading_back read_after(struct fixture *fixture, enum store_record_kind kind, uint64_t after,
                                      size_t limit) {
    struct reading_back back = {.kind = kind, .chained = true};
    if (store_records_read(fixture->store, kind, after, limit, visit, &back, &fixture->cause) != FB_OK)
        fail_msg("%s", fixture->cause.text);
    assert_true(back.chained);
    return back;
}

static void kinds_are_numbered_each_for_itself(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    assert_int_equal(add(fixture, STORE_RECORD_AUDIT, "{\"a\":1}"), 1);
    assert_int_equal(add(fixture, STORE_RECORD_EVENT, "{\"e\":1}"), 1);
    assert_int_equal(add(fixture, STORE_RECORD_AUDIT, "{\"a\":2}"), 2);
    assert_int_equal(span_of(fixture, STORE_RECORD_AUDIT).last, 0); /* not committed yet */
    fixture_commit(fixture);
    assert_int_equal(add(fixture, STORE_RECORD_AUDIT, "{\"a\":3}"), 3);
    fixture_commit(fixture);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(span_of(fixture, STORE_RECORD_AUDIT).first, 1);
    assert_int_equal(span_of(fixture, STORE_RECORD_AUDIT).last, 3);
    assert_int_equal(span_of(fixture, STORE_RECORD_EVENT).last, 1);
    assert_int_equal(span_of(fixture, STORE_RECORD_PROOF).first, 1);
    assert_int_equal(span_of(fixture, STORE_RECORD_PROOF).last, 0);
    const struct reading_back back = read_after(fixture, STORE_RECORD_AUDIT, 1, 10);
    assert_int_equal(back.count, 2);
    assert_string_equal(back.body, "{\"a\":3}");
    assert_memory_equal(span_of(fixture, STORE_RECORD_AUDIT).head, back.head, RECORD_HASH_BYTES);
    assert_int_equal(read_after(fixture, STORE_RECORD_AUDIT, 0, 1).last, 1);
    assert_int_equal(read_after(fixture, STORE_RECORD_AUDIT, 3, 1).count, 0);
    assert_int_equal(add(fixture, STORE_RECORD_AUDIT, "{\"a\":4}"), 4);
}

static void what_was_not_committed_takes_no_number(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    add(fixture, STORE_RECORD_EVENT, "{}");
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(add(fixture, STORE_RECORD_EVENT, "{}"), 1);
    assert_int_equal(store_records_waiting(fixture->store), 1);
    fixture_commit(fixture);
    assert_int_equal(store_records_waiting(fixture->store), 0);
}

static size_t body_most(enum store_record_kind kind) {
    return kind == STORE_RECORD_CONFIGURATION ? STORE_RECORD_CONFIGURATION_BYTES_MAX
           : kind == STORE_RECORD_PROOF       ? STORE_RECORD_PROOF_BYTES_MAX
                                              : STORE_RECORD_BYTES_MAX;
}

static enum fb_error add_length(struct fixture *fixture, enum store_record_kind kind, size_t length) {
    char *body = malloc(length);
    uint64_t number;
    memset(body, 'x', length);
    const enum fb_error error =
        store_record_add(fixture->store, kind, FIXTURE_TIME_MS, body, length, &number, &fixture->cause);
    free(body);
    return error;
}

static void bodies_have_a_limit(void **state) {
    struct fixture *fixture = *state;
    fixture->quota_bytes = UINT64_C(4) * 1024 * 1024 * 1024;
    fixture_open(fixture);
    for (enum store_record_kind kind = 1; kind <= STORE_RECORD_KINDS; kind++) {
        assert_int_equal(add_length(fixture, kind, body_most(kind)), FB_OK);
        assert_int_equal(add_length(fixture, kind, body_most(kind) + 1), FB_LIMIT);
        fixture_commit(fixture);
        assert_int_equal(span_of(fixture, kind).last, 1);
    }
}

static int64_t pages_used(const struct fixture *fixture) {
    sqlite3 *db = fixture_open_database(fixture);
    sqlite3_stmt *statement;
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT page_count - freelist_count FROM pragma_page_count, pragma_freelist_count", -1,
                           &statement, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    const int64_t pages = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return pages;
}

/* Rows of this length until the oldest has gone twice. Returns the most that was ever there. */
static uint64_t fill(struct fixture *fixture, enum store_record_kind kind, size_t length) {
    const uint64_t quota = span_of(fixture, kind).quota_bytes;
    uint64_t most = 0;
    for (uint64_t first = 1; first < 3;) {
        for (int i = 0; i < 50; i++)
            assert_int_equal(add_length(fixture, kind, length), FB_OK);
        fixture_commit(fixture);
        const struct store_records_figures span = span_of(fixture, kind);
        assert_true(span.bytes <= quota);
        most = span.last + 1 - span.first > most ? span.last + 1 - span.first : most;
        first = span.first;
    }
    return most;
}

/* At the boundary: as many as the quota holds stay, one more costs the oldest one, and the pages of the file stay
 * within what was set aside for records. */
static void the_oldest_of_a_kind_gives_way_to_its_newest(void **state) {
    struct fixture *fixture = *state;
    fixture->quota_bytes = QUOTA_BYTES;
    fixture_open(fixture);
    fixture_close(fixture);
    const int64_t before = pages_used(fixture);
    fixture_open(fixture);
    uint64_t quotas = 0;
    for (enum store_record_kind kind = 1; kind <= STORE_RECORD_KINDS; kind++) {
        const size_t length = 300 + (size_t)kind * 150;
        const uint64_t most = fill(fixture, kind, length);
        assert_true(most >= span_of(fixture, kind).quota_bytes / (length * 5 / 4 + 250));
        struct store_records_figures span = span_of(fixture, kind), then;
        assert_int_equal(add_length(fixture, kind, length), FB_OK);
        fixture_commit(fixture);
        then = span_of(fixture, kind);
        assert_int_equal(then.last, span.last + 1);
        assert_int_equal(then.first, span.first + 1);
        assert_int_equal(then.bytes, span.bytes);
        assert_int_equal(read_after(fixture, kind, 0, SIZE_MAX / 2).count, then.last + 1 - then.first);
        quotas += span_of(fixture, kind).quota_bytes;
    }
    fixture_close(fixture);
    const int64_t taken = pages_used(fixture) - before;
    print_message("           %lld pages taken by records, %llu their quotas\n", (long long)taken,
                  (unsigned long long)quotas / 4096);
    assert_true(taken <= (int64_t)(quotas / 4096 * 4 / 3));
}

static uint64_t batches_kept(struct fixture *fixture) {
    struct store_figures figures;
    for (int i = 0; i < 100; i++) {
        fixture_batch_of(fixture, 4000);
        const uint64_t number = store_last_number(fixture->store);
        assert_int_equal(store_mark_sent(fixture->store, &number, 1, FIXTURE_TIME_MS, &fixture->cause), FB_OK);
    }
    store_figures(fixture->store, &figures);
    return figures.batches;
}

static void readings_and_records_take_nothing_from_each_other(void **state) {
    struct fixture *fixture = *state;
    fixture->quota_bytes = 2 * STORE_QUOTA_MIN;
    fixture_open(fixture);
    const uint64_t without = batches_kept(fixture);
    assert_in_range(without, 1, 90); /* the quota is reached */
    for (enum store_record_kind kind = 1; kind <= STORE_RECORD_KINDS; kind++)
        fill(fixture, kind, 200);
    struct store_records_figures before[STORE_RECORD_KINDS + 1];
    for (enum store_record_kind kind = 1; kind <= STORE_RECORD_KINDS; kind++)
        before[kind] = span_of(fixture, kind);
    const uint64_t with = batches_kept(fixture);
    assert_in_range(with, without - 1, without + 1);
    for (enum store_record_kind kind = 1; kind <= STORE_RECORD_KINDS; kind++) {
        const struct store_records_figures after = span_of(fixture, kind);
        assert_memory_equal(&after, &before[kind], sizeof after);
    }
}

static void a_smaller_quota_is_reached_step_by_step(void **state) {
    struct fixture *fixture = *state;
    fixture->quota_bytes = QUOTA_BYTES;
    fixture_open(fixture);
    fill(fixture, STORE_RECORD_EVENT, 200);
    const struct store_records_figures before = span_of(fixture, STORE_RECORD_EVENT);
    fixture_close(fixture);
    fixture->quota_bytes = QUOTA_BYTES / 4;
    fixture_open(fixture);
    assert_int_equal(span_of(fixture, STORE_RECORD_EVENT).last, before.last);
    assert_int_equal(add(fixture, STORE_RECORD_EVENT, "{}"), before.last + 1);
    fixture_commit(fixture);
    assert_true(span_of(fixture, STORE_RECORD_EVENT).bytes <= span_of(fixture, STORE_RECORD_EVENT).quota_bytes);
}

static void what_waits_is_bounded(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    for (int i = 0; i < STORE_RECORDS_WAITING_MAX; i++)
        assert_int_equal(add_length(fixture, STORE_RECORD_EVENT, 100), FB_OK);
    assert_int_equal(add_length(fixture, STORE_RECORD_EVENT, 100), FB_FULL);
    fixture_commit(fixture);
    assert_int_equal(span_of(fixture, STORE_RECORD_EVENT).last, STORE_RECORDS_WAITING_MAX);
    assert_int_equal(add(fixture, STORE_RECORD_EVENT, "{}"), STORE_RECORDS_WAITING_MAX + 1);
}

/* The file's end is cut off: what was in its first pages is taken over, and numbers go on. */
static void a_damaged_store_hands_its_records_on(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    for (int i = 0; i < 200; i++)
        assert_int_equal(add_length(fixture, STORE_RECORD_AUDIT, 400), FB_OK);
    fixture_commit(fixture);
    add(fixture, STORE_RECORD_EVENT, "{\"e\":1}");
    fixture_batch_of(fixture, 5);
    const struct store_records_figures before = span_of(fixture, STORE_RECORD_AUDIT);
    fixture_close(fixture);
    char mark[256];
    snprintf(mark, sizeof mark, "%s.failed", fixture->path);
    FILE *file = fopen(mark, "w"); /* as an earlier run leaves it when it finds damage */
    fputs("damaged: for the test\nand again\n", file);
    fclose(file);
    fixture_open(fixture);
    assert_true(fixture->opening.inherited);
    assert_int_equal(span_of(fixture, STORE_RECORD_AUDIT).first, 1);
    assert_int_equal(span_of(fixture, STORE_RECORD_AUDIT).last, 200);
    assert_int_equal(read_after(fixture, STORE_RECORD_AUDIT, 0, 1000).count, 200);
    assert_string_equal(read_after(fixture, STORE_RECORD_EVENT, 0, 1).body, "{\"e\":1}");
    const struct store_records_figures then = span_of(fixture, STORE_RECORD_AUDIT);
    assert_memory_equal(&before, &then, sizeof then);
    assert_int_equal(add(fixture, STORE_RECORD_AUDIT, "{}"), 201);
}

#define PAGE_BYTES 4096
#define DAMAGED_RECORDS 2000
#define DAMAGED_LENGTH 200
#define A_PAGE (PAGE_BYTES / DAMAGED_LENGTH)

static bool visit_damaged(const struct store_record *record, void *user) {
    uint64_t *count = user;
    char body[DAMAGED_LENGTH + 1];
    snprintf(body, sizeof body, "%-*llu", DAMAGED_LENGTH, (unsigned long long)record->number);
    assert_int_equal(record->length, DAMAGED_LENGTH);
    assert_memory_equal(record->body, body, DAMAGED_LENGTH);
    (*count)++;
    return true;
}

static void flip(const char *path, long at) {
    FILE *file = fopen(path, "r+");
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    const int byte = fgetc(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    fputc(byte ^ 0x10, file);
    fclose(file);
}

/* What is left of the records after a page was damaged and the store set aside for it. */
static uint64_t count_left(struct fixture *fixture, long page) {
    char mark[256];
    uint64_t count = 0;
    snprintf(mark, sizeof mark, "%s.failed", fixture->path);
    flip(fixture->path, page * PAGE_BYTES + 1000);
    fclose(fopen(mark, "w"));
    fixture_open(fixture);
    assert_string_not_equal(fixture->opening.set_aside, "");
    if (fixture->opening.inherited) {
        assert_int_equal(store_records_read(fixture->store, STORE_RECORD_EVENT, 0, SIZE_MAX / 2, visit_damaged, &count,
                                            &fixture->cause),
                         FB_OK);
        const uint64_t last = span_of(fixture, STORE_RECORD_EVENT).last;
        assert_true(last <= DAMAGED_RECORDS && last + A_PAGE >= (count > 0 ? DAMAGED_RECORDS : 0));
    }
    fixture_close(fixture);
    return count;
}

/* One page costs the records in it, and no other. Those in which everything hangs cost all: the schema, the root. */
static void a_damaged_page_costs_its_own_records(void **state) {
    struct fixture *fixture = *state;
    char command[600], body[DAMAGED_LENGTH + 1];
    uint64_t number;
    size_t costly = 0, cost_some = 0;
    fixture_open(fixture);
    for (unsigned long long i = 1; i <= DAMAGED_RECORDS; i++) {
        snprintf(body, sizeof body, "%-*llu", DAMAGED_LENGTH, i);
        assert_int_equal(store_record_add(fixture->store, STORE_RECORD_EVENT, FIXTURE_TIME_MS, body, DAMAGED_LENGTH,
                                          &number, &fixture->cause),
                         FB_OK);
        if (i % 500 == 0)
            fixture_commit(fixture);
    }
    fixture_close(fixture);
    const int64_t pages = pages_used(fixture);
    snprintf(command, sizeof command, "cp '%s' '%s/copy'", fixture->path, fixture->folder);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "rm -f '%s'*; cp '%s/copy' '%s'", fixture->path, fixture->folder, fixture->path);
    for (long page = 0; page < pages; page += 3) {
        assert_int_equal(system(command), 0);
        const uint64_t left = count_left(fixture, page);
        costly += left < DAMAGED_RECORDS - 2 * A_PAGE;
        cost_some += left < DAMAGED_RECORDS;
    }
    assert_true(costly <= 3);
    assert_true(cost_some >= (size_t)pages / 6);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(kinds_are_numbered_each_for_itself),
        TEST(what_was_not_committed_takes_no_number),
        TEST(bodies_have_a_limit),
        TEST(the_oldest_of_a_kind_gives_way_to_its_newest),
        TEST(readings_and_records_take_nothing_from_each_other),
        TEST(a_smaller_quota_is_reached_step_by_step),
        TEST(what_waits_is_bounded),
        TEST(a_damaged_store_hands_its_records_on),
        TEST(a_damaged_page_costs_its_own_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
