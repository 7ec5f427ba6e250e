/* outbox.h - what a bus worker tells its parent: the messages READINGS, READINGS_LOST (both with sequence 0: the parent
 * numbers them) BUS_STATUS and TELL of protocol.h. Never blocks: what the socket does not take is counted, and told as
 * soon as it takes something again. */
#ifndef FB_DRIVERS_OUTBOX_H
#define FB_DRIVERS_OUTBOX_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/common/message.h"
#include "gateway/common/reading.h"

/* Units in one message; more are cut into several, between readings. */
#define OUTBOX_READINGS_MAX 1024

struct outbox {
    int descriptor; /* SEQPACKET, borrowed */
    uint64_t lost;  /* readings that still have to be told as lost */
    int64_t lost_from_ms, lost_to_ms;
    uint8_t packet[MESSAGE_BYTES_MAX];
};

void outbox_init(struct outbox *outbox, int descriptor);
void outbox_send_readings(struct outbox *outbox, const struct reading *readings, size_t units);
/* text: JSON, at most MESSAGE_PAYLOAD_MAX bytes. When the socket does not take it, the next one replaces it. */
void outbox_send_status(struct outbox *outbox, const char *text);
/* The answer to an ASK, text as above. When the socket does not take it, who asked waits in vain. */
void outbox_send_tell(struct outbox *outbox, uint64_t id, const char *text);

#endif
