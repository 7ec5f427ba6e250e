// links: drivers/ask.c drivers/json_memory.c drivers/recorder.c gateway/common/plant.c gateway/common/plant_lines.c gateway/common/plant_write.c gateway/common/json.c gateway/common/hex.c gateway/common/error.c gateway/common/quality.c gateway/common/file.c
/* Any bytes as a question about a bus, and as the ring of a worker that has gone mad. */
#include <stdlib.h>
#include <string.h>

#include "drivers/ask.h"

static void read_ring(const uint8_t *data, size_t size) {
    static struct recorder_cut cut;
    struct recorder_frame frame;
    size_t total = 0;
    cut.used = size < sizeof cut.bytes ? size : sizeof cut.bytes;
    cut.at = 0;
    memcpy(cut.bytes, data, cut.used);
    while (recorder_next(&cut, &frame)) {
        total += frame.length;
        if (frame.length == 0 || frame.bytes + frame.length > cut.bytes + cut.used)
            abort();
    }
    if (total > cut.used)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ask ask;
    struct fb_cause cause;
    if (ask_read((const char *)data, size, &ask, &cause) == FB_OK) {
        if (memchr(ask.bus, '\0', sizeof ask.bus) == NULL || ask.bus[0] == '\0')
            abort();
        if (ask.call == ASK_PROBE && (ask.count == 0 || ask.count > PLANT_REGISTERS_MOST))
            abort();
        if (ask.call == ASK_WRITE && (ask.instrument[0] == '\0' || ask.name[0] == '\0' || ask.expires_ms < 0))
            abort();
    }
    read_ring(data, size);
    return 0;
}
