/* store.h - durable, encrypted queue and history of readings. Used by forebay-core only; one thread.
 * SQLCipher (AES-256, raw key), WAL, synchronous=FULL, temp_store=MEMORY. Every call marked (fsync) may block for one.
 *
 * A reading's way: store_append() keeps it in memory, store_commit() makes the tail durable, store_seal() turns the
 * tail into the next batch, store_next() hands batches out, store_mark_sent() after the peer's acceptance makes them
 * history, which stays until the quota needs its place.
 *
 * FB_CORRUPT from any call but store_read_catalogue(): the file has damage that cannot be worked around. That is noted
 * in path.failed, and the next store_open() puts the file aside, if it finds the damage or it was noted twice: close
 * the store and open it again (or end the program). A batch that cannot be read any more is no such case: it is counted
 * as a loss, and the work goes on. */
#ifndef FB_STORE_STORE_H
#define FB_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/clock.h"
#include "gateway/common/error.h"
#include "gateway/common/plant.h"
#include "gateway/common/reading.h"
#include "store/batch.h"
#include "store/catalogue.h"

#define STORE_KEY_BYTES 32
#define STORE_REASON_MAX 256
#define STORE_QUOTA_MIN (1024 * 1024)
/* Numbers from here on are those of batches that were salvaged from a file set aside (store_salvage.h): here their
 * numbers only say where they stand in this store, their identity stands in their bytes. Below are our own. */
#define STORE_SALVAGED_FIRST (UINT64_C(1) << 62)

struct store;

struct store_settings {
    const char *path;        /* of the database file; borrowed for the call */
    const char *gateway;     /* goes into every batch; borrowed for the call */
    uint64_t quota_bytes;    /* of the file and its log together; less than STORE_QUOTA_MIN is taken as that. A smaller
                                quota than before evicts batches step by step; the file keeps its size */
    int64_t now_ms;          /* UTC, for names of files set aside */
    const uint8_t *next_key; /* STORE_KEY_BYTES: tried when the key does not fit, as after a rekey that was cut off just
                                before its end; NULL: there is none. Borrowed for the call */
};

/* What open had to do; shown on the page and logged. */
struct store_opening {
    bool created;                  /* there was none */
    char set_aside[1024];          /* an unreadable file was renamed to this path; "" if none */
    char reason[STORE_REASON_MAX]; /* why: wrong key, foreign, empty file, cut off, damaged where; "" if none */
    bool inherited;                /* the new store goes on with the old one's tag numbers, position and tail */
    bool next_key_fits;            /* the file is under next_key: make that the key */
};

/* Open the database, creating it if absent. A file that cannot be used (foreign, other key, size 0 without its marker,
 * damaged) is renamed to path.unreadable-<UTC time> with its -wal and -shm, never deleted or written to, and a new one
 * takes its place. As far as it can be read, that one takes over the old one's tag numbers, catalogue, tail, position
 * and losses; its batches follow later (store_salvage.h). What cannot be read is noted as a loss of unknown size. The
 * tail that was committed before a crash is there again. key: borrowed, not kept in readable memory after the call.
 * ret_store: yours on success, end it with store_close(). FB_VERSION: made by a newer Forebay, left as it is. FB_AGAIN:
 * another process has it open. FB_IO, FB_FULL, FB_MEMORY: nothing has taken its place that would lack something; try
 * again. */
enum fb_error store_open(const struct store_settings *settings, const uint8_t key[static STORE_KEY_BYTES],
                         struct store **ret_store, struct store_opening *ret_opening,
                         struct fb_cause *cause) FB_MUST_USE;

/* Commits nothing: call store_commit() first. Checkpoints the WAL. NULL is fine. */
void store_close(struct store *store);

const uint8_t *store_id(const struct store *store); /* BATCH_STORE_ID_BYTES */

/* Tags' numbers: given once, never changed or reused, whatever becomes of the configuration. (fsync when new)
 * Gives every tag of the plant its number. */
enum fb_error store_number_tags(struct store *store, struct plant *plant, struct fb_cause *cause) FB_MUST_USE;

