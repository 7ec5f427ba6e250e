/* control.h - the control socket: one JSON request, one JSON answer; who may open the socket may call (docs/api.md). */
#ifndef FB_CORE_CONTROL_H
#define FB_CORE_CONTROL_H

#include "gateway/core/core.h"

/* Listen in the configured run directory. core is borrowed. ret_control: yours, end it with control_free(). */
enum fb_error control_new(struct core *core, struct control **ret_control, struct fb_cause *cause) FB_MUST_USE;
void control_free(struct control *control); /* NULL is fine */

#endif
