/* damage.h - what core does when the store under it turns out to be damaged: it ends, and the next start sets the file
 * aside (store.h, FB_CORRUPT). What was not committed comes again from forebay-field. */
#ifndef FB_CORE_DAMAGE_H
#define FB_CORE_DAMAGE_H

#include <systemd/sd-event.h>

#include "gateway/common/error.h"

/* Call it with what a call of the store returned; only FB_CORRUPT has an effect, once the loop goes on. */
void damage_check(sd_event *event, enum fb_error error, const struct fb_cause *cause);

#endif
