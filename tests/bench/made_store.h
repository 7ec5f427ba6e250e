/* made_store.h - stores for the benches to measure: of data.h's plant, in a folder of its own that goes at the end.
 * Used by programs that end with a line on standard error as soon as anything fails. */
#ifndef FB_BENCH_MADE_STORE_H
#define FB_BENCH_MADE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "data.h"
#include "store/store.h"

/* End the program with the cause unless error is FB_OK. */
void made_store_must(enum fb_error error, const struct fb_cause *cause);

/* A folder below `below`, removed at the end of the program. Borrowed. */
const char *made_store_folder(const char *below);

/* Open or create the store at path, with its catalogue of so many tags. End it with store_close(). */
struct store *made_store_open(const char *path, const char *gateway, const uint8_t key[static STORE_KEY_BYTES],
                              size_t tag_count, uint64_t quota_bytes);

/* The name of a tag of the plant, by its number from 1 on. Static storage. */
const char *made_store_tag(uint32_t number);

/* The next sweep, committed. */
void made_store_sweep(struct store *store, struct data *data);
void made_store_seal(struct store *store);

/* The newest batch of a closed store, so many times more, each step_ms after the one before: as history. Nothing is
 * unsent afterwards. */
void made_store_multiply(const char *path, const uint8_t key[static STORE_KEY_BYTES], uint64_t count, int64_t step_ms);

#endif
