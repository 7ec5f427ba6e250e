/* fault_alloc.h - takes the place of malloc(), calloc() and realloc() in a test program and makes the N-th call fail,
 * whoever makes it: the store, SQLite, zstd. One thread.
 *
 * libcrypto has calls of its own that can fail, since SQLCipher 4.6.1 takes its lack of memory for damage of the page
 * at hand. */
#ifndef FB_TESTS_FAULT_ALLOC_H
#define FB_TESTS_FAULT_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

/* Let the n-th allocation from now on (1: the next) fail; lasting: and all after it, until fault_alloc_heal(). */
void fault_alloc_fail(uint64_t n, bool lasting);
/* The same of libcrypto's allocations, and no others. */
void fault_alloc_fail_crypto(uint64_t n, bool lasting);
/* While paused nothing fails and nothing is counted. */
void fault_alloc_pause(bool paused);
/* From now on nothing fails. Returns whether anything did since fault_alloc_fail(). */
bool fault_alloc_heal(void);

#endif
