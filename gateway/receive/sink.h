/* sink.h - the output of `forebay receive`: lines go to a file whose committed length is known, or to standard output.
 * One thread; writes block. */
#ifndef FB_RECEIVE_SINK_H
#define FB_RECEIVE_SINK_H

#include <limits.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/receive/lines.h"

/* Standard output that nobody reads for so long ends the program. */
#define SINK_STALL_MS 60000

struct sink;

/* Where the lines go and how far they count; kept in the state file. */
struct sink_place {
    char path[PATH_MAX]; /* absolute; "-" for standard output; "" for nowhere yet */
    enum lines_format format;
    uint64_t offset; /* bytes; what stands behind them was never committed. 0 for standard output */
};

/* Open the output. before: what the state file says; a file it knows is cut to its committed length and continued.
 * One that was moved away is begun anew. ret_sink: yours on success, end it with sink_close().
 * FB_DENIED: the file holds lines the state knows nothing of, or another format. FB_CORRUPT: it is shorter than what
 * was committed. FB_IO, FB_LIMIT. */
enum fb_error sink_open(const char *path, enum lines_format format, const struct sink_place *before,
                        struct sink **ret_sink, struct fb_cause *cause) FB_MUST_USE;
/* Drops what was not committed. NULL is fine. */
void sink_close(struct sink *sink);

/* LINES_BYTES_MAX bytes of room for the next line, then how many of them it took. A write that fails is told by
 * sink_commit(). */
char *sink_room(struct sink *sink);
void sink_put(struct sink *sink, size_t length);

/* Everything put so far is on disk (fdatasync). ret_place: the place as the state file must say it now.
 * FB_FULL, FB_IO, FB_CLOSED: nobody reads standard output any more. */
enum fb_error sink_commit(struct sink *sink, struct sink_place *ret_place, struct fb_cause *cause) FB_MUST_USE;

#endif
