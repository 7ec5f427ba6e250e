/* cloud_peer.h - core's side of the exchange with forebay-cloud: hands out batches and their catalogues, commits the
 * peer's decisions before forebay-cloud may forget them. */
#ifndef FB_CORE_CLOUD_PEER_H
#define FB_CORE_CLOUD_PEER_H

#include <jansson.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "gateway/common/command_settings.h"
#include "gateway/common/error.h"
#include "gateway/common/link_settings.h"
#include "gateway/common/log.h"
#include "gateway/config/config.h"
#include "gateway/core/peers.h"
#include "store/store.h"

struct cloud_peer;

struct cloud_peer_handlers {
    void (*link_changed)(bool up, void *user);
    /* Something worth keeping has happened, see records_event(). details: yours. */
    void (*happened)(const char *event, json_t *details, void *user);
    /* An attempt to communicate was made; attempt is an object, and yours. Once it is on disk, call
     * cloud_peer_attempts_kept(). */
    void (*attempted)(json_t *attempt, void *user);
    /* These may be NULL. A command from the cloud, not verified yet, borrowed; answer it with cloud_peer_reply(). */
    void (*command)(uint64_t id, const uint8_t *bytes, size_t length, void *user);
    /* What forebay-cloud says of the link; it comes and goes, see peers.h. */
    void (*link_told)(const json_t *link, void *user);
    void (*program)(const struct peer *peer, const char *reason, void *user);
    /* What PROTOCOL_LINK_CERTIFICATES says; borrowed. False: it breaks the rules. */
    bool (*certificates)(const json_t *message, void *user);
};

/* Listen in the run directory. store, handlers, user are borrowed. ret_cloud: yours, end it with cloud_peer_free(). */
enum fb_error cloud_peer_new(sd_event *event, const char *run, struct store *store,
                             const struct cloud_peer_handlers *handlers, void *user, struct cloud_peer **ret_cloud,
                             struct fb_cause *cause) FB_MUST_USE;
/* Commits what the peer has accepted. NULL is fine. */
void cloud_peer_free(struct cloud_peer *cloud);

/* The link to keep; NULL for none. Copied. Told at once if forebay-cloud is there. */
void cloud_peer_set_link(struct cloud_peer *cloud, const struct link_settings *settings);

/* Where commands come from and replies go; NULL: none are wanted. Copied. Told at once. */
void cloud_peer_set_commands(struct cloud_peer *cloud, const struct command_settings *settings, const char *gateway);
/* What became of a command: settle it as taken or as refused for this reason, and send the reply (length bytes of JSON,
 * at most COMMAND_REPLY_BYTES_MAX; 0: none). */
void cloud_peer_reply(struct cloud_peer *cloud, uint64_t id, bool accepted, const char *reason, const char *reply,
                      size_t length);
/* forebay-cloud is to log up to this level for so long. FB_CLOSED: it is not running. */
enum fb_error cloud_peer_log(struct cloud_peer *cloud, enum log_level level, uint32_t time_ms,
                             struct fb_cause *cause) FB_MUST_USE;
/* Hand out again what was sent already and holds readings from from_ms to to_ms (UTC), behind everything else.
 * FB_AGAIN: such a walk is under way. */
enum fb_error cloud_peer_resend(struct cloud_peer *cloud, int64_t from_ms, int64_t to_ms,
                                struct fb_cause *cause) FB_MUST_USE;
/* What attempted() has told so far is on disk: forebay-cloud may forget it. */
void cloud_peer_attempts_kept(struct cloud_peer *cloud);

/* What may go over it, and when. Copied. */
void cloud_peer_set_delivery(struct cloud_peer *cloud, const struct delivery_settings *settings);

/* Release parked batches in [first, last], and hand them out. (fsync) ret_released: how many there were. */
enum fb_error cloud_peer_release(struct cloud_peer *cloud, uint64_t first, uint64_t last, size_t *ret_released,
                                 struct fb_cause *cause) FB_MUST_USE;

/* Something was committed, events maybe: hand those out. */
void cloud_peer_committed(struct cloud_peer *cloud);
/* Mark those batches as sent that were accepted and wait for it. (fsync) */
void cloud_peer_mark_accepted(struct cloud_peer *cloud);
/* New batches were sealed: hand them out. */
void cloud_peer_sealed(struct cloud_peer *cloud);
/* Batches were salvaged from a store set aside: hand them out behind the backlog. */
void cloud_peer_salvaged(struct cloud_peer *cloud);

const struct peer *cloud_peer_peer(const struct cloud_peer *cloud);
/* The "link" object of docs/api.md. New reference. */
json_t *cloud_peer_link_to_json(const struct cloud_peer *cloud);

#endif