/* Make the catalogue of this plant (numbered) the current one: a new revision if it names other tags than the last.
 * (fsync when new) The tail must be empty or sealed first when it is new: store_commit() and store_seal() before it.
 * FB_AGAIN: it was not; nothing was done. FB_LIMIT: too many tags for one catalogue. */
enum fb_error store_set_catalogue(struct store *store, const struct plant *plant, int64_t now_ms,
                                  struct fb_cause *cause) FB_MUST_USE;

/* What the plant can go on with while the disk takes nothing: tags that have a number, and that the current catalogue
 * names as the plant does, keep it; the number of all others becomes 0. Writes nothing. ret_unknown: how many. */
enum fb_error store_known_tags(struct store *store, struct plant *plant, size_t *ret_unknown,
                               struct fb_cause *cause) FB_MUST_USE;

/* The bytes of a catalogue by its hash (as a batch carries it). ret_bytes: CATALOGUE_BYTES_MAX bytes of room. */
enum fb_error store_read_catalogue(struct store *store, const uint8_t hash[static BATCH_HASH_BYTES],
                                   uint64_t *ret_revision, uint8_t *ret_bytes, size_t *ret_length,
                                   struct fb_cause *cause) FB_MUST_USE;

/* Add readings (so many units, see readings_valid()) to the tail in memory: all or none. No I/O, never fails short of
 * memory: FB_FULL when the tail would pass STORE_TAIL_MAX units because the disk takes nothing; the caller notes the
 * loss. */
#define STORE_TAIL_MAX (2 * BATCH_READINGS_MAX)
enum fb_error store_append(struct store *store, const struct reading *readings, size_t units) FB_MUST_USE;

/* Where forebay-field stood when the tail was committed: kept in the same transaction, so that nothing is taken twice.
 */
struct store_cursor {
    uint64_t epoch;
    uint64_t sequence;
};

/* Make everything appended so far durable, with the cursor and the losses noted. One transaction. (fsync)
 * FB_FULL: disk full, nothing changed, the readings stay in memory; try again.
 * Of a tail that a full disk has made long, only a part is committed, so that no call takes long: up to one of the
 * places that store_mark() named. store_commit_waits(): there is more, call again. */
enum fb_error store_commit(struct store *store, struct store_cursor cursor, struct fb_cause *cause) FB_MUST_USE;
struct store_cursor store_committed_cursor(const struct store *store);
#define STORE_COMMIT_UNITS 16384 /* at most at once, if places are named */
bool store_commit_waits(const struct store *store);

/* All that came up to this cursor, readings and losses, has been appended and noted: the tail may be cut here. */
void store_mark(struct store *store, struct store_cursor cursor);

/* Note readings that are known to be missing; goes out with the next batch. Durable with the next commit. */
void store_note_loss(struct store *store, const struct batch_loss *loss);

/* Take what was noted as lost for this reason since it was asked the last time, taken together, to be told to people.
 * False: nothing. */
bool store_take_noted_loss(struct store *store, enum batch_loss_reason reason, struct batch_loss *ret_loss);

/* Note that readings bear wrong times, see struct batch_correction; last_batch and store_id are filled in: it goes out
 * with the next batch, which is the last that may hold such readings. One of batch 1 on is told of the batches of a
 * store set aside, too, that were sealed in the same run of the clock. Durable with the next commit. */
void store_note_correction(struct store *store, const struct batch_correction *correction);
/* The corrections so far, the oldest first, those of stores set aside among them; of very many only the newest are
 * kept. ret_corrections: STORE_CORRECTIONS_MAX of room. Returns how many. */
#define STORE_CORRECTIONS_MAX 32
size_t store_corrections(const struct store *store, struct batch_correction *ret_corrections);

/* The present run of the clock (clock_watch.h), so that a restart of the program does not lose its begin. Kept with the
 * next commit. store_clock(): false when none was kept. */
struct store_clock {
    uint8_t boot[CLOCK_BOOT_BYTES]; /* of which start of the machine */
    uint64_t first_batch;
    int64_t ahead_ms; /* UTC minus monotonic */
    bool set;
};
void store_keep_clock(struct store *store, const struct store_clock *clock);
bool store_clock(const struct store *store, struct store_clock *ret_clock);

/* Readings of the tail, committed or not; whether it has grown so large that it should be sealed now. */
size_t store_tail_readings(const struct store *store);
bool store_tail_full(const struct store *store);

