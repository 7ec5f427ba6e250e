/* file_stamp.h - tells one content of a file from another without reading it. Used where files of trust are looked at:
 * forebay-cloud and forebay-run. */
#ifndef FB_COMMON_FILE_STAMP_H
#define FB_COMMON_FILE_STAMP_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

struct file_stamp {
    int error; /* errno of stat(); 0: the rest holds. All zero: of no file */
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
};

/* path: "" is no file. */
struct file_stamp file_stamp_of(const char *path);
bool file_stamp_same(const struct file_stamp *a, const struct file_stamp *b);

#endif
