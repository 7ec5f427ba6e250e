#include "store/batch_frame.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#define LEVEL 1
#define MAGIC_BYTES 4
#define WINDOW_MAX (8 * 1024 * 1024)

/* The same content compressed in more than one way; the smallest frame is kept. Low and high bits of noisy values hold
 * no repetitions but those by chance, which cost more than they save: hence one way that hardly finds any, and cuts the
 * content into blocks with a Huffman table each (or none), since low bits, first numbers and further ones are
 * distributed differently. 2 to 13 percent smaller. Names repeat: hence the other. */
static const struct way {
    int hash_log;       /* 0: as the level has it */
    int match_min;      /* 0: as the level has it */
    size_t block_bytes; /* 0: as zstd likes, up to 128 KB */
} ways[] = {{.hash_log = 0}, {.hash_log = 6, .match_min = 7, .block_bytes = 8192}};
#define WAYS (sizeof ways / sizeof ways[0])

/* With a checksum: a decoder then sees damage on the way or on the disk, whatever else checks it. */
static size_t set_up(ZSTD_CCtx *context, const struct way *way, size_t plain_length) {
    const size_t results[] = {
        ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters),
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, LEVEL),
        ZSTD_CCtx_setParameter(context, ZSTD_c_hashLog, way->hash_log),
        ZSTD_CCtx_setParameter(context, ZSTD_c_minMatch, way->match_min),
        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1),
        ZSTD_CCtx_setPledgedSrcSize(context, plain_length),
    };
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
        if (ZSTD_isError(results[i]))
            return results[i];
    return 0;
}

/* The length of the frame or zstd's error. */
static size_t compress(ZSTD_CCtx *context, const struct way *way, const uint8_t *plain, size_t plain_length,
                       uint8_t *ret_frame, size_t room) {
    size_t result = set_up(context, way, plain_length);
    if (ZSTD_isError(result))
        return result;
    ZSTD_outBuffer out = {.dst = ret_frame, .size = room};
    ZSTD_inBuffer in = {.src = plain};
    const size_t step = way->block_bytes > 0 ? way->block_bytes : plain_length;
    do {
        in.size = plain_length - in.pos < step ? plain_length : in.pos + step;
        result = ZSTD_compressStream2(context, &out, &in, in.size == plain_length ? ZSTD_e_end : ZSTD_e_flush);
        if (ZSTD_isError(result))
            return result;
        if (result > 0) /* something is left: no room for it */
            return (size_t)-ZSTD_error_dstSize_tooSmall;
    } while (in.pos < plain_length);
    return out.pos;
}

static size_t compress_best(ZSTD_CCtx *context, const uint8_t *plain, size_t plain_length, uint8_t *ret_frame,
                            size_t room) {
    size_t best = SIZE_MAX, best_way = 0, length = 0; /* zstd's errors are the largest numbers */
    for (size_t way = 0; way < WAYS; way++) {
        length = compress(context, &ways[way], plain, plain_length, ret_frame, room);
        if (length <= best) {
            best = length;
            best_way = way;
        }
    }
    return best_way == WAYS - 1 ? length : compress(context, &ways[best_way], plain, plain_length, ret_frame, room);
}

enum fb_error batch_frame_pack(const uint8_t *plain, size_t plain_length, uint8_t *ret_frame, size_t room,
                               size_t *ret_length, struct fb_cause *cause) {
    ZSTD_CCtx *context = ZSTD_createCCtx();
    const size_t length = context != NULL ? compress_best(context, plain, plain_length, ret_frame, room)
                                          : (size_t)-ZSTD_error_memory_allocation;
    ZSTD_freeCCtx(context);
    if (!ZSTD_isError(length)) {
        *ret_length = length;
        return FB_OK;
    }
    if (ZSTD_getErrorCode(length) == ZSTD_error_dstSize_tooSmall)
        return fb_fail(cause, FB_LIMIT, "larger than %zu bytes when compressed", room);
    return fb_fail(cause, FB_MEMORY, "zstd: %s", ZSTD_getErrorName(length));
}

/* RFC 8878, section 3.1.1.1.2: 8 MB is what every decoder takes; a streaming one would have to hold it. Without a
 * window the content is the window. */
static bool window_fits(const uint8_t *frame, size_t length) {
    const bool is_single_segment = frame[MAGIC_BYTES] & 0x20;
    if (is_single_segment || length < MAGIC_BYTES + 2)
        return true;
    const uint8_t window = frame[MAGIC_BYTES + 1];
    const uint64_t base = UINT64_C(1) << (10 + (window >> 3));
    return base + base / 8 * (window & 7) <= WINDOW_MAX;
}

enum fb_error batch_frame_unpack(const uint8_t *frame, size_t length, size_t most, uint8_t **ret_plain,
                                 size_t *ret_plain_length, struct fb_cause *cause) {
    static const uint8_t magic[MAGIC_BYTES] = {0x28, 0xb5, 0x2f, 0xfd};
    if (length <= sizeof magic || memcmp(frame, magic, sizeof magic) != 0)
        return fb_fail(cause, FB_INVALID, "not a zstd frame");
    const unsigned long long size = ZSTD_getFrameContentSize(frame, length);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN)
        return fb_fail(cause, FB_INVALID, "the zstd frame does not say its content's size");
    if (size > most)
        return fb_fail(cause, FB_LIMIT, "larger than %zu bytes when decompressed", most);
    if (ZSTD_findFrameCompressedSize(frame, length) != length)
        return fb_fail(cause, FB_INVALID, "not exactly one zstd frame: cut off, or bytes behind it");
    if (!window_fits(frame, length))
        return fb_fail(cause, FB_LIMIT, "the zstd frame's window is larger than %d bytes", WINDOW_MAX);
    uint8_t *plain = malloc((size_t)size + 1);
    if (plain == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    const size_t got = ZSTD_decompress(plain, (size_t)size, frame, length);
    if (got != size) {
        const bool is_memory = ZSTD_getErrorCode(got) == ZSTD_error_memory_allocation;
        free(plain);
        return fb_fail(cause, is_memory ? FB_MEMORY : FB_INVALID, "zstd: %s",
                       ZSTD_isError(got) ? ZSTD_getErrorName(got) : "wrong size");
    }
    *ret_plain = plain;
    *ret_plain_length = got;
    return FB_OK;
}
