/* link.h - the one AMQPS connection to the cloud: kept up with back-off, filled from core, emptied by what the peer
 * decides. With several endpoints it goes to the first that takes it, and back to the preferred one when that does.
 * A peer that answers nothing for ack_timeout while messages wait, or gives no credit, is as good as gone. A slow line
 * is no silence (transit.h), but an answer to a later message is none.
 * Used by forebay-cloud; one thread, on its event loop; never blocks but to read the certificates. */
#ifndef FB_CLOUD_LINK_H
#define FB_CLOUD_LINK_H

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "gateway/cloud/cloud_message.h"
#include "gateway/cloud/commands.h"
#include "gateway/cloud/status.h"
#include "gateway/common/error.h"
#include "gateway/common/link_settings.h"

struct link;

/* Called from the loop; they may call anything but link_free(). */
struct link_handlers {
    /* A new session with the peer has begun. bytes_most: of a parcel, 0 without a limit. */
    void (*up)(uint32_t bytes_most, void *user);
    void (*down)(void *user);                                    /* it has ended; nothing is in flight any more */
    void (*next)(uint32_t messages, uint32_t bytes, void *user); /* ask core for this much */
    void (*decided)(enum parcel_kind kind, uint64_t number, enum parcel_outcome outcome, const char *reason,
                    void *user);
    void (*command)(const struct command *command, void *user); /* a command from the cloud, for core */
    void (*attempted)(json_t *attempt, void *user);             /* attempt.h; yours, may be NULL for want of memory */
    void (*changed)(void *user);                                /* link_status() has changed */
    void (*certificates)(void *user);                           /* link_certificates() has changed */
    void (*stopped)(void *user);                                /* after link_stop(): over */
};

/* handlers and user: borrowed. ret_link: yours until link_free(). */
enum fb_error link_new(sd_event *event, const struct link_handlers *handlers, void *user, struct link **ret_link,
                       struct fb_cause *cause) FB_MUST_USE;
void link_free(struct link *link); /* NULL is fine */

/* Core is there and wants this link (NULL: none). The same settings as before leave the connection as it is, and begin
 * a new session for core: up() is called at once if the link is up. */
void link_configure(struct link *link, const struct link_settings *settings);
/* Core has gone: the connection stays, what is in flight is forgotten, since core will hand it out again. */
void link_core_gone(struct link *link);
/* Core has handed a parcel out. Dropped without a word while the link is down, since core will hand it out again.
 * FB_FULL: core does not keep to what it was asked for. */
enum fb_error link_forward(struct link *link, const struct cloud_message *parcel, struct fb_cause *cause) FB_MUST_USE;
/* The outcome is on disk: forget the parcel. */
void link_settled(struct link *link, enum parcel_kind kind, uint64_t number);

/* Core wants commands from there (COMMANDS_CONFIG), or has answered one (REPLY). */
void link_commands(struct link *link, const struct cloud_message *config);
void link_reply(struct link *link, const struct cloud_message *reply);

/* Close the connection politely, then stopped() from the loop, at the latest after a second. */
void link_stop(struct link *link);

const struct status *link_status(struct link *link); /* as it is now; borrowed */
/* Until when the link's certificates hold, see certificates_to_json(). New reference. */
json_t *link_certificates(const struct link *link);

#endif
