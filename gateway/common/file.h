/* file.h - whole small files, read with a limit and written so that a power cut leaves the old or the new one. */
#ifndef FB_COMMON_FILE_H
#define FB_COMMON_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/common/error.h"

/* Read a file of at most most_bytes. ret_data: yours, free() it; one NUL follows the last byte.
 * FB_NOT_FOUND, FB_LIMIT, FB_IO. */
enum fb_error file_read(const char *path, size_t most_bytes, char **ret_data, size_t *ret_length,
                        struct fb_cause *cause) FB_MUST_USE;

/* Write to path.new with the given mode, fsync, rename over path, fsync the folder. */
enum fb_error file_write(const char *path, const void *data, size_t length, unsigned mode,
                         struct fb_cause *cause) FB_MUST_USE;

/* Make the folder (mode 0750) and its parents where absent. */
enum fb_error file_make_folder(const char *path, struct fb_cause *cause) FB_MUST_USE;

/* Join folder and name into ret_path (size bytes); name alone when it is absolute. FB_LIMIT when it does not fit. */
enum fb_error file_join(const char *folder, const char *name, char *ret_path, size_t size,
                        struct fb_cause *cause) FB_MUST_USE;

/* For FB_CLEANUP: */
static inline void file_close_descriptor(const int *descriptor) {
    if (*descriptor >= 0)
        close(*descriptor);
}
static inline void file_free(void *pointer) {
    free(*(void **)pointer);
}

#endif
