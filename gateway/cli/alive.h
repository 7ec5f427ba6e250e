/* alive.h - whether a program still has turns of its own, or hangs: the other end of sd_event_set_watchdog(3), as
 * systemd would be it. Used by the supervisor, for each program that it watches.
 *
 * Time is counted in looks, one every ALIVE_LOOK_MS, and never by a clock: when the whole machine was suspended or
 * starved, nobody has looked either, and what was said meanwhile waits in the socket. It holds
 * net.unix.max_dgram_qlen words (10; 512 under systemd): a program whose supervisor does not look for longer than that,
 * some three minutes at least, waits in sd_notify(3) until it does. */
#ifndef FB_CLI_ALIVE_H
#define FB_CLI_ALIVE_H

#include <stdbool.h>
#include <sys/types.h>

#include "gateway/common/error.h"

#define ALIVE_LOOK_MS 1000
/* Silent for so many looks, a program hangs. A commit to a bad SD card may take seconds; a program that does well
 * speaks every 15 to 23 s. */
#define ALIVE_LOOKS_MAX 30

struct alive {
    const char *path; /* of its socket, absolute; borrowed; NULL: nobody asks */
    int descriptor;
    bool has_spoken; /* the process that runs now; before its first word nothing is demanded */
    unsigned silent; /* looks since its last word */
};

/* Open the socket where a program says that it is alive, for programs of the same user only; what stood there goes.
 * path NULL: a program that nobody asks. On failure alive is as for NULL. FB_LIMIT: the path is too long. */
enum fb_error alive_open(struct alive *alive, const char *path, struct fb_cause *cause) FB_MUST_USE;
void alive_close(struct alive *alive);

/* To be called in the child before it becomes the program: it gets the variables of sd_notify(3) and
 * sd_watchdog_enabled(3) that are its own, or none; those that were meant for us are gone. */
void alive_set_environment(const struct alive *alive);

/* A new process starts. */
void alive_started(struct alive *alive);
/* Read what was said, and count this look. What others than the process pid say does not count. True when it hangs;
 * then it is as good as new, so that it is told once. */
bool alive_look(struct alive *alive, pid_t pid);

#endif
