#include "gateway/receive/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gateway/common/file.h"

#define BUFFER_BYTES (64 * 1024)

struct sink {
    int fd;
    bool regular; /* a file of ours, not standard output */
    struct sink_place place;
    enum fb_error failed; /* the first write that failed, until sink_commit() */
    int failed_errno;
    size_t used;
    char buffer[BUFFER_BYTES];
};

static enum fb_error make_absolute(const char *path, char *ret_path, struct fb_cause *cause) {
    char here[PATH_MAX];
    if (path[0] != '/' && getcwd(here, sizeof here) == NULL)
        return fb_fail_errno(cause, FB_IO, errno, "the working folder");
    return file_join(here, path, ret_path, PATH_MAX, cause);
}

/* Decide where to go on in a file of this size. */
static enum fb_error continue_at(const char *path, enum lines_format format, const struct sink_place *before,
                                 uint64_t size, uint64_t *ret_offset, struct fb_cause *cause) {
    const bool known = strcmp(before->path, path) == 0;
    if (size == 0) {
        *ret_offset = 0;
        return FB_OK;
    }
    if (!known)
        return fb_fail(cause, FB_DENIED,
                       "%s: holds lines that the --state folder knows nothing of; name another file or move it away",
                       path);
    if (before->format != format)
        return fb_fail(cause, FB_DENIED, "%s: holds %s; name another file, move it away, or say --format %s", path,
                       lines_format_word(before->format), lines_format_word(before->format));
    if (size < before->offset)
        return fb_fail(cause, FB_CORRUPT,
                       "%s: has %" PRIu64 " bytes but %" PRIu64
                       " were written; put the whole file back, or move it away to begin a new one",
                       path, size, before->offset);
    *ret_offset = before->offset;
    return FB_OK;
}

static enum fb_error open_file(struct sink *sink, const struct sink_place *before, struct fb_cause *cause) {
    const char *path = sink->place.path;
    struct stat status;
    sink->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    if (sink->fd < 0 || fstat(sink->fd, &status) < 0)
        return fb_fail_errno(cause, FB_IO, errno, "%s", path);
    if (!S_ISREG(status.st_mode))
        return fb_fail(cause, FB_INVALID, "%s: not a file; for a pipe use --output -", path);
    const enum fb_error error =
        continue_at(path, sink->place.format, before, (uint64_t)status.st_size, &sink->place.offset, cause);
    if (error != FB_OK)
        return error;
    if (ftruncate(sink->fd, (off_t)sink->place.offset) < 0 || lseek(sink->fd, (off_t)sink->place.offset, SEEK_SET) < 0)
        return fb_fail_errno(cause, FB_IO, errno, "%s", path);
    return FB_OK;
}

/* Standard output gets its header at every start: it cannot be known what its reader has kept. */
static void put_header(struct sink *sink) {
    char *room = sink_room(sink);
    if (sink->place.offset == 0)
        sink_put(sink, (size_t)(stpcpy(room, lines_header(sink->place.format)) - room));
}

enum fb_error sink_open(const char *path, enum lines_format format, const struct sink_place *before,
                        struct sink **ret_sink, struct fb_cause *cause) {
    struct sink *sink = calloc(1, sizeof *sink);
    if (sink == NULL)
        return fb_fail(cause, FB_MEMORY, "%s: out of memory", path);
    sink->fd = -1;
    sink->regular = strcmp(path, "-") != 0;
    sink->place.format = format;
    enum fb_error error = FB_OK;
    if (sink->regular)
        error = make_absolute(path, sink->place.path, cause);
    else {
        sink->fd = STDOUT_FILENO;
        snprintf(sink->place.path, sizeof sink->place.path, "-");
    }
    if (error == FB_OK && sink->regular)
        error = open_file(sink, before, cause);
    if (error != FB_OK) {
        sink_close(sink);
        return error;
    }
    put_header(sink);
    *ret_sink = sink;
    return FB_OK;
}

void sink_close(struct sink *sink) {
    if (sink == NULL)
        return;
    if (sink->regular && sink->fd >= 0)
        close(sink->fd);
    free(sink);
}

/* A pipe's reader may stop for good, so only what a pipe takes at once (PIPE_BUF) is written, when it has the room. */
static ssize_t write_some(const struct sink *sink, const char *data, size_t length) {
    if (sink->regular)
        return write(sink->fd, data, length);
    struct pollfd ready = {.fd = sink->fd, .events = POLLOUT};
    const int count = poll(&ready, 1, SINK_STALL_MS);
    if (count == 0)
        errno = ETIMEDOUT;
    return count <= 0 ? -1 : write(sink->fd, data, length < PIPE_BUF ? length : PIPE_BUF);
}

static void flush(struct sink *sink) {
    const char *at = sink->buffer;
    size_t left = sink->used;
    sink->used = 0;
    while (left > 0 && sink->failed == FB_OK) {
        const ssize_t put = write_some(sink, at, left);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            sink->failed_errno = errno;
            sink->failed = errno == ENOSPC || errno == EDQUOT ? FB_FULL : errno == EPIPE ? FB_CLOSED : FB_IO;
            return;
        }
        at += put;
        left -= (size_t)put;
        if (sink->regular)
            sink->place.offset += (uint64_t)put;
    }
}

char *sink_room(struct sink *sink) {
    if (sink->used > BUFFER_BYTES - LINES_BYTES_MAX)
        flush(sink);
    return sink->buffer + sink->used;
}

void sink_put(struct sink *sink, size_t length) {
    sink->used += length;
}

enum fb_error sink_commit(struct sink *sink, struct sink_place *ret_place, struct fb_cause *cause) {
    flush(sink);
    if (sink->failed == FB_OK && sink->regular && fdatasync(sink->fd) < 0) {
        sink->failed = FB_IO;
        sink->failed_errno = errno;
    }
    if (sink->failed != FB_OK)
        return fb_fail_errno(cause, sink->failed, sink->failed_errno, "%s",
                             sink->regular ? sink->place.path : "standard output");
    *ret_place = sink->place;
    return FB_OK;
}
