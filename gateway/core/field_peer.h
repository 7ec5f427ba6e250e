/* field_peer.h - core's side of the exchange with forebay-field: tells it the plant, takes its readings. */
#ifndef FB_CORE_FIELD_PEER_H
#define FB_CORE_FIELD_PEER_H

#include <jansson.h>
#include <systemd/sd-event.h>

#include "gateway/common/error.h"
#include "gateway/common/plant.h"
#include "gateway/core/intake.h"
#include "gateway/core/peers.h"
#include "gateway/core/values.h"

struct field_peer;

/* Listen in the run directory. intake and values are borrowed. ret_field: yours, end it with field_peer_free(). */
enum fb_error field_peer_new(sd_event *event, const char *run, struct intake *intake, struct values *values,
                             struct field_peer **ret_field, struct fb_cause *cause) FB_MUST_USE;
void field_peer_free(struct field_peer *field);

/* The plant to poll, tags numbered; borrowed until the next call. Told at once if forebay-field is there. */
void field_peer_set_plant(struct field_peer *field, const struct plant *plant);

/* What forebay-field answers to field_peer_ask(): text is JSON {"ok": ...}, length bytes, borrowed. */
typedef void (*field_peer_told)(uint64_t id, const char *text, size_t length, void *user);
void field_peer_on_told(struct field_peer *field, field_peer_told told, void *user);
/* Pass a question of a person on (PROTOCOL_ASK). text: JSON, length bytes. The answer may never come.
 * FB_CLOSED: forebay-field is away, nothing was asked. */
enum fb_error field_peer_ask(struct field_peer *field, uint64_t id, const char *text, size_t length,
                             struct fb_cause *cause) FB_MUST_USE;

/* Tell somebody when the program comes and goes, and what it says of a bus. */
struct field_peer_watch {
    void (*program)(const struct peer *peer, const char *reason, void *user);
    void (*bus)(const json_t *bus, void *user);
};
void field_peer_watch(struct field_peer *field, const struct field_peer_watch *watch, void *user);

/* Everything up to this is on disk: forebay-field may forget it. */
void field_peer_committed(struct field_peer *field, struct store_cursor cursor);

const struct peer *field_peer_peer(const struct field_peer *field);
/* What forebay-field said last of the bus (docs/api.md, "bus"); NULL: nothing yet, or it is away. Borrowed. */
json_t *field_peer_bus(const struct field_peer *field, const char *bus);

#endif
