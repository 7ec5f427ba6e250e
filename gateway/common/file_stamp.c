#include "gateway/common/file_stamp.h"

#include <errno.h>
#include <sys/stat.h>

struct file_stamp file_stamp_of(const char *path) {
    struct stat status;
    if (path[0] == '\0')
        return (struct file_stamp){0};
    if (stat(path, &status) < 0)
        return (struct file_stamp){.error = errno};
    return (struct file_stamp){
        .device = status.st_dev, .inode = status.st_ino, .size = status.st_size, .modified = status.st_mtim};
}

bool file_stamp_same(const struct file_stamp *a, const struct file_stamp *b) {
    return a->error == b->error && a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec;
}
