/* store_internal.h - what the files of the store share. Included by store*.c alone. */
#ifndef FB_STORE_STORE_INTERNAL_H
#define FB_STORE_STORE_INTERNAL_H

#include <sqlite3.h>

#include "store/store.h"

#define STORE_PAGE_BYTES 4096 /* SQLCipher's default, and what a disk writes at least */
/* A row of the tail fills one page: 4096 bytes, of which SQLCipher takes 80 for vector and HMAC, the tree 35, and the
 * row's head 13. More would spill over into a second page. */
#define STORE_SLOT_BYTES 3960

enum store_statement {
    STORE_BEGIN,
    STORE_COMMIT,
    STORE_ROLLBACK,
    STORE_SAVE_STATE,
    STORE_WRITE_SLOT,
    STORE_TRIM_SLOTS,
    STORE_CLEAR_LOSSES,
    STORE_ADD_LOSS,
    STORE_ADD_BATCH,
    STORE_READ_BATCH,
    STORE_COUNT_READINGS,
    STORE_DELETE_BATCH,
    STORE_ADD_QUEUED,
    STORE_FIRST_QUEUED,
    STORE_DELETE_QUEUED,
    STORE_REFUSE_QUEUED,
    STORE_DAMAGE_QUEUED,
    STORE_OLDEST_HISTORY,
    STORE_COUNT_PAGES,
    STORE_COUNT_FREE_PAGES,
    STORE_DROP_CATALOGUES,
    STORE_ADD_CATALOGUE,
    STORE_READ_CATALOGUE,
    STORE_FIND_TAG,
    STORE_ADD_TAG,
    STORE_STATEMENTS
};

/* What the transactions change; a copy is taken at their begin and put back when they fail. */
struct store_state {
    struct store_cursor cursor;
    uint64_t last_number;
    uint8_t last_hash[BATCH_HASH_BYTES];
    uint64_t batches; /* readable ones */
    uint64_t readings;
    uint64_t unsent_batches;
    uint64_t unsent_readings;
    uint64_t lost_readings;
    int64_t sent_ms; /* when the peer last accepted something */
    uint64_t catalogue_revision;
    uint8_t catalogue_hash[BATCH_HASH_BYTES];
    int64_t oldest_queued_ms;
    uint64_t history_from; /* no batch below it is history */
    struct batch_loss losses[BATCH_LOSSES_MAX];
    size_t loss_count;
    bool losses_changed; /* against the table */
};

/* Where the next record of the tail goes. */
struct store_slots {
    uint32_t slot; /* 1 and up */
    size_t used;   /* bytes of it */
    uint8_t bytes[STORE_SLOT_BYTES];
};

struct store {
    sqlite3 *db;
    sqlite3_stmt *statements[STORE_STATEMENTS];
    char *path;
    char gateway[BATCH_GATEWAY_MAX];
    uint8_t id[BATCH_STORE_ID_BYTES];
    uint64_t quota_bytes;
    uint64_t batch_pages_most; /* pages in use above which batches are evicted */
    uint32_t slots_most;       /* slots that the tail takes before it is sealed, and that it keeps */
    struct store_state state;
    struct store_state before; /* state at the begin of the transaction */
    struct reading *tail;      /* the first tail_committed of them are on disk */
    size_t tail_count;
    size_t tail_committed;
    size_t tail_capacity;
    struct store_slots slots;
    uint64_t unreadable_batch; /* which one made the last call fail with FB_CORRUPT; 0: none did */
};

/* Statements. Formats name the arguments that are bound to ?1, ?2 ...: i an int64_t (any 64-bit integer), b bytes
 * (pointer, size_t), t text. The row stays until store_reset(). store_run() is for statements without rows.
 * Return SQLite's code. */
int store_step(struct store *store, enum store_statement statement, const char *format, ...);
int store_run(struct store *store, enum store_statement statement, const char *format, ...);
void store_reset(struct store *store, enum store_statement statement);
int64_t store_integer(struct store *store, enum store_statement statement, int column);
/* Borrowed until store_reset(). */
const uint8_t *store_bytes(struct store *store, enum store_statement statement, int column, size_t *ret_length);
int store_prepare_all(struct store *store);

/* SQLite's code as ours; the cause says what, then SQLite's text. SQLITE_OK, _ROW and _DONE are FB_OK. */
enum fb_error store_result(sqlite3 *db, int code, struct fb_cause *cause, const char *what);

