/* protocol.h - who says what to whom between Forebay's programs. Core listens; the socket a peer opened is its role.
 * Every exchange starts anew when a peer connects, so a peer that is dropped (bad message, stuck reader) loses nothing:
 * it connects again and both sides go on from what core has committed.
 *
 * Payloads are given behind each type; JSON payloads fill the rest of the message and are one object. */
#ifndef FB_COMMON_PROTOCOL_H
#define FB_COMMON_PROTOCOL_H

#include <stdint.h>

/* File names of core's sockets in the run directory. */
#define PROTOCOL_FIELD_SOCKET "field.sock"
#define PROTOCOL_CLOUD_SOCKET "cloud.sock"
#define PROTOCOL_CONTROL_SOCKET "control.sock"
#define PROTOCOL_WEB_SOCKET "web.sock" /* SCGI, a stream socket: nginx speaks to it */

/* forebay-field <-> forebay-core.
 *
 * field                                    core
 *   FIELD_HELLO epoch ----------------------->
 *   <----------------------- FIELD_RESUME sequence      the last one committed of that epoch, 0 for none
 *   <------------------------ PLANT_BEGIN, PLANT_BUS ..., PLANT_INSTRUMENT ..., PLANT_END   and again on each change
 *   READINGS sequence, readings ------------->          from the sequence after that; kept by field until committed
 *   <---------------------------- COMMITTED sequence    everything up to it is on disk
 *   <------------------------------- ASK id, request    a person wants to see something of a bus; may come any time
 *   TELL id, answer ------------------------->          one for each ASK, soon or late, in any order
 */
enum protocol_field {
    PROTOCOL_FIELD_HELLO = 1, /* u64 epoch: random, made when forebay-field starts */
    PROTOCOL_READINGS,        /* u64 sequence (1, 2, 3 ... within the epoch), then 1..PROTOCOL_READINGS_MAX
                                 struct reading, see reading.h */
    PROTOCOL_READINGS_LOST,   /* u64 sequence (takes its place in the same count), u64 from_ms, u64 to_ms, u64 readings:
                                 dropped by field because core was away for too long */
    PROTOCOL_BUS_STATUS,      /* JSON, see docs/api.md "bus"; sent when it changes, at most once a second a bus */
    PROTOCOL_TELL,            /* u64 id, then JSON: the answer as a control call has it */

    PROTOCOL_FIELD_RESUME = 32, /* u64 sequence */
    PROTOCOL_PLANT_BEGIN,       /* empty: a new plant follows; nothing changes before PLANT_END */
    PROTOCOL_PLANT_BUS,         /* JSON of one bus, see plant.h */
    PROTOCOL_PLANT_INSTRUMENT,  /* JSON of one instrument and some of its tags; may come again with more tags */
    PROTOCOL_PLANT_END,         /* empty: apply */
    PROTOCOL_COMMITTED,         /* u64 sequence */
    PROTOCOL_ASK,               /* u64 id, then JSON: {"call": "trace", "probe" or "write", "bus": NAME, ...}, see
                                   drivers/ask.h */
};

#define PROTOCOL_READINGS_MAX 4096

/* forebay-cloud <-> forebay-core.
 *
 * cloud                                    core
 *   CLOUD_HELLO ----------------------------->
 *   <------------------------------ LINK_CONFIG          and again on each change
 *   LINK_UP bytes ---------------------------->          a new session with the cloud: catalogues must go again
 *   NEXT messages, bytes --------------------->          the window that is free now; replaces the one told before
 *   <---- PARCEL kind, flags, number, bytes              as long as there is something to send and the window lasts
 *   OUTCOME kind, number, outcome, reason ---->
 *   <------------------- SETTLED kind, numbers           their outcomes are on disk: forget them
 *   LINK_STATUS, LINK_CERTIFICATES ----------->
 *   ATTEMPT number, attempt ------------------>          kept by cloud until core has it on disk; also for a new core
 *   <---------------------- ATTEMPT_KEPT number          everything up to it is on disk
 *   <-------------------------- COMMANDS_CONFIG          behind each LINK_CONFIG
 *   COMMAND id, message id, bytes ------------>          as it came from the cloud, unread; again when core restarts
 *   <--------------- REPLY id, outcome, reason, reply    what is to be told of it; one for each COMMAND
 */
