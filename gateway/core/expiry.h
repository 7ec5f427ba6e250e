/* expiry.h - the days that are left to every certificate of this gateway: for the status, and told as events when few
 * are left. Reads the page's certificate itself; forebay-cloud tells those of the link. Used by core.c.
 *
 * Nothing here ever stops anything: a reading is taken whatever the certificates say. */
#ifndef FB_CORE_EXPIRY_H
#define FB_CORE_EXPIRY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "gateway/common/error.h"

/* One event when so many days are left or less, and none of a level below was told yet; 0: expired. */
extern const int expiry_levels[];
#define EXPIRY_LEVELS 5

#define EXPIRY_CERTIFICATES_MAX 64

struct expiry;

/* certificate: as in expiry_to_json(), borrowed. */
typedef void expiry_due(const json_t *certificate, int level_days, void *user);

/* data: folder that keeps what was told already, so that it is told once. due: called from the loop, or from a call
 * below. ret_expiry: yours until expiry_free(). */
enum fb_error expiry_new(sd_event *event, const char *data, expiry_due *due, void *user, struct expiry **ret_expiry,
                         struct fb_cause *cause) FB_MUST_USE;
void expiry_free(struct expiry *expiry); /* NULL is fine */

/* The configuration in force: is there a link, and which file is the page's certificate ("": no page). */
void expiry_configure(struct expiry *expiry, bool has_link, const char *page);
/* What forebay-cloud says (PROTOCOL_LINK_CERTIFICATES). False: it breaks the rules. */
bool expiry_link(struct expiry *expiry, const json_t *message) FB_MUST_USE;

/* The array "certificates" of docs/api.md. New reference. */
json_t *expiry_to_json(const struct expiry *expiry);

/* The pure part: the least of expiry_levels that has been reached, -1 for none. renewed: one that is renewed long
 * before its end by routine, as lists of revoked certificates are; a level counts only if it is at most half its life.
 */
int expiry_level(int64_t from_ms, int64_t until_ms, bool renewed, int64_t now_ms);

#endif
