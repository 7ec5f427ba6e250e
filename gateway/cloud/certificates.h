/* certificates.h - the files of trust, watched: until when each certificate holds, and whether one has changed on disk.
 * Used by forebay-cloud; on its event loop; reads the files when they change. */
#ifndef FB_CLOUD_CERTIFICATES_H
#define FB_CLOUD_CERTIFICATES_H

#include <jansson.h>
#include <systemd/sd-event.h>

#include "gateway/amqp/validity.h"
#include "gateway/common/error.h"
#include "gateway/common/link_settings.h"

/* So often the files are looked at. Looked at, not watched with inotify: a change of a link on the way to a file, or of
 * a file on a network share, counts too. */
#define CERTIFICATES_LOOK_MS 5000
/* Certificates and lists in the report, at most. */
#define CERTIFICATES_MAX 32

struct certificates;

/* changed: a file has another content than before; borrowed, called from the loop. ret_certificates: yours until
 * certificates_free(). */
enum fb_error certificates_new(sd_event *event, void (*changed)(void *user), void *user,
                               struct certificates **ret_certificates, struct fb_cause *cause) FB_MUST_USE;
void certificates_free(struct certificates *certificates); /* NULL is fine */

/* Watch the files of this link from now on; NULL: none. Forgets what the peer presented. */
void certificates_watch(struct certificates *certificates, const struct link_settings *settings);
/* What the peer presented in the last attempt. An empty chain changes nothing. */
void certificates_presented(struct certificates *certificates, const struct validity_list *chain);

/* Which of the two certificates that the present connection was made with expires first. */
struct certificates_end {
    int64_t at_ms;       /* UTC; 0: none is known */
    const char *subject; /* borrowed until the next call for anything else here */
    bool peers;          /* the peer's, not ours */
};
struct certificates_end certificates_end(const struct certificates *certificates);

/* {"certificates": [...]} as PROTOCOL_LINK_CERTIFICATES has it. New reference. */
json_t *certificates_to_json(const struct certificates *certificates);

#endif
