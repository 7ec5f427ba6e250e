// links: tests/fuzz/core_world.c gateway/core/[!m]*.c gateway/config/*.c store/*.c drivers/plan.c gateway/common/[!l]*.c gateway/common/link_settings.c gateway/common/pin.c gateway/amqp/validity.c gateway/amqp/certificate.c
/* What a verified command may ask of core: its kind, then its arguments as JSON. It gives a result that fits a reply,
 * or a reason. */
#include <assert.h>

#include "core_world.h"
#include "gateway/core/command_calls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    json_t *arguments = json_loadb((const char *)data + 1, size - 1, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(arguments)) {
        const struct command_call call = {core_world(), "cloud:fuzz", arguments};
        struct fb_cause cause = {""};
        json_t *result = NULL;
        const enum fb_error error = command_call((enum command_kind)(data[0] % COMMAND_KINDS), &call, &result, &cause);
        assert((error == FB_OK) == (result != NULL));
        assert(error == FB_OK || cause.text[0] != '\0');
        assert(result == NULL || json_dumpb(result, NULL, 0, JSON_COMPACT) < COMMAND_REPLY_BYTES_MAX);
        json_decref(result);
        core_world_settle();
    }
    json_decref(arguments);
    return 0;
}
