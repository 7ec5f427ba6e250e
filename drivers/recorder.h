/* recorder.h - the last raw frames of one bus: a ring in memory that its worker writes and the parent reads, so that
 * tracing costs the worker two copies and survives its death. Never blocks, allocates nothing but the mapping.
 *
 * Positions count the bytes ever written, so that a reader can go on where it stopped and knows what it missed. */
#ifndef FB_DRIVERS_RECORDER_H
#define FB_DRIVERS_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"

/* About 170 exchanges of twenty registers on Modbus TCP; every bus has one, so it is kept small. */
#define RECORDER_RING_BYTES (16 * 1024)
/* Longer frames are cut; none of our protocols has them. */
#define RECORDER_FRAME_BYTES_MAX 512

enum recorder_direction { RECORDER_OUT = 0, RECORDER_IN = 1 };

struct recorder;
struct recorder_cut;

/* A ring that a child made by fork() shares, but only if recorder_share() was called before.
 * ret_recorder: yours, end it with recorder_free(). */
enum fb_error recorder_new(struct recorder **ret_recorder) FB_MUST_USE;
void recorder_free(struct recorder *recorder); /* NULL is fine */
/* Whether the next fork() hands the ring to the child: a worker gets its own and no other. */
void recorder_share(struct recorder *recorder, bool shared);

/* The ring this process writes to from now on; NULL for none. Borrowed. */
void recorder_use(struct recorder *recorder);
/* Add a frame as it went over the wire, stamped now. length 0 is passed over. */
void recorder_note(enum recorder_direction direction, const void *bytes, size_t length);
/* The position now and what was written after one, of the ring in use; nothing when there is none. */
uint64_t recorder_position(void);
void recorder_read_used(uint64_t after, struct recorder_cut *ret_cut);
/* The writer's sign of life, beside its frames: that it has a turn, and how many it had, as far as 32 bits go. */
void recorder_turn(void);
uint32_t recorder_turns(const struct recorder *recorder);
/* The pure part. time_us: UTC, microseconds since 1970. */
void recorder_add(struct recorder *recorder, int64_t time_us, enum recorder_direction direction, const void *bytes,
                  size_t length);

/* What was read at once. The writer may be hostile: recorder_next() checks all that it says. */
struct recorder_cut {
    uint64_t next; /* position to read after the next time */
    uint64_t lost; /* bytes that were overwritten before they were read */
    size_t used, at;
    uint8_t bytes[RECORDER_RING_BYTES];
};

struct recorder_frame {
    int64_t time_us; /* UTC, microseconds since 1970 */
    enum recorder_direction direction;
    const uint8_t *bytes; /* borrowed from the cut */
    size_t length;        /* 1..RECORDER_FRAME_BYTES_MAX */
};

/* Copy what was written after the position; 0 for all there is. */
void recorder_read(const struct recorder *recorder, uint64_t after, struct recorder_cut *ret_cut);
/* False at the end. */
bool recorder_next(struct recorder_cut *cut, struct recorder_frame *ret_frame);

#endif
