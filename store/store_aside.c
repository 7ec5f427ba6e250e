#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/common/file.h"
#include "store/store_internal.h"

#define NAMES_TRIED 100
#define MARK_BYTES_MAX 1024

static void mark_name(const char *path, char ret_name[static PATH_MAX]) {
    snprintf(ret_name, PATH_MAX, "%s.failed", path);
}

void store_aside_mark(const char *path, const char *reason) {
    char name[PATH_MAX];
    mark_name(path, name);
    /* Where even this cannot be written, the damage shows again after the next start. */
    if (file_write(name, reason, strlen(reason), 0600, NULL) != FB_OK)
        return;
}

void store_aside_forget_mark(const char *path) {
    char name[PATH_MAX];
    mark_name(path, name);
    unlink(name);
}

enum fb_error store_aside_check_mark(const char *path, struct fb_cause *cause) {
    char name[PATH_MAX];
    size_t length;
    FB_CLEANUP(file_free) char *reason = NULL;
    mark_name(path, name);
    if (file_read(name, MARK_BYTES_MAX, &reason, &length, NULL) != FB_OK)
        return FB_OK;
    return fb_fail(cause, FB_CORRUPT, "%s", reason);
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

enum fb_error store_aside_rename(const char *path, const char *name, struct fb_cause *cause) {
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    enum fb_error error = FB_OK;
    /* The database goes first: without its log it would open as it was some time ago, and number batches twice. */
    for (size_t i = 0; error == FB_OK && i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char from[PATH_MAX], to[PATH_MAX];
        snprintf(from, sizeof from, "%s%s", path, suffixes[i]);
        snprintf(to, sizeof to, "%s%s", name, suffixes[i]);
        error = rename_if_there(from, to, cause);
    }
    return error == FB_OK ? store_database_sync_folder(path, cause) : error;
}
