#include "store/key.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

/* systemd makes credentials readable for the service alone, but not in the mode of a file of ours. */
static enum fb_error check_file(const char *path, int fd, bool is_credential, struct fb_cause *cause) {
    struct stat status;
    if (fstat(fd, &status) < 0)
        return fb_fail_errno(cause, FB_IO, errno, "key file %s", path);
    if (!S_ISREG(status.st_mode))
        return fb_fail(cause, FB_INVALID, "key file %s: not a regular file", path);
    if (is_credential)
        return FB_OK;
    if (status.st_uid != geteuid())
        return fb_fail(cause, FB_DENIED, "key file %s: belongs to user %u, must belong to user %u: chown it", path,
                       (unsigned)status.st_uid, (unsigned)geteuid());
    if ((status.st_mode & 07177) != 0)
        return fb_fail(cause, FB_DENIED, "key file %s: mode %04o lets others at it: chmod 600 it", path,
                       (unsigned)status.st_mode & 07777);
    return FB_OK;
}

static enum fb_error read_key(const char *path, int fd, bool is_credential, uint8_t *ret_key, struct fb_cause *cause) {
    const enum fb_error error = check_file(path, fd, is_credential, cause);
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
    for (size_t i = 0; i < sizeof key; i++) { /* not by printf, which may leave digits on the stack */
        text[2 * i] = "0123456789abcdef"[key[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[key[i] & 15];
    }
    text[DIGITS] = '\n';
    const enum fb_error error = file_write(path, text, FILE_BYTES, 0600, cause);
    if (error == FB_OK)
        memcpy(ret_key, key, sizeof key);
    explicit_bzero(text, sizeof text);
    explicit_bzero(key, sizeof key);
    return error == FB_OK ? FB_OK : fb_context(cause, error, "key file");
}

/* FB_NOT_FOUND: there is no such file. */
static enum fb_error load(const char *path, bool is_credential, uint8_t *ret_key, struct fb_cause *cause) {
    FB_CLEANUP(file_close_descriptor) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return fb_fail_errno(cause, errno == ENOENT ? FB_NOT_FOUND : FB_IO, errno, "key file %s", path);
    return read_key(path, fd, is_credential, ret_key, cause);
}

static enum fb_error load_credential(const char *name, uint8_t *ret_key, struct fb_cause *cause) {
    char path[KEY_PATH_MAX];
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (folder == NULL || folder[0] != '/')
        return FB_NOT_FOUND;
    const enum fb_error error = file_join(folder, name, path, sizeof path, cause);
    return error == FB_OK ? load(path, true, ret_key, cause) : error;
}

static enum fb_error next_path(const struct key_ring *ring, char *ret_path, struct fb_cause *cause) {
    if ((size_t)snprintf(ret_path, KEY_PATH_MAX, "%s.new", ring->path) >= KEY_PATH_MAX)
        return fb_fail(cause, FB_LIMIT, "key file %s: path too long", ring->path);
    return FB_OK;
}

static enum fb_error load_next(struct key_ring *ring, struct fb_cause *cause) {
    char path[KEY_PATH_MAX];
    enum fb_error error = FB_OK;
    if (ring->from_credential) {
        error = load_credential(KEY_CREDENTIAL_NEXT, ring->next, cause);
    } else {
        error = next_path(ring, path, cause);
        if (error == FB_OK)
            error = load(path, false, ring->next, cause);
    }
    ring->has_next = error == FB_OK;
    return error == FB_NOT_FOUND ? FB_OK : error;
}

static enum fb_error load_all(struct key_ring *ring, struct fb_cause *cause) {
    enum fb_error error = load_credential(KEY_CREDENTIAL, ring->key, cause);
    ring->from_credential = error == FB_OK;
    if (error == FB_NOT_FOUND)
        error = load(ring->path, false, ring->key, cause);
    if (error == FB_NOT_FOUND) {
        /* What lies under path.new was being written when this was begun, and is no key of anything. */
        ring->created = true;
        return make_key(ring->path, ring->key, cause);
    }
    return error == FB_OK ? load_next(ring, cause) : error;
}

static enum fb_error open_with(const char *path, enum fb_error (*load_keys)(struct key_ring *, struct fb_cause *),
                               struct key_ring **ret_ring, struct fb_cause *cause) {
    struct key_ring *ring = mmap(NULL, sizeof *ring, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ring == MAP_FAILED)
        return fb_fail_errno(cause, FB_MEMORY, errno, "key");
    /* Not fatal where the limit on locked memory is 0: swap is encrypted or absent on the appliance. */
    ring->locked = mlock(ring, sizeof *ring) == 0;
    madvise(ring, sizeof *ring, MADV_DONTDUMP);
    if ((size_t)snprintf(ring->path, sizeof ring->path, "%s", path) >= sizeof ring->path) {
        key_close(ring);
        return fb_fail(cause, FB_LIMIT, "key file: path too long");
    }
    const enum fb_error error = load_keys(ring, cause);
    if (error == FB_OK)
        *ret_ring = ring;
    else
        key_close(ring);
    return error;
}

enum fb_error key_open(const char *path, struct key_ring **ret_ring, struct fb_cause *cause) {
    return open_with(path, load_all, ret_ring, cause);
}

static enum fb_error load_one(struct key_ring *ring, struct fb_cause *cause) {
    return load(ring->path, false, ring->key, cause);
}

enum fb_error key_open_file(const char *path, struct key_ring **ret_ring, struct fb_cause *cause) {
    return open_with(path, load_one, ret_ring, cause);
}

void key_close(struct key_ring *ring) {
    if (ring == NULL)
        return;
    explicit_bzero(ring, sizeof *ring);
    munmap(ring, sizeof *ring);
}

/* In the C library's place, for SQLCipher: pages have no count of who locked them, and when it gives back one key it
 * would unlock others that stand in the same page. So those few pages stay locked until they are unmapped. */
int munlock(const void *address, size_t length) {
    (void)address;
    (void)length;
    return 0;
}

enum fb_error key_make_next(struct key_ring *ring, struct fb_cause *cause) {
    char path[KEY_PATH_MAX];
    if (ring->from_credential && !ring->has_next)
        return fb_fail(
            cause, FB_NOT_FOUND,
            "the key is a systemd credential: give the service the next one as the credential " KEY_CREDENTIAL_NEXT
            ", restart it, and try again");
    if (ring->from_credential)
        return FB_OK;
    enum fb_error error = next_path(ring, path, cause);
    if (error == FB_OK)
        error = make_key(path, ring->next, cause);
    ring->has_next = error == FB_OK;
    return error;
}

static enum fb_error sync_folder_of(const char *path, struct fb_cause *cause) {
    char copy[KEY_PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    FB_CLEANUP(file_close_descriptor) int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? FB_OK : fb_fail_errno(cause, FB_IO, errno, "key file %s: its folder", path);
}

enum fb_error key_confirm_next(struct key_ring *ring, struct fb_cause *cause) {
    char path[KEY_PATH_MAX];
    if (ring->from_credential)
        return FB_OK;
    enum fb_error error = next_path(ring, path, cause);
    if (error == FB_OK && rename(path, ring->path) < 0)
        error = fb_fail_errno(cause, FB_IO, errno, "key file %s", path);
    if (error == FB_OK)
        error = sync_folder_of(ring->path, cause);
    if (error != FB_OK)
        return error;
    memcpy(ring->key, ring->next, sizeof ring->key);
    ring->has_next = false;
    return FB_OK;
}

void key_drop_next(struct key_ring *ring) {
    char path[KEY_PATH_MAX];
    if (!ring->from_credential && next_path(ring, path, NULL) == FB_OK)
        unlink(path);
    ring->has_next = false;
}
