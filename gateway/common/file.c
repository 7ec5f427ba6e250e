#include "gateway/common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum fb_error file_read(const char *path, size_t most_bytes, char **ret_data, size_t *ret_length,
                        struct fb_cause *cause) {
    FB_CLEANUP(file_close_descriptor) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fb_fail_errno(cause, errno == ENOENT ? FB_NOT_FOUND : FB_IO, errno, "%s", path);
    /* One byte more than allowed tells "too long" apart from "just fits", whatever stat() claims. */
    FB_CLEANUP(file_free) char *data = malloc(most_bytes + 2);
    if (data == NULL)
        return fb_fail(cause, FB_MEMORY, "%s: out of memory", path);
    size_t length = 0;
    while (length <= most_bytes) {
        const ssize_t got = read(fd, data + length, most_bytes + 1 - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fb_fail_errno(cause, FB_IO, errno, "%s", path);
        if (got == 0)
            break;
        length += (size_t)got;
    }
    if (length > most_bytes)
        return fb_fail(cause, FB_LIMIT, "%s: larger than %zu bytes", path, most_bytes);
    data[length] = '\0';
    *ret_data = data;
    *ret_length = length;
    data = NULL;
    return FB_OK;
}

static enum fb_error write_all(int fd, const void *data, size_t length) {
    const char *at = data;
    while (length > 0) {
        const ssize_t put = write(fd, at, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return FB_IO;
        at += put;
        length -= (size_t)put;
    }
    return FB_OK;
}

static enum fb_error sync_folder_of(const char *path, struct fb_cause *cause) {
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    FB_CLEANUP(file_close_descriptor) int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return fb_fail_errno(cause, FB_IO, errno, "%s: its folder", path);
    return FB_OK;
}

enum fb_error file_write(const char *path, const void *data, size_t length, unsigned mode, struct fb_cause *cause) {
    char fresh[PATH_MAX];
    if ((size_t)snprintf(fresh, sizeof fresh, "%s.new", path) >= sizeof fresh)
        return fb_fail(cause, FB_LIMIT, "%s: path too long", path);
    if (unlink(fresh) < 0 && errno != ENOENT)
        return fb_fail_errno(cause, FB_IO, errno, "%s", fresh);
    FB_CLEANUP(file_close_descriptor) int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return fb_fail_errno(cause, FB_IO, errno, "%s", fresh);
    if (write_all(fd, data, length) != FB_OK || fsync(fd) < 0 || rename(fresh, path) < 0) {
        const int why = errno;
        unlink(fresh);
        return fb_fail_errno(cause, why == ENOSPC ? FB_FULL : FB_IO, why, "%s", path);
    }
    return sync_folder_of(path, cause);
}

enum fb_error file_make_folder(const char *path, struct fb_cause *cause) {
    char part[PATH_MAX];
    if ((size_t)snprintf(part, sizeof part, "%s", path) >= sizeof part)
        return fb_fail(cause, FB_LIMIT, "%s: path too long", path);
    for (char *at = part[0] == '/' ? part + 1 : part;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        const char kept = *at;
        *at = '\0';
        if (mkdir(part, 0750) < 0 && errno != EEXIST)
            return fb_fail_errno(cause, FB_IO, errno, "%s", part);
        *at = kept;
        if (kept == '\0')
            break;
    }
    struct stat status;
    if (stat(path, &status) < 0 || !S_ISDIR(status.st_mode))
        return fb_fail(cause, FB_IO, "%s: not a folder", path);
    return FB_OK;
}

enum fb_error file_join(const char *folder, const char *name, char *ret_path, size_t size, struct fb_cause *cause) {
    const int length =
        name[0] == '/' ? snprintf(ret_path, size, "%s", name) : snprintf(ret_path, size, "%s/%s", folder, name);
    return length >= 0 && (size_t)length < size ? FB_OK
                                                : fb_fail(cause, FB_LIMIT, "%s/%s: path too long", folder, name);
}
