/* window.h - what is in flight between core and the peer, and how much more may be asked for. Pure: time is an
 * argument. Used by forebay-cloud's link.
 *
 *     core --PARCEL--> waiting --room--> sent --outcome--> decided --SETTLED--> forgotten
 *
 * Core sends as long as a grant lasts, and a new grant replaces the old one while parcels may still be on their way.
 * So a new one is given only when the old one is used up: then both sides agree on what is in flight. It is given while
 * some parcels still wait here, so that the peer gets those while core reads the next ones.
 *
 * What the peer has accepted takes nothing of the window, only a place in the table, until core has written it down. */
#ifndef FB_CLOUD_WINDOW_H
#define FB_CLOUD_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/common/protocol.h"

/* Bytes of one grant and of what waits already, at most: what arrives while the peer has no room waits in memory. It
 * bridges the fsyncs in which core hands out nothing. */
#define WINDOW_GRANT_BYTES_MAX (1024u * 1024)
/* Core hands a batch out together with its catalogue, so a grant below two would get nothing. */
#define WINDOW_GRANT_MESSAGES_MIN 2
/* Decided parcels that may wait for core's word beside the window. */
#define WINDOW_DECIDED_MAX 1024

enum window_state { WINDOW_FREE = 0, WINDOW_WAITING, WINDOW_SENT, WINDOW_DECIDED };

struct window_parcel {
    enum window_state state;
    enum parcel_kind kind;
    bool historical;
    uint8_t store[PROTOCOL_STORE_BYTES];
    uint64_t number;
    uint64_t delivery;    /* grows with each parcel; never used twice */
    uint64_t order;       /* of handing them to the peer, from 1; 0: still waiting */
    int64_t since_ms;     /* monotonic: when it came */
    int64_t overtaken_ms; /* monotonic: when the peer first answered one that was sent later; 0: not yet */
    size_t length;
    uint8_t *bytes;              /* while waiting: ours, malloc; else NULL */
    uint32_t messages, accepted; /* of a parcel that goes as several messages: handed to the peer, and accepted */
};

struct window {
    uint32_t messages_most;
    uint32_t bytes_most;
    struct window_parcel *parcels; /* capacity of them, malloc */
    uint32_t capacity;
    uint32_t end;                             /* all places from here on are free */
    uint32_t count;                           /* not free */
    uint32_t open;                            /* of those, not decided */
    size_t bytes;                             /* of the open ones */
    size_t waiting_bytes;                     /* of the waiting ones */
    uint32_t granted_messages, granted_bytes; /* what core may still send */
    uint64_t taken, sent;                     /* ever */
};

enum fb_error window_init(struct window *window, uint32_t messages_most, uint32_t bytes_most,
                          struct fb_cause *cause) FB_MUST_USE;
void window_done(struct window *window);

/* Note a parcel that core has sent, as waiting (without bytes). ret_parcel: borrowed until window_forget().
 * FB_AGAIN: it is in flight already, and its one outcome will do for both. FB_FULL: core does not keep to its grant. */
enum fb_error window_take(struct window *window, enum parcel_kind kind, uint64_t number, size_t length, int64_t now_ms,
                          struct window_parcel **ret_parcel) FB_MUST_USE;
/* The one that goes next: historical ones last, of the others the one that has waited longest; NULL when none waits. */
struct window_parcel *window_first_waiting(const struct window *window);
struct window_parcel *window_of_delivery(const struct window *window, uint64_t delivery); /* or NULL */
struct window_parcel *window_of_number(const struct window *window, enum parcel_kind kind,
                                       uint64_t number); /* or NULL */
/* It has been handed to the peer; its bytes are freed. */
void window_sent(struct window *window, struct window_parcel *parcel);
/* The peer has accepted it. */
void window_decided(struct window *window, struct window_parcel *parcel);
void window_forget(struct window *window, struct window_parcel *parcel);
/* Everything, and the grant. */
void window_forget_all(struct window *window);

/* True when core should be told a new grant now, which then counts as given. Never while much waits. */
bool window_grant(struct window *window, uint32_t *ret_messages, uint32_t *ret_bytes);
/* The peer has answered this delivery: what was sent before it is overtaken, and a slow line no excuse any more. */
void window_answered(struct window *window, uint64_t delivery, int64_t now_ms);
/* When the first answer is overdue, monotonic; 0 when nothing waits for one. answered_ms: the last answer, or other
 * sign of life. It gives all that wait their patience anew, but for the overtaken ones. */
int64_t window_due_ms(const struct window *window, int64_t answered_ms, uint32_t patience_ms);
/* When the oldest parcel without an outcome came; 0 when there is none. */
int64_t window_oldest_ms(const struct window *window);

#endif
