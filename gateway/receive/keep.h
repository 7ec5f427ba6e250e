/* keep.h - batches kept as they came, a file each, in a folder for each store: FOLDER/STORE/NUMBER.batch. Used by
 * `forebay receive --keep-batches`, and by `forebay verify`, which reads them. */
#ifndef FB_RECEIVE_KEEP_H
#define FB_RECEIVE_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "store/batch.h"

#define KEEP_NAME_MAX 40

/* "00000000000000000042.batch": names stand in the order of the numbers. */
void keep_name(uint64_t number, char ret_name[static KEEP_NAME_MAX]);
bool keep_parse_name(const char *name, uint64_t *ret_number);

/* Write the batch; on disk when it returns (two fsyncs). Written again, as after a kill, it is the same file. FB_IO. */
enum fb_error keep_batch(const char *folder, const struct batch_info *info, const uint8_t *bytes, size_t length,
                         struct fb_cause *cause) FB_MUST_USE;

#endif