enum protocol_cloud {
    PROTOCOL_CLOUD_HELLO = 64,  /* empty */
    PROTOCOL_LINK_UP,           /* u32 the largest parcel that the peer takes, in bytes; 0: it named no limit */
    PROTOCOL_LINK_DOWN,         /* empty: what was handed out and has no outcome will be handed out again */
    PROTOCOL_NEXT,              /* u32 messages, u32 bytes */
    PROTOCOL_OUTCOME,           /* u8 enum parcel_kind, u64 number, u8 enum parcel_outcome, rest: reason, UTF-8 */
    PROTOCOL_LINK_STATUS,       /* JSON, see docs/api.md "link"; on change, at most every 200 ms */
    PROTOCOL_LINK_CERTIFICATES, /* JSON {"certificates": [...]}, docs/api.md "certificates" without what core adds; at
                                   most so many as CERTIFICATES_MAX */
    PROTOCOL_COMMAND, /* u64 id (forebay-cloud's own), u32 length of the message id, message id, rest: bytes */
    PROTOCOL_ATTEMPT, /* u64 number (1, 2, 3 ... since cloud started), then JSON, see docs/link.md "attempts";
                         at most PROTOCOL_ATTEMPT_BYTES_MAX bytes of it */

    PROTOCOL_LINK_CONFIG = 96, /* JSON, see link_settings.h */
    PROTOCOL_PARCEL,  /* u8 enum parcel_kind, u8 enum parcel_flag, u64 number, PROTOCOL_STORE_BYTES: the store it is of,
                     rest: the bytes to forward */
    PROTOCOL_SETTLED, /* u8 enum parcel_kind, u64 number, one at least */
    PROTOCOL_ATTEMPT_KEPT,    /* u64 number */
    PROTOCOL_COMMANDS_CONFIG, /* JSON {"address", "replies", "gateway"}; {}: no commands are wanted */
    PROTOCOL_REPLY, /* u64 id, u8 PARCEL_ACCEPTED or PARCEL_REJECTED, u32 length of the reason, reason, rest: the reply
                       (JSON), empty: none is to be sent */
    PROTOCOL_CLOUD_LOG, /* u8 enum log_level, u32 ms: log up to this level for so long, see log_set_level() */
};

#define PROTOCOL_STORE_BYTES 16
#define PROTOCOL_ATTEMPT_BYTES_MAX 3700

enum parcel_kind {
    PARCEL_BATCH = 1,     /* number: the batch's */
    PARCEL_CATALOGUE = 2, /* number: the catalogue's revision */
    PARCEL_EVENT = 3,     /* number: the event's; a JSON object, docs/link.md */
};

enum parcel_flag {
    PARCEL_HISTORICAL = 1, /* sealed before this session came up: backlog, not live */
};

enum parcel_outcome {
    PARCEL_ACCEPTED = 1,
    PARCEL_REJECTED = 2, /* the peer will never take it as it is */
    PARCEL_RELEASED = 3, /* the peer did not take it now */
    PARCEL_MODIFIED = 4, /* the same, and it may have been tried */
};

/* forebay (the command) <-> forebay-core: one JSON object {"call": "status"} a request, one JSON object an answer,
 * {"ok": true, "result": ...} or {"ok": false, "error": "...", "cause": "..."}; an answer larger than one message is
 * cut anywhere into pieces flagged MESSAGE_MORE but the last. Calls are listed in docs/api.md. */
enum protocol_control {
    PROTOCOL_CONTROL_REQUEST = 128,
    PROTOCOL_CONTROL_ANSWER = 160,
};

#endif
