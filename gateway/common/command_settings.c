#include "gateway/common/command_settings.h"

#include <string.h>

const char *const command_words[] = {
    [COMMAND_STATUS] = "status",     [COMMAND_CATALOGUE] = "catalogue", [COMMAND_READ_NOW] = "read-now",
    [COMMAND_BACKFILL] = "backfill", [COMMAND_LOG_LEVEL] = "log-level", [COMMAND_CONFIGURATION] = "configuration",
    [COMMAND_KINDS] = NULL,
};

bool command_settings_equal(const struct command_settings *a, const struct command_settings *b) {
    bool equal = strcmp(a->address, b->address) == 0 && strcmp(a->replies, b->replies) == 0 &&
                 a->key_count == b->key_count && a->allowed == b->allowed;
    for (size_t i = 0; equal && i < a->key_count; i++)
        equal = strcmp(a->keys[i].name, b->keys[i].name) == 0 && strcmp(a->keys[i].file, b->keys[i].file) == 0;
    return equal;
}