/* Transactions: whatever happens between begin and end is undone, in memory as on disk, unless store_end() says FB_OK.
 * error: what happened in between; returned as it is after the rollback. store_end() saves the state if save_state. */
enum fb_error store_begin(struct store *store, struct fb_cause *cause) FB_MUST_USE;
enum fb_error store_end(struct store *store, enum fb_error error, bool save_state, struct fb_cause *cause) FB_MUST_USE;

/* The end of every public call: puts "store: what: " in front of the cause, and notes beside the file that it is broken
 * when error is FB_CORRUPT, so that the next open puts it aside. Returns error. */
enum fb_error store_finish(struct store *store, enum fb_error error, const char *what, struct fb_cause *cause);

/* Loss records in the state: neighbours are merged, so that they are never more than BATCH_LOSSES_MAX. */
void store_losses_add(struct store_state *state, const struct batch_loss *loss);

/* Open or create the database file: attached with its key, its settings made, its schema up to date; in opening what
 * had to be done. store->db, path and quota are set. */
enum fb_error store_database_open(struct store *store, const struct store_settings *settings,
                                  const uint8_t key[static STORE_KEY_BYTES], struct store_opening *opening,
                                  struct fb_cause *cause) FB_MUST_USE;
/* Leave path.failed beside the file, with the reason in it. */
void store_database_mark_failed(const char *path, const char *reason);
/* Rename path, -wal and -shm to path.unreadable-<time>...; what is missing is skipped. */
enum fb_error store_database_set_aside(const char *path, int64_t now_ms, struct store_opening *opening,
                                       struct fb_cause *cause) FB_MUST_USE;

/* Bring the schema to the version of this program, in one transaction; also makes a new one. FB_VERSION: it is newer.
 */
enum fb_error store_schema_migrate(sqlite3 *db, struct fb_cause *cause) FB_MUST_USE;

/* Read the state, the tail and the losses; done once, when the database is open. FB_CORRUPT when they do not hold. */
enum fb_error store_load(struct store *store, struct fb_cause *cause) FB_MUST_USE;
/* The tail on disk, see store_slots.c. Inside a transaction: add one record (the frame of a batch without identity);
 * give up slots above those that are kept. After a seal, and after a failure, start at the given slot, which is taken
 * to be empty. */
enum fb_error store_slots_add(struct store *store, struct store_cursor cursor, const uint8_t *frame, size_t length,
                              struct fb_cause *cause) FB_MUST_USE;
enum fb_error store_slots_trim(struct store *store, struct fb_cause *cause) FB_MUST_USE;
void store_slots_restart(struct store *store, uint32_t slot);
/* Put the readings of all slots, given one after the other, into the tail. */
enum fb_error store_slots_load(struct store *store, const uint8_t *bytes, size_t length,
                               struct fb_cause *cause) FB_MUST_USE;
/* Find out anew when the oldest queued batch begins. */
enum fb_error store_refresh_oldest(struct store *store, struct fb_cause *cause) FB_MUST_USE;

/* Encode up to count readings as a batch, fewer (half, a quarter ...) if it is too large for one. ret_bytes:
 * BATCH_BYTES_MAX of room. ret_taken: how many went in. */
enum fb_error store_pack(const struct batch_info *info, const struct reading *readings, size_t count,
                         uint8_t *ret_bytes, size_t *ret_length, size_t *ret_taken, struct fb_cause *cause) FB_MUST_USE;

/* Inside a transaction: evict batches until pages more fit into the quota, or as many as one call may. */
enum fb_error store_quota_make_room(struct store *store, uint64_t pages, struct fb_cause *cause) FB_MUST_USE;
/* Whether the quota, and not the disk, is what keeps pages more from being written. */
bool store_quota_reached(struct store *store, uint64_t pages);
/* In a transaction of its own: give the unreadable batch up; a loss if it was not sent. */
enum fb_error store_quota_give_up(struct store *store, uint64_t number, struct fb_cause *cause) FB_MUST_USE;
/* After a call that ended with error: true when that was because of a batch that could not be evicted, and it has been
 * given up: try again, STORE_GIVE_UP_MOST times at most. */
#define STORE_GIVE_UP_MOST 8
bool store_quota_gave_up(struct store *store, enum fb_error error);

#endif
