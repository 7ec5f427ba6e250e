/* caller.h - who is at the other end of a Unix socket, for the audit. Used by control.c. */
#ifndef FB_CORE_CALLER_H
#define FB_CORE_CALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CALLER_NAME_MAX 64

/* The user that connected the socket, as the kernel says (SO_PEERCRED, unix(7)). -1: it does not say. */
uid_t caller_of(int descriptor);
/* The user's name in the file passwd(5), or "user 1000" when it is not there. The name service is not asked: it may ask
 * the network, and wait. */
void caller_name(uid_t user, char ret_name[static CALLER_NAME_MAX]);

#endif
