/* compress.h - a message's body made smaller for clouds that undo it (content-encoding). Pure. Used by forebay-cloud's
 * renderer. */
#ifndef FB_CLOUD_COMPRESS_H
#define FB_CLOUD_COMPRESS_H

#include <stddef.h>

#include "gateway/common/cloud_profile.h"
#include "gateway/common/error.h"

/* Bytes of room that length bytes may need. */
size_t compress_room(enum cloud_compression compression, size_t length);

/* compression: zstd (RFC 8878) or gzip (RFC 1952). ret_bytes: compress_room() bytes. FB_MEMORY. */
enum fb_error compress_bytes(enum cloud_compression compression, const char *bytes, size_t length, char *ret_bytes,
                             size_t *ret_length, struct fb_cause *cause) FB_MUST_USE;

#endif
