/* cloud_peer_inside.h - the inside of struct cloud_peer, shared by three files of gateway/core only:
 *
 *     cloud_peer.c      the exchange with forebay-cloud, and what others ask of it
 *     cloud_hand_out.c  events, batches and their catalogues on their way out
 *     cloud_outcomes.c  what became of them, committed before forebay-cloud may forget it */
#ifndef FB_CORE_CLOUD_PEER_INSIDE_H
#define FB_CORE_CLOUD_PEER_INSIDE_H

#include "gateway/core/budget.h"
#include "gateway/core/catalogue_lane.h"
#include "gateway/core/cloud_peer.h"
#include "gateway/core/event_lane.h"
#include "gateway/core/lanes.h"
#include "gateway/core/live_age.h"
#include "gateway/core/pace.h"
#include "gateway/core/resend.h"

struct cloud_peer {
    struct peer peer;
    struct store *store;
    const struct cloud_peer_handlers *handlers;
    void *user;
    sd_event_source *mark_timer, *wake_timer;
    bool has_link, link_up;
    struct link_settings link;
    uint32_t room_messages, room_bytes; /* what forebay-cloud can take now */
    uint32_t parcel_bytes_most;         /* that the peer takes; 0: any */
    struct lanes lanes;
    struct resend resend;
    char *commands; /* what COMMANDS_CONFIG says, JSON; NULL: nothing yet */
    struct event_lane events;
    struct pace pace;
    struct live_age live_age;
    struct budget budget;
    bool budget_told;                       /* that it is spent */
    uint64_t accepted[LANES_IN_FLIGHT_MAX]; /* accepted_count of them, not committed yet */
    size_t accepted_count;
    bool marking_failed;
    struct catalogue_lane catalogues;
    char attempt_run[32];   /* the run of forebay-cloud that the next two numbers are of */
    uint64_t attempt_taken; /* number of the last one told by attempted() ... */
    uint64_t attempt_kept;  /* ... and of the last one that forebay-cloud was told to forget */
    json_t *status;         /* what forebay-cloud said of the link; NULL: nothing yet */
    int64_t since_ms;
    char refusal[CATALOGUE_LANE_REASON_MAX]; /* why the peer last refused a batch or a catalogue */
};

/* Whatever may go out now, and a timer for when more may. */
void cloud_hand_out(struct cloud_peer *cloud);
void cloud_hand_out_event(struct cloud_peer *cloud);
/* When the next one may go that waits now. not_before_ms: monotonic; 0: at once. */
void cloud_hand_out_arm(struct cloud_peer *cloud, int64_t not_before_ms);
/* The peer does not take a catalogue, why: tell people. again: it may later in this session. */
void cloud_hand_out_catalogue_refused(struct cloud_peer *cloud, uint64_t revision, const char *reason, bool again);
/* How far events went is kept with the next commit. */
void cloud_hand_out_keep_events(struct cloud_peer *cloud);
/* A batch is parked, for this reason: tell people. */
void cloud_hand_out_note_parked(struct cloud_peer *cloud, uint64_t number, const char *reason);

/* PROTOCOL_OUTCOME. False: it breaks the rules. */
bool cloud_outcomes_take(struct cloud_peer *cloud, struct message_reader *reader);
/* Commit what was accepted, and let forebay-cloud forget it; tried again later when that fails. (fsync) */
void cloud_outcomes_commit(struct cloud_peer *cloud);

#endif
