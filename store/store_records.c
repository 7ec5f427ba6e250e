#include "store/store_records.h"

#include <stdlib.h>
#include <string.h>

#include "store/store_internal.h"

/* Of a page, what rows may take: SQLCipher's vector and HMAC and the tree's head are the rest. More than this spills
 * over into pages of its own. */
#define PAGE_ROOM 4040
#define ROW_ROOM 3932
#define ROW_HEAD 64 /* id, lengths, time, hash */
#define MIB (UINT64_C(1) << 20)
/* Rows that one new row may push out: those of a configuration may be large where the others are small. */
#define PUSHED_OUT_MOST 4096
/* Commits without records after the disk had no room for them. */
#define HOLD_COMMITS 16

static const struct {
    uint64_t quota_bytes;
    size_t body_most;
} kinds[STORE_RECORD_KINDS + 1] = {
    [STORE_RECORD_AUDIT] = {16 * MIB, STORE_RECORD_BYTES_MAX},
    [STORE_RECORD_EVENT] = {16 * MIB, STORE_RECORD_BYTES_MAX},
    [STORE_RECORD_ATTEMPT] = {16 * MIB, STORE_RECORD_BYTES_MAX},
    [STORE_RECORD_CONFIGURATION] = {16 * MIB, STORE_RECORD_CONFIGURATION_BYTES_MAX},
    [STORE_RECORD_PROOF] = {4 * MIB, STORE_RECORD_PROOF_BYTES_MAX},
};

struct store_record_waiting {
    struct store_record_waiting *next;
    enum store_record_kind kind;
    int64_t time_ms;
    size_t length;
    uint8_t body[];
};

static int64_t row_id(enum store_record_kind kind, uint64_t number) {
    return (int64_t)((uint64_t)kind << STORE_RECORD_KIND_SHIFT | number);
}

static uint64_t number_of(int64_t id) {
    return (uint64_t)id & ((UINT64_C(1) << STORE_RECORD_KIND_SHIFT) - 1);
}

/* The share of its page, or its pages. */
uint64_t store_records_row_bytes(size_t length) {
    const size_t row = length + ROW_HEAD;
    return row <= ROW_ROOM ? STORE_PAGE_BYTES / (PAGE_ROOM / row) : (row / ROW_ROOM + 1) * STORE_PAGE_BYTES;
}

uint64_t store_records_share_pages(uint64_t pages) {
    uint64_t bytes = 0;
    for (size_t kind = 1; kind <= STORE_RECORD_KINDS; kind++)
        bytes += kinds[kind].quota_bytes;
    /* Rows that are added in the middle of the tree leave up to a quarter of a page empty. */
    const uint64_t most = bytes / 3 * 4 / STORE_PAGE_BYTES;
    return pages < most ? pages : most;
}

void store_records_set_quotas(struct store *store, uint64_t pages) {
    const uint64_t most = store_records_share_pages(UINT64_MAX);
    for (size_t kind = 1; kind <= STORE_RECORD_KINDS; kind++)
        store->record_quotas[kind] = kinds[kind].quota_bytes * pages / most;
}

uint64_t store_records_pages(const struct store *store) {
    uint64_t bytes = 0;
    for (size_t kind = 1; kind <= STORE_RECORD_KINDS; kind++)
        bytes += store->state.records[kind].bytes;
    return bytes / STORE_PAGE_BYTES;
}

void store_records_figures(const struct store *store, enum store_record_kind kind,
                           struct store_records_figures *ret_figures) {
    const struct store_record_account *account = &store->state.records[kind];
    *ret_figures = (struct store_records_figures){
        .first = account->last > 0 ? account->first : 1,
        .last = account->last,
        .bytes = account->bytes,
        .quota_bytes = store->record_quotas[kind],
    };
    memcpy(ret_figures->head, account->head, sizeof ret_figures->head);
}

size_t store_records_waiting(const struct store *store) {
    return store->records_waiting;
}

enum fb_error store_record_add(struct store *store, enum store_record_kind kind, int64_t time_ms, const void *body,
                               size_t length, uint64_t *ret_number, struct fb_cause *cause) {
    if (length > kinds[kind].body_most || store_records_row_bytes(length) > store->record_quotas[kind])
        return fb_fail(cause, FB_LIMIT, "store: a record of %zu bytes is too long", length);
    if (store->records_waiting >= STORE_RECORDS_WAITING_MAX ||
        length > STORE_RECORDS_WAITING_BYTES_MAX - store->records_waiting_bytes)
        return fb_fail(cause, FB_FULL, "store: too many records wait for room on the disk");
    struct store_record_waiting *waiting = malloc(sizeof *waiting + length);
    if (waiting == NULL)
        return fb_fail(cause, FB_MEMORY, "store: out of memory");
    *waiting = (struct store_record_waiting){.kind = kind, .time_ms = time_ms, .length = length};
    memcpy(waiting->body, body, length);
    uint64_t number = store->state.records[kind].last + 1;
    struct store_record_waiting **place = &store->records;
    for (; *place != NULL; place = &(*place)->next)
        number += (*place)->kind == kind;
    *place = waiting;
    store->records_waiting++;
    store->records_waiting_bytes += length;
    *ret_number = number;
    return FB_OK;
}

void store_records_drop_waiting(struct store *store) {
    while (store->records != NULL) {
        struct store_record_waiting *next = store->records->next;
        free(store->records);
        store->records = next;
    }
    store->records_waiting = 0;
    store->records_waiting_bytes = 0;
}

