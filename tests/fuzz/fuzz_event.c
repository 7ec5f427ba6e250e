// links: gateway/receive/event.c gateway/common/hex.c gateway/common/error.c
/* An event as it may arrive: what is taken is one line of JSON that says the same again. */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "gateway/receive/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct event event, again;
    struct fb_cause cause;
    if (event_read(data, size, &event, &cause) != FB_OK)
        return 0;
    assert(event.number > 0 && event.gateway[0] != '\0');
    assert(memchr(event.line, '\n', event.length) == event.line + event.length - 1);
    if (event.length <= EVENT_BYTES_MAX &&
        event_read((const uint8_t *)event.line, event.length, &again, &cause) == FB_OK) {
        assert(again.number == event.number && again.length == event.length);
        event_done(&again);
    }
    event_done(&event);
    return 0;
}
