/* record_chain.h - the hash that each record of a store carries of the one before it, see store_records.h. Used by the
 * store, and by the command to verify. Pure. */
#ifndef FB_STORE_RECORD_CHAIN_H
#define FB_STORE_RECORD_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_HASH_BYTES 32

/* SHA-256 over: the hash of the record before it (32 bytes, all 0 before the first), the kind (1 byte), the number and
 * the time in milliseconds (8 bytes each, highest first), the body. False: no memory. */
bool record_hash(const uint8_t previous[static RECORD_HASH_BYTES], unsigned kind, uint64_t number, int64_t time_ms,
                 const void *body, size_t length, uint8_t ret_hash[static RECORD_HASH_BYTES]);

#endif
