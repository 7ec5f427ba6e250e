/* codec.h - struct amqp_message and its bytes on the wire (AMQP 1.0 part 3). Pure. Used by gateway/amqp only. */
#ifndef FB_AMQP_CODEC_H
#define FB_AMQP_CODEC_H

#include <proton/message.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/amqp/amqp.h"
#include "gateway/common/error.h"

#define CODEC_ID_MAX 256 /* bytes with NUL of a message id */

/* Encode durable, with created_ms (UTC) as creation time. ret_bytes: yours, free(). */
enum fb_error codec_encode(const struct amqp_message *message, int64_t created_ms, char **ret_bytes, size_t *ret_length,
                           struct fb_cause *cause) FB_MUST_USE;

/* A message taken apart; message borrows from the rest. End it with codec_done(). */
struct codec_message {
    pn_message_t *parts;
    char message_id[CODEC_ID_MAX];
    struct amqp_message message; /* absent strings are "", an absent historical is false */
};

/* FB_INVALID: no AMQP message, its id is longer than CODEC_ID_MAX, or its body is not a data section. */
enum fb_error codec_decode(const char *bytes, size_t length, struct codec_message *ret_message,
                           struct fb_cause *cause) FB_MUST_USE;
void codec_done(struct codec_message *message);

#endif
