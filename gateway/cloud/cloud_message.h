/* cloud_message.h - what core says to forebay-cloud, checked and taken apart (see protocol.h). Pure. Used by
 * forebay-cloud and its tests. */
#ifndef FB_CLOUD_CLOUD_MESSAGE_H
#define FB_CLOUD_CLOUD_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/common/link_settings.h"
#include "gateway/common/message.h"
#include "gateway/common/protocol.h"

struct cloud_message {
    enum protocol_cloud type; /* LINK_CONFIG, PARCEL, SETTLED ...; the members behind it belong to these */

    bool has_link; /* LINK_CONFIG: false for an empty object, which means that no link is wanted */
    struct link_settings link;

    enum parcel_kind kind; /* PARCEL and SETTLED */
    uint64_t number;       /* PARCEL, ATTEMPT_KEPT; of REPLY: the command's id */
    bool historical;       /* PARCEL */
    const uint8_t *store;  /* PARCEL: PROTOCOL_STORE_BYTES, borrowed from the packet */
    const uint8_t *bytes;  /* PARCEL, REPLY: borrowed from the packet; SETTLED: see cloud_message_number() */
    size_t length;
    size_t count; /* SETTLED: numbers in it */

    bool accepted;      /* REPLY */
    const char *reason; /* REPLY: reason_length bytes, borrowed from the packet */
    size_t reason_length;
    char address[LINK_TEXT_MAX], replies[LINK_TEXT_MAX], gateway[64]; /* COMMANDS_CONFIG; address "": none wanted */
    uint8_t level;                                                    /* CLOUD_LOG: enum log_level */
    uint32_t time_ms;                                                 /* CLOUD_LOG */
};

/* Read a message to its end. FB_INVALID: not one that core sends; ret_message is then without meaning. */
enum fb_error cloud_message_read(struct message_reader *reader, struct cloud_message *ret_message,
                                 struct fb_cause *cause) FB_MUST_USE;
/* SETTLED: the number at this place, below count. */
uint64_t cloud_message_number(const struct cloud_message *message, size_t at);

#endif
