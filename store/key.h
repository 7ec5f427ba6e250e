/* key.h - the store's 256-bit key in its file. Used by forebay-core only. */
#ifndef FB_STORE_KEY_H
#define FB_STORE_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "store/store.h"

/* Read the key file (64 hexadecimal digits and a line feed, mode 0600, ours), or make it with getrandom() if absent.
 * key must lie in locked memory; the caller wipes it with explicit_bzero(). ret_created: whether it was made.
 * FB_DENIED: others may read it; the cause says which mode it has and what to do. FB_INVALID: not a key. */
enum fb_error key_load(const char *path, uint8_t ret_key[static STORE_KEY_BYTES], bool *ret_created,
                       struct fb_cause *cause) FB_MUST_USE;

#endif
