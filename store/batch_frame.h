/* batch_frame.h - the zstd frame around batches and catalogues, docs/batch.md "The frame". Pure. */
#ifndef FB_STORE_BATCH_FRAME_H
#define FB_STORE_BATCH_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"

/* Compress into ret_frame (room bytes). FB_LIMIT: it does not fit. FB_MEMORY. */
enum fb_error batch_frame_pack(const uint8_t *plain, size_t plain_length, uint8_t *ret_frame, size_t room,
                               size_t *ret_length, struct fb_cause *cause) FB_MUST_USE;

/* Decompress exactly one frame. most: limit of the plain bytes, checked before anything is allocated.
 * ret_plain: yours, free(). FB_INVALID, FB_LIMIT, FB_MEMORY. */
enum fb_error batch_frame_unpack(const uint8_t *frame, size_t length, size_t most, uint8_t **ret_plain,
                                 size_t *ret_plain_length, struct fb_cause *cause) FB_MUST_USE;

#endif