/* Turn the committed tail into the next batch, several if it is too large for one; nothing to do is FB_OK too.
 * One transaction: batch in, tail out, quota kept (history first, then unsent batches oldest first, each loss
 * noted; thinned, see thin.h, before they are dropped; those under way last). (fsync) ret_sealed: how many. */
enum fb_error store_seal(struct store *store, int64_t now_ms, enum clock_state clock, size_t *ret_sealed,
                         struct fb_cause *cause) FB_MUST_USE;

/* Make room for the next batch ahead of its sealing, so that this need not: history gives way, or one unsent batch is
 * thinned. To be called between commits; costs next to nothing while there is room. (fsync when something had to go)
 * Errors as store_seal(); they end nothing, sealing tries again. */
enum fb_error store_keep_room(struct store *store, struct fb_cause *cause) FB_MUST_USE;

/* Tell which batches are under way: handed out, and nobody knows yet what became of them. They give way last, when no
 * other unsent batch can be thinned or dropped any more: told as lost, they would perhaps arrive all the same. Not
 * never: in a small store they may be all that there is, and new readings need a place whatever the peer does. What
 * thinning passed over so is dropped whole, should it come back and its turn come. is_under_way: asked while room is
 * made, may not call the store; NULL: none is. user: borrowed until the next call. */
void store_set_under_way(struct store *store, bool (*is_under_way)(uint64_t number, void *user), void *user);

/* Whether the disk, which is fuller than the quota foresees, has no room for another batch but that of unsent ones. The
 * tail goes on in what it has; sealing makes unsent batches give way. */
bool store_disk_is_full(const struct store *store);

/* The number of the newest batch, 0 if there is none yet. */
uint64_t store_last_number(const struct store *store);

struct store_batch {
    uint64_t number;
    uint8_t catalogue[BATCH_HASH_BYTES];
    uint32_t attempts; /* outcomes other than accepted, so far */
    int64_t first_ms;  /* UTC, of its oldest reading; from store_next() alone */
    size_t length;
    uint8_t bytes[BATCH_BYTES_MAX];
};

/* The unsent batch with the lowest number in [first, last] that is not parked. FB_NOT_FOUND if there is none.
 * A batch that cannot be read any more is marked lost (fsync), noted as a loss, and the next one is given; FB_AGAIN
 * after many such. ret_batch is undefined on failure. */
enum fb_error store_next(struct store *store, uint64_t first, uint64_t last, struct store_batch *ret_batch,
                         struct fb_cause *cause) FB_MUST_USE;

/* The peer has accepted these batches. One transaction. (fsync) Unknown or already sent numbers are no error. */
enum fb_error store_mark_sent(struct store *store, const uint64_t *numbers, size_t count, int64_t now_ms,
                              struct fb_cause *cause) FB_MUST_USE;

/* What the link must not forget. */
struct store_link {
    uint64_t batch_bytes_most; /* batches sealed from now on stay below it as far as they can; 0: BATCH_BYTES_MAX */
    uint32_t month;            /* UTC: 12 * year + month, January being 0; 0: none yet */
    uint64_t month_bytes;      /* what the link has cost in that month */
    uint64_t event_sent;       /* every event up to it has been accepted, or given up */
};
/* Kept with the next transaction that changes the queue (sealing, marking). */
void store_keep_link(struct store *store, const struct store_link *link);
struct store_link store_link(const struct store *store);

struct store_figures {
    uint64_t readings;        /* in batches and tail */
    uint64_t unsent_readings; /* tail included */
    uint64_t batches;
    uint64_t unsent_batches;
    uint64_t last_number;
    uint64_t parked_batches; /* of the unsent ones, see store_parked.h */
    uint64_t parked_readings;
    int64_t oldest_unsent_ms; /* UTC time of the oldest reading that is not sent and not parked; 0 if none */
    uint64_t lost_readings;   /* since the store was made */
    uint64_t bytes;           /* of the file and its WAL */
    uint64_t quota_bytes;
};

/* Kept up to date by the calls above; no I/O beyond stat(). */
void store_figures(const struct store *store, struct store_figures *ret_figures);

#endif
