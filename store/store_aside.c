#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/common/file.h"
#include "store/store_internal.h"

#define NAMES_TRIED 100
#define MARK_BYTES_MAX 65536

static void mark_name(const char *path, char ret_name[static PATH_MAX]) {
    snprintf(ret_name, PATH_MAX, "%s.failed", path);
}

/* One line for each time. */
void store_aside_mark(const char *path, const char *reason) {
    char name[PATH_MAX], line[STORE_REASON_MAX + 1];
    mark_name(path, name);
    /* Where even this cannot be written, the damage shows again after the next start. */
    FB_CLEANUP(file_close_descriptor) int fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    const int length = snprintf(line, sizeof line, "%.*s\n", (int)strcspn(reason, "\n"), reason);
    if (fd >= 0 && write(fd, line, length < (int)sizeof line ? (size_t)length : sizeof line - 1) > 0)
        fsync(fd);
}

void store_aside_forget_mark(const char *path) {
    char name[PATH_MAX];
    mark_name(path, name);
    unlink(name);
}

unsigned store_aside_marks(const char *path, char *ret_reason, size_t size) {
    char name[PATH_MAX];
    size_t length;
    unsigned lines = 1;
    FB_CLEANUP(file_free) char *text = NULL;
    mark_name(path, name);
    if (file_read(name, MARK_BYTES_MAX, &text, &length, NULL) != FB_OK)
        return 0;
    snprintf(ret_reason, size, "%.*s", (int)strcspn(text, "\n"), text);
    for (const char *end = strchr(text, '\n'); end != NULL && end[1] != '\0'; end = strchr(end + 1, '\n'))
        lines++;
    return lines;
}

enum fb_error store_aside_name(const char *path, int64_t now_ms, char *ret_name, size_t size, struct fb_cause *cause) {
    const time_t now = (time_t)(now_ms / 1000);
    struct tm utc;
    char stamp[32] = "", again[16] = "";
    if (gmtime_r(&now, &utc) != NULL)
        strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
    for (int i = 1; i <= NAMES_TRIED; i++) {
        if (i > 1)
            snprintf(again, sizeof again, "-%d", i);
        if ((size_t)snprintf(ret_name, size, "%s.unreadable-%s%s", path, stamp, again) >= size)
            return fb_fail(cause, FB_LIMIT, "path too long");
        if (access(ret_name, F_OK) < 0 && errno == ENOENT)
            return FB_OK;
    }
    return fb_fail(cause, FB_IO, "too many files named %s: move them away", ret_name);
}

static enum fb_error rename_if_there(const char *from, const char *to, struct fb_cause *cause) {
    if (rename(from, to) < 0 && errno != ENOENT)
        return fb_fail_errno(cause, FB_IO, errno, "renaming to %s", to);
    return FB_OK;
}

/* A link that an attempt before left, which was cut off, is made anew. ret_linked: false, too, where the file system
 * has no links. */
static enum fb_error link_if_there(const char *from, const char *to, bool *ret_linked, struct fb_cause *cause) {
    if (unlink(to) < 0 && errno != ENOENT)
        return fb_fail_errno(cause, FB_IO, errno, "%s", to);
    *ret_linked = link(from, to) == 0;
    if (!*ret_linked && errno != ENOENT && errno != EPERM && errno != EOPNOTSUPP)
        return fb_fail_errno(cause, FB_IO, errno, "linking to %s", to);
    return FB_OK;
}

/* Without its log a database opens as it was some time ago, and numbers batches twice; what was set aside would lack
 * batches that nobody misses. So the log has both names while the database is renamed. */
enum fb_error store_aside_rename(const char *path, const char *name, struct fb_cause *cause) {
    char log[PATH_MAX], log_aside[PATH_MAX], shared[PATH_MAX], shared_aside[PATH_MAX];
    snprintf(log, sizeof log, "%s-wal", path);
    snprintf(log_aside, sizeof log_aside, "%s-wal", name);
    snprintf(shared, sizeof shared, "%s-shm", path);
    snprintf(shared_aside, sizeof shared_aside, "%s-shm", name);
    bool linked = false;
    enum fb_error error = link_if_there(log, log_aside, &linked, cause);
    if (error == FB_OK)
        error = rename_if_there(path, name, cause);
    if (error == FB_OK && !linked)
        error = rename_if_there(log, log_aside, cause);
    else if (error == FB_OK && unlink(log) < 0)
        error = fb_fail_errno(cause, FB_IO, errno, "%s", log);
    if (error == FB_OK)
        error = rename_if_there(shared, shared_aside, cause);
    return error == FB_OK ? store_database_sync_folder(path, cause) : error;
}
