#include <endian.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/common/file.h"
#include "store/store_internal.h"

/* SQLite takes a log to end at the first frame whose checksum does not fit. After a power cut that is right. After
 * damage it silently forgets every commit behind that frame: readings that were promised, and numbers of batches that
 * the receiver may have already, which would then be given a second time. Since each commit is synchronised before the
 * next begins, a cut leaves at most one commit behind the end; two or more can only mean damage.
 * The format: sqlite.org/fileformat2.html, "WAL File Format". Numbers are big-endian. */
#define LOG_HEAD_BYTES 32
#define FRAME_HEAD_BYTES 24
#define MAGIC 0x377f0682 /* the lowest bit: whether checksums take big-endian words */
#define COMMITS_A_CUT_LEAVES 1

struct log {
    int fd;
    bool big_endian;
    uint32_t sum[2];
    uint32_t salt[2];
};

static uint32_t number_at(const uint8_t *bytes) {
    uint32_t number;
    memcpy(&number, bytes, sizeof number);
    return be32toh(number);
}

static void add_sum(struct log *log, const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i += 8) {
        uint32_t words[2];
        memcpy(words, bytes + i, sizeof words);
        for (size_t k = 0; k < 2; k++)
            log->sum[k] += (log->big_endian ? be32toh(words[k]) : le32toh(words[k])) + log->sum[1 - k];
    }
}

static bool read_at(const struct log *log, uint8_t *bytes, size_t length, uint64_t at) {
    return pread(log->fd, bytes, length, (off_t)at) == (ssize_t)length;
}

/* False: no log of SQLite's, which takes nothing from it either. */
static bool read_head(struct log *log) {
    uint8_t head[LOG_HEAD_BYTES];
    if (!read_at(log, head, sizeof head, 0) || (number_at(head) & ~1u) != MAGIC ||
        number_at(head + 8) != STORE_PAGE_BYTES)
        return false;
    log->big_endian = (number_at(head) & 1) != 0;
    log->salt[0] = number_at(head + 16);
    log->salt[1] = number_at(head + 20);
    add_sum(log, head, 24);
    return log->sum[0] == number_at(head + 24) && log->sum[1] == number_at(head + 28);
}

static bool of_this_log(const struct log *log, const uint8_t *frame) {
    return number_at(frame + 8) == log->salt[0] && number_at(frame + 12) == log->salt[1];
}

/* The most commits in one row of frames that follow each other behind the end. Commits whose fsync failed, and which
 * were then written over in part, may leave several rows of one. */
static unsigned count_lost_commits(struct log *log) {
    uint8_t frame[FRAME_HEAD_BYTES + STORE_PAGE_BYTES];
    unsigned lost = 0, most = 0;
    bool holds = true;
    for (uint64_t at = LOG_HEAD_BYTES; read_at(log, frame, sizeof frame, at); at += sizeof frame) {
        const bool is_ours = of_this_log(log, frame);
        add_sum(log, frame, 8);
        add_sum(log, frame + FRAME_HEAD_BYTES, STORE_PAGE_BYTES);
        if (!is_ours || log->sum[0] != number_at(frame + 16) || log->sum[1] != number_at(frame + 20)) {
            holds = false;
            lost = 0;
            log->sum[0] = number_at(frame + 16);
            log->sum[1] = number_at(frame + 20);
        }
        lost += !holds && is_ours && number_at(frame + 4) != 0;
        most = lost > most ? lost : most;
    }
    return most;
}

enum fb_error store_wal_check(const char *path, struct fb_cause *cause) {
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s-wal", path);
    FB_CLEANUP(file_close_descriptor) int fd = open(name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct log log = {.fd = fd};
    if (fd < 0 || !read_head(&log))
        return FB_OK;
    const unsigned lost = count_lost_commits(&log);
    if (lost <= COMMITS_A_CUT_LEAVES)
        return FB_OK;
    return fb_fail(cause, FB_CORRUPT, "damaged: its log, where %u commits cannot be read any more", lost);
}
