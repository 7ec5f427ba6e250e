/* watchdog.h - tells who started this program, now and then, that it still has turns of its own: forebay run
 * (gateway/cli/alive.h), or systemd. As sd_event_set_watchdog(3), but for one thing: that waits when nobody reads what
 * it says, and a supervisor that hangs must not hold up the programs below it. Used by the programs that run for
 * years. */
#ifndef FB_COMMON_WATCHDOG_H
#define FB_COMMON_WATCHDOG_H

#include <systemd/sd-event.h>

/* From now on, as long as the loop runs, where the environment asks for it (sd_watchdog_enabled(3)). To be called once,
 * when the start is over: from the first word on others are demanded. Negative errno on failure. */
int watchdog_start(sd_event *event);

#endif
