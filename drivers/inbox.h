/* inbox.h - what forebay-field's parent hears from a worker: the other end of outbox.h. A worker parses what comes from
 * outside, so nothing it says is taken on trust. Memory only. */
#ifndef FB_DRIVERS_INBOX_H
#define FB_DRIVERS_INBOX_H

#include <stdint.h>

#include "drivers/outbox.h"
#include "gateway/common/error.h"
#include "gateway/common/message.h"
#include "gateway/common/reading.h"

struct inbox_message {
    uint8_t type;                                 /* PROTOCOL_READINGS, READINGS_LOST, BUS_STATUS, TELL */
    struct reading readings[OUTBOX_READINGS_MAX]; /* of READINGS: so many units, 1 or more, all valid */
    size_t units;
    uint64_t lost; /* of READINGS_LOST, 1 or more */
    int64_t lost_from_ms, lost_to_ms;
    uint64_t id;        /* of TELL */
    const char *status; /* of BUS_STATUS and TELL: JSON text without a NUL, borrowed from the reader */
    size_t status_length;
};

/* FB_INVALID: the worker said what it must not; ret_message is then undefined. */
enum fb_error inbox_take(struct message_reader *reader, struct inbox_message *ret_message) FB_MUST_USE;

#endif
