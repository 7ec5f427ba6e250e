// links: drivers/inbox.c gateway/common/message.c gateway/common/reading.c gateway/common/quality.c gateway/common/error.c gateway/common/file.c
/* What a worker may say to its parent: one packet. Whatever is taken is fit to be sent on to core. */
#include <assert.h>

#include "drivers/inbox.h"
#include "gateway/common/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct inbox_message message;
    struct message_reader reader;
    if (message_open(data, size, &reader) != FB_OK || inbox_take(&reader, &message) != FB_OK)
        return 0;
    if (message.type != PROTOCOL_READINGS)
        return 0;
    assert(message.units > 0 && message.units <= OUTBOX_READINGS_MAX);
    assert(readings_valid(message.readings, message.units));
    return 0;
}
