/* names.h - the catalogues that have come, kept in a folder: they give the tags' numbers their names. Used by
 * `forebay receive`; one thread. Each catalogue is one file, STORE-REVISION-HASH, as it came. */
#ifndef FB_RECEIVE_NAMES_H
#define FB_RECEIVE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "store/batch.h"
#include "store/catalogue.h"

/* Kept of each store, newest revisions first; the gateway sends an older one again before it needs it. */
#define NAMES_PER_STORE_MAX 8
#define NAMES_FILES_MAX 2048
/* Taken apart in memory at one time; at about 160 bytes a tag these are 10 MB at most. */
#define NAMES_OPEN_TAGS_MAX 65536

struct names;

/* Look through the folder, making it if absent; files that are no catalogue's are left alone.
 * ret_names: yours on success, end it with names_close(). FB_IO, FB_MEMORY. */
enum fb_error names_open(const char *folder, struct names **ret_names, struct fb_cause *cause) FB_MUST_USE;
void names_close(struct names *names); /* NULL is fine */

/* Keep a catalogue as it came. On disk before it returns (fsync); one that is there already costs nothing.
 * FB_INVALID and the like from catalogue_decode(): the message is no catalogue, nothing changed. FB_FULL: too many
 * stores. FB_IO: the folder took nothing. ret_fresh: whether it was new. */
enum fb_error names_add(struct names *names, const uint8_t *bytes, size_t length, bool *ret_fresh,
                        struct fb_cause *cause) FB_MUST_USE;

/* The catalogue a batch was made under; else the newest of its store, since numbers are never reused; else NULL.
 * Borrowed until the next call. A file that has become unreadable is passed over. */
const struct catalogue *names_find(struct names *names, const struct batch_info *info);

/* The tag's entry; NULL when the catalogue is NULL or does not name it. Borrowed from the catalogue. */
const struct catalogue_tag *names_tag(const struct catalogue *catalogue, uint32_t number);

#endif
