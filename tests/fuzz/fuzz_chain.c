// links: gateway/receive/chain.c gateway/receive/chain_ranges.c store/batch*.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c gateway/common/file.c
/* fuzz_chain.c - no files bring the walk along the chain down, whatever order, gaps and bytes they have. Each batch is
 * a step to its number, a length of 16 bits, and the plain content, which is put into its frame here; what it finds
 * wrong lies within what it was given. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/receive/chain.h"
#include "store/batch_frame.h"

#define BATCHES_MOST 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t take(const uint8_t **data, size_t *left) {
    if (*left == 0)
        return 0;
    --*left;
    return *(*data)++;
}

static void add_one(struct chain *chain, uint64_t number, const uint8_t *plain, size_t length) {
    static uint8_t frame[BATCH_BYTES_MAX];
    size_t framed = 0;
    struct fb_cause cause;
    const bool readable = length > 0 && batch_frame_pack(plain, length, frame, sizeof frame, &framed, &cause) == FB_OK;
    assert(chain_add(chain, number, readable ? frame : NULL, framed, &cause) == FB_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct chain *chain;
    struct chain_finding finding;
    struct fb_cause cause;
    struct chain_head head = {.number = take(&data, &size)};
    memset(head.hash, take(&data, &size), sizeof head.hash);
    if (chain_new(&head, &chain, &cause) != FB_OK)
        abort();
    uint64_t number = 0;
    for (int i = 0; i < BATCHES_MOST && size > 0; i++) {
        number += 1 + (uint64_t)take(&data, &size);
        const size_t low = take(&data, &size), wanted = (size_t)take(&data, &size) << 8 | low;
        const size_t length = wanted < size ? wanted : size;
        add_one(chain, number, data, length);
        data += length;
        size -= length;
    }
    assert(chain_judge(chain, 0, &finding, &cause) == FB_OK);
    assert(finding.last == number && (finding.batches > 0) == (number > 0));
    const uint64_t most = number > head.number ? number : head.number;
    assert(finding.verdict == CHAIN_GOOD || (finding.number >= 1 && finding.number <= most));
    chain_free(chain);
    return 0;
}
