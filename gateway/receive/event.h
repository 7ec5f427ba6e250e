/* event.h - an event of a gateway as it travels (docs/link.md): a JSON object, checked and made one line. Pure. Used by
 * `forebay receive`. */
#ifndef FB_RECEIVE_EVENT_H
#define FB_RECEIVE_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "store/batch.h"

#define EVENT_BYTES_MAX 8192 /* of a message */

struct event {
    char gateway[BATCH_GATEWAY_MAX];
    uint8_t store_id[BATCH_STORE_ID_BYTES];
    uint64_t number; /* 1 and up, below LEDGER_NUMBER_MAX */
    char *line;      /* the object in compact form, ends with a line feed; malloc */
    size_t length;   /* of line, at most 6 x EVENT_BYTES_MAX */
};

/* FB_INVALID: no such object; the cause says what is wrong. FB_MEMORY. ret_event: yours, event_done(). */
enum fb_error event_read(const uint8_t *body, size_t length, struct event *ret_event,
                         struct fb_cause *cause) FB_MUST_USE;
void event_done(struct event *event);

#endif
