/* verify_salvaged.h - the chains of stores that were set aside, as far as their batches were salvaged into the store in
 * use. Part of `forebay verify`. */
#ifndef FB_CLI_VERIFY_SALVAGED_H
#define FB_CLI_VERIFY_SALVAGED_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/receive/chain.h"

struct verify_salvaged {
    bool good;       /* nothing is wrong with any of them */
    bool has_pinned; /* one of them is the store whose head was given */
};

/* Walk the salvaged batches in the store of the gateway whose run folder is given, a chain for each store that sealed
 * them, and print what is found, a line each; nothing when there are none. What such a store had sent before, or could
 * not give any more, is not missed. head: of a batch of the store head_store; number 0: none. Blocks. */
enum fb_error verify_salvaged(const char *run, const struct chain_head *head,
                              const uint8_t head_store[static BATCH_STORE_ID_BYTES],
                              struct verify_salvaged *ret_salvaged, struct fb_cause *cause) FB_MUST_USE;

#endif
