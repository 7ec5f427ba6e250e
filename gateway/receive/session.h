/* session.h - one run of `forebay receive`: messages in, commits in groups, answers out, until told to end. */
#ifndef FB_RECEIVE_SESSION_H
#define FB_RECEIVE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/receive/endpoint.h"
#include "gateway/receive/receiver.h"

/* Messages are answered after a commit: when the loop has nothing else to do, at the latest after so many or so long.
 */
#define SESSION_GROUP_MAX 64
#define SESSION_GROUP_MS 200
/* With once: nothing has come for so long. */
#define SESSION_QUIET_MS 3000

struct session_settings {
    bool listen; /* else ask the broker */
    struct endpoint endpoint;
    const char *ca, *certificate, *key; /* PEM files */
    uint64_t count;                     /* end after so many readings; 0: never */
    bool once;                          /* end when a peer is there and nothing comes any more */
};

/* Blocks until SIGINT, SIGTERM, count or once end it (FB_OK), or nothing more can be received. SIGUSR1 prints the
 * summary. All that was answered as accepted is on disk. Prints the summary line on standard error when it ends well.
 */
enum fb_error session_run(const struct session_settings *settings, struct receiver *receiver,
                          struct fb_cause *cause) FB_MUST_USE;

#endif
