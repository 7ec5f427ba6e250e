/* core_peer.h - forebay-field's end of the conversation with core (protocol.h): connects again and again, says hello,
 * resumes, sends what the ring holds, hands on the plant. Part of forebay-field's parent; lives on its sd-event loop.
 */
#ifndef FB_DRIVERS_CORE_PEER_H
#define FB_DRIVERS_CORE_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "drivers/ring.h"
#include "gateway/common/error.h"
#include "gateway/common/plant.h"

/* Between two attempts to connect: a random time in this range. */
#define CORE_PEER_RETRY_MIN_MS 100
#define CORE_PEER_RETRY_MAX_MS 500

struct core_peer;

struct core_peer_handlers {
    /* A new plant: take it and leave it empty, or leave it to be freed. */
    void (*plant)(struct plant *plant, void *user);
    /* A question (ask.h), not looked at yet: core_peer_tell() answers it, now or later. text: length bytes, borrowed.
     */
    void (*ask)(uint64_t id, const char *text, size_t length, void *user);
    /* Core is there and knows nothing of our buses yet. */
    void (*ready)(void *user);
};

/* Start connecting to the field socket in the run directory. ring, handlers and user are borrowed. ret_peer: yours,
 * end it with core_peer_free(). FB_LIMIT: the path is too long. */
enum fb_error core_peer_new(sd_event *event, const char *run, struct ring *ring,
                            const struct core_peer_handlers *handlers, void *user, struct core_peer **ret_peer,
                            struct fb_cause *cause) FB_MUST_USE;
void core_peer_free(struct core_peer *peer); /* NULL is fine */

/* Send what the ring has ready, as far as core takes it now; the rest follows by itself. */
void core_peer_flush(struct core_peer *peer);
/* Nothing that could be sent now is left: all is out, or core is away. */
bool core_peer_flushed(const struct core_peer *peer);

/* The answer to ask(): JSON, length bytes. Dropped when core has left meanwhile. */
void core_peer_tell(struct core_peer *peer, uint64_t id, const char *text, size_t length);

/* text: JSON. Dropped while core is away, or slow: the next one replaces it. */
void core_peer_send_status(struct core_peer *peer, const char *text);

#endif
