/* store_rekey.h - the store put under another key while it works. Used by forebay-core alone.
 *
 * SQLCipher's own rekey is one statement over the whole file: it holds readings up for minutes, and its log grows to
 * the size of the store. So the rows are copied into a new file under the new key, in slices, while the store goes on;
 * what changes meanwhile is copied again. At the end the copy takes the store's place by one rename. Up to there the
 * old key is the right one, from there on the new one: store_open() tries both. The copy needs as much free room on the
 * disk as the store uses. A copy that was cut off is made anew. */
#ifndef FB_STORE_STORE_REKEY_H
#define FB_STORE_STORE_REKEY_H

#include "store/store.h"

struct store_rekey;

/* Begin the copy, under key (borrowed, not kept in readable memory).
 * FB_FULL: not enough room on the disk; the cause says how much is missing.
 * ret_rekey: yours, end it with store_rekey_end(), before store_close(). */
enum fb_error store_rekey_begin(struct store *store, const uint8_t key[static STORE_KEY_BYTES],
                                struct store_rekey **ret_rekey, struct fb_cause *cause) FB_MUST_USE;

/* Copy for about budget_us, the copy's fsync among it as far as what came before tells how long that takes. ret_ready:
 * the copy is complete as of now, call store_rekey_switch(). On failure the copy is of no use any more: end it.
 * FB_AGAIN: too much has changed at once, begin again. */
enum fb_error store_rekey_step(struct store_rekey *rekey, int64_t budget_us, bool *ret_ready,
                               struct fb_cause *cause) FB_MUST_USE;

/* Copy what has changed since, and put the copy in the store's place; key as in store_rekey_begin(). (some fsyncs)
 * FB_CLOSED: the store can be used no more; end the program, the next start opens it. Any other error: the store goes
 * on under the old key. */
enum fb_error store_rekey_switch(struct store_rekey *rekey, const uint8_t key[static STORE_KEY_BYTES],
                                 struct fb_cause *cause) FB_MUST_USE;

/* After the switch: give the old file's room back to the disk, for about budget_us. True when that was all.
 * What is left goes at once with store_rekey_end() or the next store_open(), which takes 0.3 s a gigabyte. */
bool store_rekey_clear(struct store_rekey *rekey, int64_t budget_us);

/* Remove what is left of a copy. NULL is fine. */
void store_rekey_end(struct store_rekey *rekey);

double store_rekey_done(const struct store_rekey *rekey); /* 0 to 1 */

#endif
