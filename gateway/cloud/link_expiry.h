/* link_expiry.h - says when a certificate that the present connection was made with has expired: TLS looks at
 * certificates only when a connection begins. Used by forebay-cloud's link; one thread, on its event loop. */
#ifndef FB_CLOUD_LINK_EXPIRY_H
#define FB_CLOUD_LINK_EXPIRY_H

#include <systemd/sd-event.h>

#include "gateway/cloud/certificates.h"
#include "gateway/common/error.h"

struct link_expiry;

/* certificates, user: borrowed. expired: called from the loop; reason: why the connection is to be ended, borrowed.
 * ret_expiry: yours until link_expiry_free(). FB_MEMORY. */
enum fb_error link_expiry_new(sd_event *event, const struct certificates *certificates,
                              void (*expired)(const char *reason, void *user), void *user,
                              struct link_expiry **ret_expiry, struct fb_cause *cause) FB_MUST_USE;
void link_expiry_free(struct link_expiry *expiry); /* NULL is fine */

/* A connection is up: its certificates are known. Each is valid through the second in which it expires (RFC 5280,
 * 4.1.2.5). One that has expired already ends nothing: both ends take it all the same, and would close for ever. */
void link_expiry_start(struct link_expiry *expiry);
void link_expiry_stop(struct link_expiry *expiry);

#endif
