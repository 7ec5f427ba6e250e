/* store_internal.h - what the files of the store share. Included by store*.c alone. */
#ifndef FB_STORE_STORE_INTERNAL_H
#define FB_STORE_STORE_INTERNAL_H

#include <limits.h>
#include <sqlite3.h>

#include "store/store.h"
#include "store/store_parked.h"
#include "store/store_records.h"

#define STORE_PAGE_BYTES 4096 /* SQLCipher's default, and what a disk writes at least */
/* A row of the tail fills one page: 4096 bytes, of which SQLCipher takes 48 for vector and HMAC, the tree 35, and the
 * row's head 13. More would spill over into a second page. */
#define STORE_SLOT_BYTES 3992
#define STORE_STATE_COLUMNS 18 /* of the table state */
/* Pages of the other tables and indexes that a new batch may touch. */
#define STORE_TABLE_PAGES 10

enum store_statement {
    STORE_BEGIN,
    STORE_COMMIT,
    STORE_ROLLBACK,
    STORE_SAVE_STATE,
    STORE_WRITE_SLOT,
    STORE_TRIM_SLOTS,
    STORE_CLEAR_LOSSES,
    STORE_ADD_LOSS,
    STORE_CLEAR_CORRECTIONS,
    STORE_ADD_CORRECTION,
    STORE_KEEP_CLOCK,
    STORE_ADD_BATCH,
    STORE_READ_BATCH,
    STORE_COUNT_READINGS,
    STORE_DELETE_BATCH,
    STORE_ADD_QUEUED,
    STORE_FIRST_QUEUED, /* parked ones too */
    STORE_NEXT_QUEUED,  /* without them */
    STORE_DELETE_QUEUED,
    STORE_REFUSE_QUEUED,
    STORE_PARK_QUEUED,
    STORE_NEXT_PARKED,
    STORE_COUNT_PARKED,
    STORE_RELEASE_PARKED,
    STORE_DAMAGE_QUEUED,
    STORE_OLDEST_HISTORY,
    STORE_REPLACE_BATCH,
    STORE_THIN_QUEUED,
    STORE_NEXT_NUMBER,
    STORE_NEXT_IN_TIME,
    STORE_COUNT_PAGES,
    STORE_COUNT_FREE_PAGES,
    STORE_DROP_CATALOGUES,
    STORE_ADD_CATALOGUE,
    STORE_READ_CATALOGUE,
    STORE_ADD_RECORD,
    STORE_DROP_RECORD,
    STORE_READ_RECORDS,
    STORE_SAVE_RECORDS,
    STORE_FIND_TAG,
    STORE_ADD_TAG,
    STORE_STATEMENTS
};

/* carrier: the batch that tells it, 0 until there is one. Its record's last_batch is 0 until it was told once. Of a
 * store set aside whose clock was not set yet only the batches are known until it is. */
struct store_correction {
    struct batch_correction record;
    uint64_t carrier;
    bool waits_for_clock;
};

/* A record's row has its kind in the highest byte of its id and its number below: so each kind stands together, in
 * order. */
#define STORE_RECORD_KIND_SHIFT 56

/* Of one kind of records. */
struct store_record_account {
    uint64_t first; /* number of the oldest that is left; last + 1: none is */
    uint64_t last;  /* number of the newest */
    uint64_t bytes; /* that the records take, rather too many than too few */
    uint8_t head[RECORD_HASH_BYTES];
    bool changed; /* against the table */
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
    uint64_t thinned_to;   /* unsent batches up to it are as small as thinning makes them */
    uint64_t evicted_to;   /* the highest number that was history and gave way */
    struct batch_loss losses[BATCH_LOSSES_MAX];
    size_t loss_count;
    bool losses_changed;                             /* against the table */
    struct batch_loss noted[BATCH_LOSS_THINNED + 1]; /* by reason: to be told to people; to_ms 0: nothing */
    struct store_correction corrections[STORE_CORRECTIONS_MAX];
    size_t correction_count;
    struct store_clock clock;
    bool has_clock;
    bool corrections_changed; /* they or the clock, against the tables */
    struct store_link link;
    uint64_t parked_batches, parked_readings;
    bool parked_changed;                                         /* count them anew */
    struct store_record_account records[STORE_RECORD_KINDS + 1]; /* by kind */
};

/* Where the tail may be cut, see store_mark(). */
#define STORE_MARK_UNITS (STORE_COMMIT_UNITS / 4)
#define STORE_MARKS_MAX (STORE_TAIL_MAX / STORE_MARK_UNITS)
struct store_mark {
    size_t units; /* of the tail, in front of it */
    struct store_cursor cursor;
    bool with_losses; /* some that are not committed were noted in front of it */
};

