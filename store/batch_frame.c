#include "store/batch_frame.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#define LEVEL 1

/* With a checksum: a decoder then sees damage on the way or on the disk, whatever else checks it. */
static size_t compress(const uint8_t *plain, size_t plain_length, uint8_t *ret_frame, size_t room) {
    ZSTD_CCtx *context = ZSTD_createCCtx();
    if (context == NULL)
        return (size_t)-ZSTD_error_memory_allocation;
    size_t result = ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, LEVEL);
    if (!ZSTD_isError(result))
        result = ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    if (!ZSTD_isError(result))
        result = ZSTD_compress2(context, ret_frame, room, plain, plain_length);
    ZSTD_freeCCtx(context);
    return result;
}

enum fb_error batch_frame_pack(const uint8_t *plain, size_t plain_length, uint8_t *ret_frame, size_t room,
                               size_t *ret_length, struct fb_cause *cause) {
    const size_t length = compress(plain, plain_length, ret_frame, room);
    if (!ZSTD_isError(length)) {
        *ret_length = length;
        return FB_OK;
    }
    if (ZSTD_getErrorCode(length) == ZSTD_error_dstSize_tooSmall)
        return fb_fail(cause, FB_LIMIT, "larger than %zu bytes when compressed", room);
    return fb_fail(cause, FB_MEMORY, "zstd: %s", ZSTD_getErrorName(length));
}

enum fb_error batch_frame_unpack(const uint8_t *frame, size_t length, size_t most, uint8_t **ret_plain,
                                 size_t *ret_plain_length, struct fb_cause *cause) {
    static const uint8_t magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    if (length < sizeof magic || memcmp(frame, magic, sizeof magic) != 0)
        return fb_fail(cause, FB_INVALID, "not a zstd frame");
    const unsigned long long size = ZSTD_getFrameContentSize(frame, length);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN)
        return fb_fail(cause, FB_INVALID, "the zstd frame does not say its content's size");
    if (size > most)
        return fb_fail(cause, FB_LIMIT, "larger than %zu bytes when decompressed", most);
    if (ZSTD_findFrameCompressedSize(frame, length) != length)
        return fb_fail(cause, FB_INVALID, "not exactly one zstd frame: cut off, or bytes behind it");
    uint8_t *plain = malloc((size_t)size + 1);
    if (plain == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    const size_t got = ZSTD_decompress(plain, (size_t)size, frame, length);
    if (got != size) {
        free(plain);
        return fb_fail(cause, FB_INVALID, "zstd: %s", ZSTD_isError(got) ? ZSTD_getErrorName(got) : "wrong size");
    }
    *ret_plain = plain;
    *ret_plain_length = got;
    return FB_OK;
}
