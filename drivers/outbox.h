/* outbox.h - what a bus worker tells its parent: the messages READINGS, READINGS_LOST (both with sequence 0: the parent
 * numbers them) BUS_STATUS and TELL of protocol.h. Never blocks: readings that the socket does not take, as when a
 * loaded machine gives the parent no turn in the middle of a burst, are kept for it; beyond OUTBOX_KEPT_MAX they are
 * counted, and told as soon as it takes something again. */
#ifndef FB_DRIVERS_OUTBOX_H
#define FB_DRIVERS_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/message.h"
#include "gateway/common/reading.h"

/* Units in one message; more are cut into several, between readings. */
#define OUTBOX_READINGS_MAX 1024

/* Units kept: 384 KB, as long as they are. */
#define OUTBOX_KEPT_MAX 16384

struct outbox {
    int descriptor;       /* SEQPACKET, borrowed */
    struct reading *kept; /* OUTBOX_KEPT_MAX of room, NULL while nothing waits; kept_from to kept_to of them do */
    size_t kept_from, kept_to;
    uint64_t lost; /* readings that still have to be told as lost */
    int64_t lost_from_ms, lost_to_ms;
    uint8_t packet[MESSAGE_BYTES_MAX];
};

void outbox_init(struct outbox *outbox, int descriptor);
void outbox_send_readings(struct outbox *outbox, const struct reading *readings, size_t units);
/* Whether readings are kept: then send them, as far as the socket takes them, once it can be written to. */
bool outbox_waits(const struct outbox *outbox);
void outbox_flush(struct outbox *outbox);
/* text: JSON, at most MESSAGE_PAYLOAD_MAX bytes. When the socket does not take it, the next one replaces it. */
void outbox_send_status(struct outbox *outbox, const char *text);
/* The answer to an ASK, text as above. When the socket does not take it, who asked waits in vain. */
void outbox_send_tell(struct outbox *outbox, uint64_t id, const char *text);

#endif
