// links: store/catalogue.c store/batch*.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c gateway/common/file.c
/* fuzz_catalogue.c - no bytes bring the decoder down, and what it takes comes back the same after another round. The
 * first byte of the input chooses between a frame and the content of one. */
#include <assert.h>
#include <stdlib.h>

#include "store/batch_frame.h"
#include "store/catalogue.h"

static void decode(const uint8_t *bytes, size_t length) {
    static uint8_t again[CATALOGUE_BYTES_MAX];
    struct catalogue catalogue, back;
    size_t again_length;
    struct fb_cause cause;
    if (catalogue_decode(bytes, length, &catalogue, &cause) != FB_OK)
        return;
    if (catalogue_encode(&catalogue, again, &again_length, NULL) == FB_OK) {
        const enum fb_error error = catalogue_decode(again, again_length, &back, NULL);
        assert(error == FB_OK && catalogue_same_tags(&catalogue, &back));
        catalogue_done(&back);
    }
    catalogue_done(&catalogue);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t packed[CATALOGUE_BYTES_MAX];
    size_t length;
    if (size > 0 && data[0] % 2 == 0)
        decode(data + 1, size - 1);
    else if (size > 0 && batch_frame_pack(data + 1, size - 1, packed, sizeof packed, &length, NULL) == FB_OK)
        decode(packed, length);
    return 0;
}
