#include "store/key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/common/file.h"

#define DIGITS (2 * STORE_KEY_BYTES)
#define FILE_BYTES (DIGITS + 1) /* and a line feed */

static int digit(char character) {
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    return character >= 'A' && character <= 'F' ? character - 'A' + 10 : -1;
}

static bool parse(const char *text, uint8_t *ret_key) {
    for (size_t i = 0; i < STORE_KEY_BYTES; i++) {
        const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret_key[i] = (uint8_t)(high << 4 | low);
    }
    return text[DIGITS] == '\n';
}

static enum fb_error check_file(const char *path, int fd, struct fb_cause *cause) {
    struct stat status;
    if (fstat(fd, &status) < 0)
        return fb_fail_errno(cause, FB_IO, errno, "key file %s", path);
    if (!S_ISREG(status.st_mode))
        return fb_fail(cause, FB_INVALID, "key file %s: not a regular file", path);
    if (status.st_uid != geteuid())
        return fb_fail(cause, FB_DENIED, "key file %s: belongs to user %u, must belong to user %u: chown it", path,
                       (unsigned)status.st_uid, (unsigned)geteuid());
    if ((status.st_mode & 07177) != 0)
        return fb_fail(cause, FB_DENIED, "key file %s: mode %04o lets others at it: chmod 600 it", path,
                       (unsigned)status.st_mode & 07777);
    return FB_OK;
}

static enum fb_error read_key(const char *path, int fd, uint8_t *ret_key, struct fb_cause *cause) {
    const enum fb_error error = check_file(path, fd, cause);
    if (error != FB_OK)
        return error;
    char text[FILE_BYTES + 1]; /* one more tells a longer file apart */
    uint8_t key[STORE_KEY_BYTES];
    const ssize_t length = read(fd, text, sizeof text);
    const bool is_key = length == FILE_BYTES && parse(text, key);
    if (is_key)
        memcpy(ret_key, key, sizeof key);
    explicit_bzero(text, sizeof text);
    explicit_bzero(key, sizeof key);
    return is_key
               ? FB_OK
               : fb_fail(
                     cause, FB_INVALID,
                     "key file %s: not 64 hexadecimal digits and a line feed: put the right one back; without it the "
                     "store cannot be read",
                     path);
}

static enum fb_error make_key(const char *path, uint8_t *ret_key, struct fb_cause *cause) {
    uint8_t key[STORE_KEY_BYTES];
    if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key)
        return fb_fail_errno(cause, FB_IO, errno, "key file %s: no random bytes", path);
    char text[FILE_BYTES + 1];
    for (size_t i = 0; i < sizeof key; i++)
        snprintf(text + 2 * i, 3, "%02x", key[i]);
    text[DIGITS] = '\n';
    const enum fb_error error = file_write(path, text, FILE_BYTES, 0600, cause);
    if (error == FB_OK)
        memcpy(ret_key, key, sizeof key);
    explicit_bzero(text, sizeof text);
    explicit_bzero(key, sizeof key);
    return error == FB_OK ? FB_OK : fb_context(cause, error, "key file");
}

enum fb_error key_load(const char *path, uint8_t ret_key[static STORE_KEY_BYTES], bool *ret_created,
                       struct fb_cause *cause) {
    FB_CLEANUP(file_close_descriptor) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT)
        return fb_fail_errno(cause, FB_IO, errno, "key file %s", path);
    const enum fb_error error = fd >= 0 ? read_key(path, fd, ret_key, cause) : make_key(path, ret_key, cause);
    if (error == FB_OK)
        *ret_created = fd < 0;
    return error;
}