/* Where the next record of the tail goes. */
struct store_slots {
    uint32_t slot; /* 1 and up */
    size_t used;   /* bytes of it */
    uint8_t bytes[STORE_SLOT_BYTES];
};

/* What the store has of the disk, see store_room.c. */
struct store_room {
    char path[PATH_MAX];       /* of the file that is attached */
    int file;                  /* a descriptor of it */
    bool is_open;              /* that one is */
    uint64_t log_misses_bytes; /* that the log may still take of the disk */
    uint64_t log_pages;        /* in the log, to be written back */
};

struct store {
    sqlite3 *db;
    sqlite3_stmt *statements[STORE_STATEMENTS];
    char *path;
    char gateway[BATCH_GATEWAY_MAX];
    uint8_t id[BATCH_STORE_ID_BYTES];
    uint64_t quota_bytes;
    uint64_t batch_pages_most; /* pages in use above which batches are evicted */
    uint64_t spare_pages;      /* by which batches may pass that while thinning goes on */
    uint64_t reserve_pages;    /* that batches leave free above it, in all */
    uint64_t file_pages_most;  /* to which the file grows */
    uint64_t log_pages_most;   /* to which the log grows before it begins anew */
    struct store_room room;
    bool disk_is_full;   /* see store_disk_is_full() */
    uint32_t slots_most; /* slots that the tail takes before it is sealed, and that it keeps */
    struct store_state state;
    struct store_state before; /* state at the begin of the transaction */
    struct reading *tail;      /* the first tail_committed of them are on disk */
    size_t tail_count;         /* units, as are the next two */
    size_t tail_committed;
    size_t tail_capacity;
    size_t tail_readings;                     /* in the units */
    struct store_mark marks[STORE_MARKS_MAX]; /* behind tail_committed, in their order */
    size_t mark_count;
    bool losses_noted; /* by store_note_loss() since all of the tail was committed */
    struct store_slots slots;
    struct store_record_waiting *records; /* to be written with the next commit, in their order */
    size_t records_waiting;
    size_t records_waiting_bytes;
    unsigned records_hold; /* commits that leave them out, since the disk had no room for them */
    uint64_t record_quotas[STORE_RECORD_KINDS + 1];
    bool (*is_under_way)(uint64_t number, void *user); /* see store_set_under_way() */
    void *under_way_user;
    bool marked;               /* by this run, see store_aside_mark() */
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
/* Copy the bytes of any row's column. False, and nothing taken, when it has another length. */
bool store_take_bytes(sqlite3_stmt *row, int column, uint8_t *ret_bytes, size_t length);
int store_prepare_all(struct store *store);

/* SQLite's code as ours; the cause says what, then SQLite's text. SQLITE_OK, _ROW and _DONE are FB_OK. */
enum fb_error store_result(sqlite3 *db, int code, struct fb_cause *cause, const char *what);

/* Transactions: whatever happens between begin and end is undone, in memory as on disk, unless store_end() says FB_OK.
 * error: what happened in between; returned as it is after the rollback. store_end() saves the state if save_state. */
enum fb_error store_begin(struct store *store, struct fb_cause *cause) FB_MUST_USE;
enum fb_error store_end(struct store *store, enum fb_error error, bool save_state, struct fb_cause *cause) FB_MUST_USE;

/* The end of every public call: puts "store: what: " in front of the cause, and notes beside the file that it is broken
 * when error is FB_CORRUPT, for the next open. Returns error; FB_MEMORY for FB_CORRUPT that is want of memory. */
enum fb_error store_finish(struct store *store, enum fb_error error, const char *what, struct fb_cause *cause);

/* Corrections in the state: whether one waits to be told; put those that wait into a batch; tell those again that a
 * batch carried which is gone. The table as the state has them, and back, row by row (false: too many). */
bool store_corrections_wait(const struct store_state *state);
void store_corrections_take(struct store_state *state, struct batch_info *info);
void store_corrections_retell(struct store_state *state, uint64_t carrier);
int store_corrections_save(struct store *store);
bool store_corrections_load(struct store *store, sqlite3_stmt *row);
bool store_clock_load(struct store *store, sqlite3_stmt *row);
/* After a batch that did not take all of the tail: the next may hold such readings as well. */
void store_corrections_extend(struct store *store, uint64_t carrier);
/* Take over what the store set aside in old, whose identity and last batch are given, knew of its own batches' times,
 * and tell it (again); goes_on: with its clock and its tail, which are ours now. Inside a transaction. What
 * cannot be read, or finds no place, stays away. */
void store_corrections_inherit(struct store *store, sqlite3 *old, const uint8_t id[static BATCH_STORE_ID_BYTES],
                               uint64_t last_number, bool goes_on);

/* Records, see store_records.c. Of so many pages those that records may take; share them out among the kinds. Pages
 * that they take now. */
uint64_t store_records_share_pages(uint64_t pages);
void store_records_set_quotas(struct store *store, uint64_t pages);
uint64_t store_records_pages(const struct store *store);
/* The place that a record takes: its share of a page, or its pages. */
uint64_t store_records_row_bytes(size_t length);
/* Whether any wait, and the disk has room for them. Inside a transaction: write those that wait. They go on waiting
 * until store_records_settle() is told how the transaction ended, and whether they were in it. */
bool store_records_due(struct store *store);
enum fb_error store_records_write(struct store *store, struct fb_cause *cause) FB_MUST_USE;
void store_records_settle(struct store *store, enum fb_error error, bool written);
void store_records_drop_waiting(struct store *store);
/* The table of kinds as the state has it, and back, row by row (false: it does not hold). */
int store_records_save(struct store *store);
bool store_records_load(struct store *store, sqlite3_stmt *row);
/* Take over numbers and records of the store in old, the newest first, as far as they can be read and find room. In
 * transactions of its own. */
void store_records_inherit(struct store *heir, sqlite3 *old);

/* Loss records in the state: neighbours are merged, so that they are never more than BATCH_LOSSES_MAX. */
void store_losses_add(struct store_state *state, const struct batch_loss *loss);
/* Have people told, see store_take_noted_loss(). */
void store_losses_note(struct store_state *state, const struct batch_loss *loss);
/* Before a transaction that keeps a cursor older than what was noted, since the readings in between come later: a kill
 * would let the same losses be told twice. True: put losses_changed back afterwards. What is lost in the transaction
 * itself takes all with it. */
bool store_hold_losses(struct store *store);

/* Open or create the database file: attached with its key, its settings made, its schema up to date; in opening what
 * had to be done. store->db is set. */
enum fb_error store_database_open(struct store *store, const struct store_settings *settings,
                                  const uint8_t key[static STORE_KEY_BYTES], struct store_opening *opening,
                                  struct fb_cause *cause) FB_MUST_USE;
/* A new store takes its place in three steps, so that a cut at any time leaves the old one, or the new one complete:
 * made and attached as path.new; closed and renamed to path.ready; renamed to path, where nothing may be by then.
 * store_database_take_ready(): FB_NOT_FOUND when there is no path.ready. */
enum fb_error store_database_make(struct store *store, const char *path, const uint8_t key[static STORE_KEY_BYTES],
                                  struct fb_cause *cause) FB_MUST_USE;
enum fb_error store_database_install(struct store *store, const struct store_settings *settings,
                                     struct fb_cause *cause) FB_MUST_USE;
enum fb_error store_database_take_ready(const struct store_settings *settings, struct fb_cause *cause) FB_MUST_USE;
/* Open the existing file at path with one key; on failure nothing stays open. */
enum fb_error store_database_attach(struct store *store, const char *path, const uint8_t key[static STORE_KEY_BYTES],
                                    struct fb_cause *cause) FB_MUST_USE;
/* An empty file of mode 0600 in place of what may be there. */
enum fb_error store_database_make_empty(const char *path, struct fb_cause *cause) FB_MUST_USE;
/* Close it and forget all prepared statements. */
void store_database_detach(struct store *store);
/* Give the key to a database just opened, and choose how its pages are kept. Returns SQLite's code. */
int store_database_set_key(sqlite3 *db, const uint8_t key[static STORE_KEY_BYTES]);
/* Open an existing store reading only: the file, also one set aside, is not written to. FB_CORRUPT: the key does not
 * fit, or it cannot be read. ret_db: sqlite3_close(). */
enum fb_error store_database_look(const char *path, const uint8_t key[static STORE_KEY_BYTES], sqlite3 **ret_db,
                                  struct fb_cause *cause) FB_MUST_USE;
/* The file under the old key, which a rekey that was cut off left beside its copy, goes. */
#define STORE_OLD_SUFFIX ".old"
void store_database_forget_old(const char *path);
/* fsync the folder that path stands in. */
enum fb_error store_database_sync_folder(const char *path, struct fb_cause *cause) FB_MUST_USE;

/* What becomes of a file that cannot be used, see store_aside.c. Leave the reason in path.failed beside it. */
void store_aside_mark(const char *path, const char *reason);
/* How often earlier runs did so, 0 for never; ret_reason: the first one. */
unsigned store_aside_marks(const char *path, char *ret_reason, size_t size);
void store_aside_forget_mark(const char *path);
/* A name that nothing has yet: path.unreadable-20261231T235959Z, then ...-2 and so on. */
enum fb_error store_aside_name(const char *path, int64_t now_ms, char *ret_name, size_t size,
                               struct fb_cause *cause) FB_MUST_USE;
/* Rename path, -wal and -shm to name...; what is missing is skipped. */
enum fb_error store_aside_rename(const char *path, const char *name, struct fb_cause *cause) FB_MUST_USE;

/* Damage looked for in the file itself, past SQLCipher, which takes any failure of OpenSSL for damage of the page at
 * hand; see store_damage.c.
 * Why the file cannot be opened: a few pages are read. The reason stays as it is when nothing more is found, which is
 * FB_NOT_FOUND. FB_MEMORY: OpenSSL does not work, nobody can tell. */
enum fb_error store_damage_explain(const char *path, const uint8_t key[static STORE_KEY_BYTES], char *reason,
                                   size_t size);
/* All pages of the store, which is open, for budget_us: FB_CORRUPT: some are damaged, the cause says how many. FB_OK:
 * none that was looked at. FB_MEMORY. */
enum fb_error store_damage_search(struct store *store, const uint8_t key[static STORE_KEY_BYTES], int64_t budget_us,
                                  struct fb_cause *cause) FB_MUST_USE;
/* Whether OpenSSL does what SQLCipher needs of it, right now. */
bool store_damage_can_tell(void);
/* FB_CORRUPT when the log has lost commits in its middle, which SQLite takes for its end; see store_wal.c. */
enum fb_error store_wal_check(const char *path, struct fb_cause *cause) FB_MUST_USE;

/* Take over from the file at path, which will be named aside, what the empty store can go on with: see store_inherit.c.
 * ret_inherited: whether there was anything; what could not be read is noted as a loss. Fails when what was read could
 * not be kept, which another try may. */
enum fb_error store_inherit(struct store *heir, const char *path, const char *aside,
                            const struct store_settings *settings, const uint8_t key[static STORE_KEY_BYTES],
                            bool *ret_inherited, struct fb_cause *cause) FB_MUST_USE;

/* A kind of salvage beside those of store_salvage.h, in the table only: the tail and the losses of the file were taken.
 */
#define STORE_SALVAGE_TAIL 2
/* What a store set aside had not sealed yet, see store_salvage_tail.c. */
struct store_last_batches {
    struct store *vessel; /* of its tail alone */
    size_t done;          /* units of it */
    bool complete;        /* all of it could be read */
    /* The batch that was made last. */
    struct batch_info info;
    uint64_t readings;
    int64_t first_ms, last_ms;
    uint8_t hash[BATCH_HASH_BYTES];
    size_t length;
    uint8_t bytes[BATCH_BYTES_MAX];
};
/* Read it from old. gateway: BATCH_GATEWAY_MAX. ret_last: yours, store_last_batches_free(), on failure as well. */
enum fb_error store_last_batches_read(sqlite3 *old, const char *gateway, struct store_last_batches **ret_last,
                                      struct fb_cause *cause) FB_MUST_USE;
void store_last_batches_free(struct store_last_batches *last); /* NULL is fine */
/* Make the next batch of it, of at most bytes_most if it can be. FB_NOT_FOUND: that was all. */
enum fb_error store_last_batches_next(struct store_last_batches *last, size_t bytes_most,
                                      struct fb_cause *cause) FB_MUST_USE;

/* Stands for the identity of a store set aside that cannot tell it any more. */
void store_salvage_name_id(const char *path, uint8_t ret_id[static BATCH_STORE_ID_BYTES]);

/* Bring the schema to the version of this program, in one transaction; also makes a new one. FB_VERSION: it is
 * newer. */
enum fb_error store_schema_migrate(sqlite3 *db, struct fb_cause *cause) FB_MUST_USE;

/* Read the state, the tail and the losses; done once, when the database is open. FB_CORRUPT when they do not hold. */
enum fb_error store_load(struct store *store, struct fb_cause *cause) FB_MUST_USE;
/* Append the readings of the tail in db, which waits for batch number, to that of store, whose cursor follows.
 * store->db may be another one. */
enum fb_error store_load_tail(struct store *store, sqlite3 *db, uint64_t number, struct fb_cause *cause) FB_MUST_USE;
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
/* Step STORE_FIRST_QUEUED to the first batch in [first, last], those under way left out unless wanted. Returns SQLite's
 * code; the row stays until store_reset(). */
int store_first_queued(struct store *store, uint64_t first, uint64_t last, bool under_way_too);
/* Find out anew when the oldest queued batch begins. */
enum fb_error store_refresh_oldest(struct store *store, struct fb_cause *cause) FB_MUST_USE;

/* The bytes of the batch whose number stands in batch, its hash checked; fills the rest of it but for attempts.
 * FB_CORRUPT: it is gone, be it its pages or its row. */
enum fb_error store_read_batch(struct store *store, struct store_batch *batch, struct fb_cause *cause) FB_MUST_USE;

/* The tail from a unit on. Without memory it is NULL, to which C lets nobody add 0. */
static inline const struct reading *store_tail_from(const struct store *store, size_t unit) {
    return unit > 0 ? store->tail + unit : store->tail;
}

/* Count anew what is parked, into the state. Returns SQLite's code. */
int store_parked_count(struct store *store);
/* What a batch that is sealed now may have in bytes: what the peer takes, but never so little that it holds nothing. */
size_t store_batch_bytes_most(const struct store *store);

/* Encode readings of up to so many units as a batch, fewer (half, a quarter ...) if it is too large for one or has more
 * than bytes_most. ret_bytes: BATCH_BYTES_MAX of room. ret_taken: how many units went in. */
enum fb_error store_pack(const struct batch_info *info, const struct reading *readings, size_t units, size_t bytes_most,
                         uint8_t *ret_bytes, size_t *ret_length, size_t *ret_taken, struct fb_cause *cause) FB_MUST_USE;

/* Inside a transaction: thin the oldest unsent batch that was not thinned yet. ret_readings: how many it had.
 * FB_NOT_FOUND: there is none. */
enum fb_error store_thin_next(struct store *store, uint64_t *ret_readings, struct fb_cause *cause) FB_MUST_USE;
/* Whether there is one. */
bool store_thin_waits(struct store *store);

/* Room on the disk, see store_room.c. For the file that was just attached at path, its quota set: its log's room is
 * taken, if the disk has it, and from now on it is written back when it has its size. Close: behind SQLite. */
void store_room_open(struct store *store, const char *path);
void store_room_close(struct store *store);
/* Before a transaction: when the disk is full, the log has room for it. */
void store_room_for_transaction(struct store *store);
/* What the log has goes into the file, as far as that takes it; the log then begins anew. */
void store_room_write_back(struct store *store);
/* Inside a transaction, before it is committed: make the file as long as it will be. FB_FULL: the disk has no room. */
enum fb_error store_room_take_file(struct store *store, struct fb_cause *cause) FB_MUST_USE;
/* By how many pages a file that has so many may still grow; and whether the disk has bytes more, the reserve that
 * readings leave included. */
uint64_t store_room_left_pages(const struct store *store, uint64_t used_pages);
bool store_room_beyond_reserve(const struct store *store, uint64_t bytes);
/* The size of the whole disk that path is on; and of a log of so many pages. */
uint64_t store_room_disk_pages(const char *path);
uint64_t store_room_log_bytes(uint64_t pages);

/* Inside a transaction: make room for pages more within the quota and the disk's free space, as far as one call may:
 * history gives way, then unsent batches are thinned, then they are dropped. While more can be thinned than one call
 * may, the spare pages are used before any batch is dropped. */
enum fb_error store_quota_make_room(struct store *store, uint64_t pages, struct fb_cause *cause) FB_MUST_USE;
/* The same, but only history gives way. FB_FULL: it is not enough. */
enum fb_error store_quota_room_from_history(struct store *store, uint64_t pages, struct fb_cause *cause) FB_MUST_USE;
/* Whether the quota, and not the disk, is what keeps pages more from being written. */
bool store_quota_reached(struct store *store, uint64_t pages);
/* Whether the disk, or the file's own unused pages, have room for pages more of records. */
bool store_quota_disk_takes(struct store *store, uint64_t pages);
/* In a transaction of its own: give the unreadable batch up; a loss if it was not sent. FB_AGAIN: it can be read, now.
 * FB_MEMORY: nobody can tell. */
enum fb_error store_quota_give_up(struct store *store, uint64_t number, struct fb_cause *cause) FB_MUST_USE;
/* After a call that ended with error: true when that was because of a batch that could not be evicted, and it has been
 * given up: try again, STORE_GIVE_UP_MOST times at most. */
#define STORE_GIVE_UP_MOST 8
bool store_quota_gave_up(struct store *store, enum fb_error error);

#endif
