/* key.h - the store's 256-bit key: from its file or from a systemd credential, in memory that is locked, left out of
 * core dumps, and wiped. Used by forebay-core only; held for as short as possible: SQLCipher keeps its own copy, locked
 * as well. A program with this module unlocks no memory (munlock() does nothing).
 *
 * While the store is put under another key there are two: the present one and the next. Files: path and path.new;
 * credentials: forebay-store-key and forebay-store-key-next in $CREDENTIALS_DIRECTORY, of which the first, if it is
 * there, is taken instead of the file. All hold 64 hexadecimal digits and a line feed. */
#ifndef FB_STORE_KEY_H
#define FB_STORE_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "store/store.h"

#define KEY_CREDENTIAL "forebay-store-key"
#define KEY_CREDENTIAL_NEXT "forebay-store-key-next"
#define KEY_PATH_MAX 4096

struct key_ring {
    uint8_t key[STORE_KEY_BYTES];
    uint8_t next[STORE_KEY_BYTES]; /* if has_next */
    bool has_next;
    bool created;         /* there was no key: a new one was made and is on disk */
    bool from_credential; /* else from the file */
    bool locked; /* in memory: else the limit on it (RLIMIT_MEMLOCK) is too small, and the key may be swapped */
    char path[KEY_PATH_MAX];
};

/* Read the keys, or make the file with getrandom() if there is neither file nor credential. A file must be ours and of
 * mode 0600. ret_ring: yours, end it with key_close(). FB_DENIED: others may read it; the cause says which mode it has
 * and what to do. FB_INVALID: not a key. */
enum fb_error key_open(const char *path, struct key_ring **ret_ring, struct fb_cause *cause) FB_MUST_USE;
/* Read the one key in a file that must be there, as for a store that was set aside; no credential is looked for. The
 * same rules. FB_NOT_FOUND: there is no such file. */
enum fb_error key_open_file(const char *path, struct key_ring **ret_ring, struct fb_cause *cause) FB_MUST_USE;
/* Wipes it. NULL is fine. */
void key_close(struct key_ring *ring);

/* Make the next key and put it into path.new (fsync). Credentials are not ours to make: the one that is there is taken,
 * FB_NOT_FOUND: there is none, the cause says what to do. */
enum fb_error key_make_next(struct key_ring *ring, struct fb_cause *cause) FB_MUST_USE;
/* The next key is the key from now on: path.new takes the place of path. A credential is the image's to rename. */
enum fb_error key_confirm_next(struct key_ring *ring, struct fb_cause *cause) FB_MUST_USE;
/* It came to nothing: remove path.new. */
void key_drop_next(struct key_ring *ring);

#endif