/* The oldest gives way. */
static enum fb_error push_out(struct store *store, enum store_record_kind kind, struct fb_cause *cause) {
    struct store_record_account *account = &store->state.records[kind];
    const int code = store_step(store, STORE_DROP_RECORD, "ii", row_id(kind, 0), row_id(kind, account->last + 1));
    uint64_t bytes = account->bytes; /* when nothing is left, nothing is taken */
    account->first = account->last + 1;
    if (code == SQLITE_ROW) {
        account->first = number_of(store_integer(store, STORE_DROP_RECORD, 0)) + 1;
        bytes = store_records_row_bytes((size_t)store_integer(store, STORE_DROP_RECORD, 1));
    }
    store_reset(store, STORE_DROP_RECORD);
    account->bytes -= bytes < account->bytes ? bytes : account->bytes;
    return store_result(store->db, code, cause, "records");
}

static enum fb_error make_room(struct store *store, enum store_record_kind kind, uint64_t bytes,
                               struct fb_cause *cause) {
    const struct store_record_account *account = &store->state.records[kind];
    enum fb_error error = FB_OK;
    for (int i = 0; error == FB_OK && i < PUSHED_OUT_MOST && account->bytes > 0 &&
                    account->bytes + bytes > store->record_quotas[kind];
         i++)
        error = push_out(store, kind, cause);
    return error;
}

static enum fb_error write_one(struct store *store, const struct store_record_waiting *record, struct fb_cause *cause) {
    struct store_record_account *account = &store->state.records[record->kind];
    const uint64_t bytes = store_records_row_bytes(record->length), number = account->last + 1;
    uint8_t hash[RECORD_HASH_BYTES];
    if (!record_hash(account->head, record->kind, number, record->time_ms, record->body, record->length, hash))
        return fb_fail(cause, FB_MEMORY, "out of memory");
    enum fb_error error = make_room(store, record->kind, bytes, cause);
    if (error != FB_OK)
        return error;
    const int code = store_run(store, STORE_ADD_RECORD, "iibb", row_id(record->kind, number), record->time_ms,
                               account->head, sizeof account->head, record->body, record->length);
    if (account->last == 0)
        account->first = number;
    account->last = number;
    account->bytes += bytes;
    account->changed = true;
    memcpy(account->head, hash, sizeof hash);
    return store_result(store->db, code, cause, "records");
}

int store_records_save(struct store *store) {
    int code = SQLITE_DONE;
    for (size_t kind = 1; code == SQLITE_DONE && kind <= STORE_RECORD_KINDS; kind++) {
        struct store_record_account *account = &store->state.records[kind];
        if (account->changed)
            code = store_run(store, STORE_SAVE_RECORDS, "iiib", (int64_t)kind, account->last, account->bytes,
                             account->head, sizeof account->head);
        account->changed = false;
    }
    return code;
}

bool store_records_due(struct store *store) {
    if (store->records == NULL || store->records_hold > 0)
        return false;
    uint64_t bytes = 0;
    for (const struct store_record_waiting *record = store->records; record != NULL; record = record->next)
        bytes += store_records_row_bytes(record->length);
    return store_quota_disk_takes(store, bytes / STORE_PAGE_BYTES + STORE_TABLE_PAGES);
}

enum fb_error store_records_write(struct store *store, struct fb_cause *cause) {
    enum fb_error error = FB_OK;
    for (const struct store_record_waiting *record = store->records; error == FB_OK && record != NULL;
         record = record->next)
        error = write_one(store, record, cause);
    return error;
}

void store_records_settle(struct store *store, enum fb_error error, bool written) {
    if (written && error == FB_OK)
        store_records_drop_waiting(store);
    else if (written && error == FB_FULL)
        store->records_hold = HOLD_COMMITS;
    else if (store->records_hold > 0)
        store->records_hold--;
}

bool store_records_load(struct store *store, sqlite3_stmt *row) {
    const int64_t kind = sqlite3_column_int64(row, 0);
    if (kind < 1 || kind > STORE_RECORD_KINDS || sqlite3_column_bytes(row, 3) != RECORD_HASH_BYTES)
        return false;
    struct store_record_account *account = &store->state.records[kind];
    account->last = (uint64_t)sqlite3_column_int64(row, 1);
    account->bytes = (uint64_t)sqlite3_column_int64(row, 2);
    memcpy(account->head, sqlite3_column_blob(row, 3), RECORD_HASH_BYTES);
    account->first =
        sqlite3_column_type(row, 4) == SQLITE_INTEGER ? number_of(sqlite3_column_int64(row, 4)) : account->last + 1;
    return true;
}

static bool visit_row(struct store *store, store_record_visit *visit, void *user) {
    size_t hash_length;
    struct store_record record = {
        .number = number_of(store_integer(store, STORE_READ_RECORDS, 0)),
        .time_ms = store_integer(store, STORE_READ_RECORDS, 1),
        .previous = store_bytes(store, STORE_READ_RECORDS, 2, &hash_length),
    };
    record.body = store_bytes(store, STORE_READ_RECORDS, 3, &record.length);
    return hash_length == RECORD_HASH_BYTES && visit(&record, user);
}

enum fb_error store_records_read(struct store *store, enum store_record_kind kind, uint64_t after_number, size_t limit,
                                 store_record_visit *visit, void *user, struct fb_cause *cause) {
    const uint64_t last = store->state.records[kind].last;
    if (after_number >= last)
        return FB_OK;
    int code =
        store_step(store, STORE_READ_RECORDS, "iii", row_id(kind, after_number), row_id(kind, last), (int64_t)limit);
    while (code == SQLITE_ROW && visit_row(store, visit, user))
        code = store_step(store, STORE_READ_RECORDS, "");
    store_reset(store, STORE_READ_RECORDS);
    return store_result(store->db, code, cause, "records");
}
