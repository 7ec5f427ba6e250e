/* store_salvage.h - batches of a file that was set aside, brought into the store in use. Used by forebay-core alone.
 *
 * They come as they are, byte for byte: their identity (store, number) stays that of the store that sealed them, and
 * under it they are forwarded, so that a receiver that has one already drops it. In the store in use they stand behind
 * all others, from STORE_SALVAGED_FIRST on. How far a salvage came is kept in the same transaction as the batches: it
 * can be cut off at any time, goes on where it was, and never brings a batch twice. A batch that was not sent and
 * cannot be read is noted as a loss.
 *
 * Behind the unsent batches come tail and losses, as the batch that the old store would have sealed next, unless the
 * store in use, or one before it, has inherited them. */
#ifndef FB_STORE_STORE_SALVAGE_H
#define FB_STORE_STORE_SALVAGE_H

#include "store/store.h"

struct store_salvage;

enum store_salvage_kind {
    STORE_SALVAGE_UNSENT = 0,
    STORE_SALVAGE_HISTORY = 1, /* what was sent already: only worth it for looking back */
};

/* Open the file, which is not written to. key: borrowed, not kept in readable memory.
 * FB_NOT_FOUND, FB_DENIED: it cannot be read with this key. FB_INVALID: it is a copy of the store in use.
 * ret_salvage: yours, end it with store_salvage_end(), before store_close(). */
enum fb_error store_salvage_begin(struct store *store, const char *path, enum store_salvage_kind kind,
                                  const uint8_t key[static STORE_KEY_BYTES], struct store_salvage **ret_salvage,
                                  struct fb_cause *cause) FB_MUST_USE;
void store_salvage_end(struct store_salvage *salvage);

/* Bring batches over for about budget_us. (fsync) ret_done: that was all of it.
 * FB_FULL: the quota is full of unsent batches, or the disk is full; nothing is lost, try again later. */
enum fb_error store_salvage_step(struct store_salvage *salvage, int64_t budget_us, bool *ret_done,
                                 struct fb_cause *cause) FB_MUST_USE;

struct store_salvage_figures {
    const char *path;
    uint64_t batches, readings; /* brought over */
    uint64_t unreadable;        /* batches */
    double done;                /* 0 to 1 */
};
void store_salvage_figures(const struct store_salvage *salvage, struct store_salvage_figures *ret_figures);

/* The path of a file whose unsent batches are not all brought over yet. FB_NOT_FOUND: there is none. */
enum fb_error store_salvage_unfinished(struct store *store, char *ret_path, size_t size,
                                       struct fb_cause *cause) FB_MUST_USE;
/* There is no use in trying that one again. (fsync) */
enum fb_error store_salvage_give_up(struct store *store, const char *path, struct fb_cause *cause) FB_MUST_USE;

#endif
