/* store_check.h - the integrity check: every row and every entry of an index is read, batches are held against their
 * hashes, small tables are checked by SQLite. In slices, so that it is never in the way. Pages that nothing stands in
 * are not looked at. Used by forebay-core alone. */
#ifndef FB_STORE_STORE_CHECK_H
#define FB_STORE_STORE_CHECK_H

#include "store/store.h"

struct store_check;

/* ret_check: yours, end it with store_check_end(), before store_close(). */
enum fb_error store_check_begin(struct store *store, struct store_check **ret_check,
                                struct fb_cause *cause) FB_MUST_USE;
void store_check_end(struct store_check *check);

/* Go on for about budget_us; one small table is one slice. A batch that cannot be read is counted as a loss, as it
 * would be when its turn to be forwarded came. (fsync then, and at the end) ret_done: that was all of it. FB_CORRUPT:
 * damage outside the batches; see store.h. */
enum fb_error store_check_step(struct store_check *check, int64_t budget_us, int64_t now_ms, bool *ret_done,
                               struct fb_cause *cause) FB_MUST_USE;

struct store_check_figures {
    uint64_t batches;    /* read */
    uint64_t unreadable; /* given up, by this check */
    double done;         /* 0 to 1 */
};
void store_check_figures(const struct store_check *check, struct store_check_figures *ret_figures);

/* The last check that came to its end. FB_NOT_FOUND: there was none yet. */
enum fb_error store_check_last(struct store *store, struct store_check_figures *ret_figures, int64_t *ret_finished_ms,
                               struct fb_cause *cause) FB_MUST_USE;

#endif
