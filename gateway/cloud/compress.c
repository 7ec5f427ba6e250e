#include "gateway/cloud/compress.h"

#define ZLIB_CONST /* input is not written to */
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define ZSTD_LEVEL 3
#define GZIP_LEVEL 6
#define GZIP_WINDOW (15 + 16) /* 32 KiB; 16: the header of gzip (zlib.h, deflateInit2) */
#define GZIP_MEMORY 8
#define GZIP_HEADER_BYTES 18 /* header and trailer, RFC 1952 */

size_t compress_room(enum cloud_compression compression, size_t length) {
    return compression == CLOUD_ZSTD ? ZSTD_compressBound(length) : compressBound(length) + GZIP_HEADER_BYTES;
}

static enum fb_error pack_zstd(const char *bytes, size_t length, char *ret_bytes, size_t *ret_length,
                               struct fb_cause *cause) {
    const size_t packed = ZSTD_compress(ret_bytes, compress_room(CLOUD_ZSTD, length), bytes, length, ZSTD_LEVEL);
    if (ZSTD_isError(packed))
        return fb_fail(cause, FB_MEMORY, "zstd: %s", ZSTD_getErrorName(packed));
    *ret_length = packed;
    return FB_OK;
}

static enum fb_error pack_gzip(const char *bytes, size_t length, char *ret_bytes, size_t *ret_length,
                               struct fb_cause *cause) {
    z_stream stream = {0};
    if (deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return fb_fail(cause, FB_MEMORY, "gzip: out of memory");
    stream.next_in = (const Bytef *)bytes;
    stream.avail_in = (uInt)length;
    stream.next_out = (Bytef *)ret_bytes;
    stream.avail_out = (uInt)compress_room(CLOUD_GZIP, length);
    const int result = deflate(&stream, Z_FINISH);
    *ret_length = stream.total_out;
    deflateEnd(&stream);
    return result == Z_STREAM_END ? FB_OK : fb_fail(cause, FB_MEMORY, "gzip: error %d", result);
}

enum fb_error compress_bytes(enum cloud_compression compression, const char *bytes, size_t length, char *ret_bytes,
                             size_t *ret_length, struct fb_cause *cause) {
    return (compression == CLOUD_ZSTD ? pack_zstd : pack_gzip)(bytes, length, ret_bytes, ret_length, cause);
}
