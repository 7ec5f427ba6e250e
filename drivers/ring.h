/* ring.h - the readings that core has not committed yet, as the finished messages READINGS and READINGS_LOST. Bounded:
 * when it is full the oldest are dropped, and one READINGS_LOST takes their place. Used by forebay-field's parent.
 *
 * Messages get their sequence when they are first sent. After RESUME those behind it are numbered anew from there on,
 * which is safe because core has none of them; so core never sees a gap, even where messages have been dropped. */
#ifndef FB_DRIVERS_RING_H
#define FB_DRIVERS_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/common/message.h"
#include "gateway/common/reading.h"

#define RING_CHUNK_BYTES (64u * 1024)
#define RING_CHUNKS_MAX 128 /* 8 MiB: five minutes of 1000 readings a second */
/* Units in one message; small enough for a chunk to hold several. */
#define RING_READINGS_MAX 1024

struct ring_chunk;
struct ring_entry;

struct ring_loss {
    uint64_t readings; /* 0: nothing was dropped; never fewer than were, some twice when core leaves again too soon */
    int64_t from_ms, to_ms;
    uint64_t sequence; /* given when it was sent; 0: not yet */
};

struct ring {
    struct ring_chunk *first, *last; /* oldest and newest; mapped one by one as they are needed */
    struct ring_chunk *spare;        /* one that became empty, kept for the next */
    size_t chunk_count, chunks_most;
    struct ring_entry *open;         /* the newest message while it takes readings, in last; else NULL */
    struct ring_chunk *cursor_chunk; /* where the first message that is not sent stands; NULL: in no chunk yet */
    size_t cursor_offset;
    uint64_t next_sequence;
    struct ring_loss loss; /* older than everything in the chunks */
    uint8_t loss_packet[MESSAGE_HEADER_BYTES + 4 * sizeof(uint64_t)];
};

/* chunks_most: 2..RING_CHUNKS_MAX. */
void ring_init(struct ring *ring, size_t chunks_most);
void ring_done(struct ring *ring);

/* Add readings, at most RING_READINGS_MAX units: to the open message where they fit, else to a new one. Without memory
 * they are counted as lost. */
void ring_add(struct ring *ring, const struct reading *readings, size_t units);
/* Readings that a worker could not deliver: a message of its own. */
void ring_add_loss(struct ring *ring, uint64_t readings, int64_t from_ms, int64_t to_ms);

/* The open message takes no more readings: it may be sent. */
void ring_seal(struct ring *ring);
/* Readings wait in the open message. */
bool ring_is_open(const struct ring *ring);

/* The next sealed message to send, which counts as sent with this call; false when there is none. The writer is ready
 * for message_finish() and is borrowed until the next call. */
bool ring_next(struct ring *ring, struct message_writer *ret_writer);

/* Core goes on from here: everything behind the sequence is to be sent (again). */
void ring_resume(struct ring *ring, uint64_t sequence);
/* Core has everything up to the sequence on disk: forget it. False when nothing with that sequence was sent. */
bool ring_commit(struct ring *ring, uint64_t sequence);

/* Bytes in mapped chunks. */
size_t ring_bytes(const struct ring *ring);

#endif
