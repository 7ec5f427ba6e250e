/* pace.h - how much backlog may be under way, so that it never keeps live batches waiting: what the path takes is
 * measured from the answers, and backlog fills it no longer than a moment ahead. Pure: bytes and times only.
 *
 * Answers come in bursts: the peer writes to disk in groups, or was busy for a moment. So a batch's answer measures not
 * from when it went out but from an answer at least PACE_SAMPLE_MS before, and no faster than what was answered since
 * had been sent (as BBR does, draft-cardwell-iccrg-bbr-congestion-control, section 4.5.2).
 *
 * A live batch goes in front of all backlog that was not handed out yet, but behind what was. So what was handed out is
 * bounded by rate x (round trip + a quarter of it + PACE_AHEAD_MS): enough to keep the path full, and no more than
 * PACE_AHEAD_MS of waiting on top. On a path of 20 kB/s that is one batch at a time. */
#ifndef FB_CORE_PACE_H
#define FB_CORE_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACE_AHEAD_MS 200
/* Always allowed: one large batch, or some small ones. */
#define PACE_BYTES_LEAST ((size_t)160 * 1024)
/* The best rate of so long counts: what is measured while little is sent says nothing of the path. */
#define PACE_RATE_MS 10000
/* Over so long at least: what a path's buffers take at once says nothing of its rate. */
#define PACE_SAMPLE_MS 500
/* But this much is enough when a session begins, so that a fast path is filled within some round trips. */
#define PACE_BEGIN_MS 20
/* What a message costs beside its body: AMQP, TLS. */
#define PACE_MESSAGE_BYTES 300

struct pace_mark {
    uint64_t answered;   /* bytes that had got an answer in this session */
    int64_t answered_ms; /* when the last of them got it ... */
    int64_t went_ms;     /* ... and when that one had gone out */
};

/* Of something under way: what pace_answer() wants. */
struct pace_flight {
    struct pace_mark since;
    int64_t out_ms;
};

struct pace {
    struct pace_mark now;
    struct pace_mark mark, mark_before; /* as it was at marked_ms, and PACE_SAMPLE_MS or more before that */
    int64_t marked_ms;
    int64_t round_trip_ms;      /* the shortest so far in this session; 0: none yet */
    uint64_t rate, rate_before; /* bytes a second: the best of this and of the last PACE_RATE_MS */
    int64_t rate_since_ms;
    uint64_t limit; /* configured, bytes a second; 0: none */
    int64_t credit; /* bytes that the limit allows now; less than 0 after a batch larger than was left */
    int64_t credited_ms;
};

/* A session begins: the path may be another. The limit goes on where it was. */
void pace_begin(struct pace *pace, int64_t now_ms);
/* limit: bytes a second for backlog, 0 for none. */
void pace_limit(struct pace *pace, uint64_t limit, int64_t now_ms);

/* What may be under way of the backlog, as the path was measured. */
size_t pace_most(const struct pace *pace);
/* May another batch of the backlog go, with bytes of it under way? */
bool pace_open(struct pace *pace, size_t bytes_under_way, int64_t now_ms);
/* When the limit allows the next one, monotonic; 0 when it does now. */
int64_t pace_wake_ms(const struct pace *pace);
/* A batch of the backlog goes. */
void pace_spend(struct pace *pace, size_t bytes);

/* A batch goes out, live or not. */
struct pace_flight pace_out(struct pace *pace, int64_t now_ms);
/* It was answered; bytes: its own. */
void pace_answer(struct pace *pace, const struct pace_flight *flight, size_t bytes, int64_t now_ms);

#endif
