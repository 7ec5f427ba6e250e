/* link_return.h - the way back to the preferred endpoint: while a spare is in use, the preferred one is asked now and
 * then, beside the link, which stays as it is until that one would take it. Used by forebay-cloud's link; one thread,
 * on its event loop; never blocks but to read the certificates. */
#ifndef FB_CLOUD_LINK_RETURN_H
#define FB_CLOUD_LINK_RETURN_H

#include <jansson.h>
#include <systemd/sd-event.h>

#include "gateway/common/error.h"
#include "gateway/common/link_settings.h"

struct link_return;

/* Called from the loop; they may call anything but link_return_free(). */
struct link_return_handlers {
    void (*asked)(json_t *attempt, void *user); /* attempt.h, "return"; yours, may be NULL for want of memory */
    void (*taken)(void *user);                  /* it would take the link; nothing more is asked until the next start */
};

/* handlers and user: borrowed. ret_back: yours until link_return_free(). FB_MEMORY. */
enum fb_error link_return_new(sd_event *event, const struct link_return_handlers *handlers, void *user,
                              struct link_return **ret_back, struct fb_cause *cause) FB_MUST_USE;
void link_return_free(struct link_return *back); /* NULL is fine */

/* A spare is in use: the preferred endpoint is asked after stay_ms, and so long after each answer again.
 * settings: borrowed until link_return_stop(). */
void link_return_start(struct link_return *back, const struct link_settings *settings, uint32_t stay_ms);
void link_return_stop(struct link_return *back); /* also when nothing was started */

#endif
