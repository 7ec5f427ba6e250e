/* link_expiry.h - says when a certificate that the present connection was made with has expired: TLS looks at
 * certificates only when a connection begins. All gateways of a broker have connections made with the same
 * certificate of it, so each is told to look for a renewed one at a moment of its own before the end.
 * Used by forebay-cloud's link; one thread, on its event loop. */
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
 * 4.1.2.5). One that has expired already ends nothing: both ends take it all the same, and would close for ever.
 * The peer's is told once ahead of its end, at link_expiry_ahead_ms(); if the next connection shows the same one again,
 * at its end. */
void link_expiry_start(struct link_expiry *expiry);
/* Pure: a moment in the ten minutes before end_ms, or in the last tenth of the time until then if that is shorter. All
 * UTC; now_ms <= end_ms. random: 32 uniform bits. */
int64_t link_expiry_ahead_ms(int64_t now_ms, int64_t end_ms, uint32_t random);
void link_expiry_stop(struct link_expiry *expiry);

#endif
