/* receiver.h - what becomes of a message that has arrived: batch or catalogue, new or repeated, lines or refusal; and
 * the state folder that makes it survive a kill. No network. Used by `forebay receive`; one thread; commits block. */
#ifndef FB_RECEIVE_RECEIVER_H
#define FB_RECEIVE_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/receive/ledger.h"
#include "gateway/receive/lines.h"

#define RECEIVER_STATE_FILE "state.json"
#define RECEIVER_CATALOGUES "catalogues"
#define RECEIVER_EVENTS "events.ndjson"
/* 256 stores with 1024 runs of 180 bytes each. */
#define RECEIVER_STATE_BYTES_MAX (64u * 1024 * 1024)

struct receiver;

struct receiver_settings {
    const char *folder; /* the state folder, made if absent; only one program may use it at a time */
    const char *output; /* a file, or "-" */
    enum lines_format format;
    const char *events; /* a file for events, a line each, made when the first one comes; NULL: RECEIVER_EVENTS in
                           the state folder */
    const char *keep;   /* a folder for the batches as they came, see keep.h; NULL: none. Borrowed until the end */
};

/* Take up where the last commit stood. ret_receiver: yours on success, end it with receiver_close().
 * FB_DENIED: in use by another program, or the output is not the one of this state. FB_CORRUPT, FB_VERSION: the state
 * file or the output is not as it was written. FB_IO, FB_LIMIT, FB_MEMORY. */
enum fb_error receiver_open(const struct receiver_settings *settings, struct receiver **ret_receiver,
                            struct fb_cause *cause) FB_MUST_USE;
/* What was not committed is forgotten, as after a kill. NULL is fine. */
void receiver_close(struct receiver *receiver);

enum receiver_verdict {
    RECEIVER_ACCEPT,  /* answer accepted, but not before the next receiver_commit() */
    RECEIVER_REJECT,  /* it will never be taken as it is */
    RECEIVER_RELEASE, /* there is no room for it now */
};

struct receiver_result {
    enum receiver_verdict verdict;
    size_t readings;     /* written as lines */
    struct fb_cause why; /* of a refusal; or what is remarkable about an accepted message, "" mostly */
};

/* Take one message. subject: as sent, may be NULL. body: borrowed for the call.
 * An error means that nothing more can be received (folder or memory): end the program, the sender keeps the rest. */
enum fb_error receiver_take(struct receiver *receiver, const char *subject, const uint8_t *body, size_t length,
                            struct receiver_result *ret_result, struct fb_cause *cause) FB_MUST_USE;

/* Lines, then state, are on disk when it returns FB_OK (three fsyncs; none if nothing was taken). After an error: as
 * for receiver_take(). */
enum fb_error receiver_commit(struct receiver *receiver, struct fb_cause *cause) FB_MUST_USE;

/* Since the state folder was begun; uncommitted messages included. */
struct ledger_totals receiver_totals(const struct receiver *receiver);

#endif
