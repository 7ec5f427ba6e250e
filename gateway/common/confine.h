/* confine.h - a program gives up, for good, what one that is told things by the cloud never needs: to become another
 * program. Used by forebay-cloud and forebay-core. */
#ifndef FB_COMMON_CONFINE_H
#define FB_COMMON_CONFINE_H

#include "gateway/common/error.h"

/* From now on the kernel kills this process when it calls execve, execveat, fork, vfork, or clone for a process with a
 * memory of its own. Everything else stays allowed. Cannot be undone; children would inherit it. */
enum fb_error confine_self(struct fb_cause *cause) FB_MUST_USE;

#endif
