/* web.h - what nginx asks for the page: GET /api/status, /api/values and the event stream, over SCGI on a Unix socket.
 */
#ifndef FB_CORE_WEB_H
#define FB_CORE_WEB_H

#include "gateway/core/core.h"

/* Listen in the configured run directory. core is borrowed. ret_web: yours, end it with web_free(). */
enum fb_error web_new(struct core *core, struct web **ret_web, struct fb_cause *cause) FB_MUST_USE;
void web_free(struct web *web); /* NULL is fine */

#endif
