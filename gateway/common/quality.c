#include "gateway/common/quality.h"

#include <stddef.h>

#define FAILURE "failure"
#define FUNCTION_CHECK "function check"
#define OUT_OF_SPECIFICATION "out of specification"

static const struct meaning {
    uint8_t quality;
    const char *reason;
    const char *ne107;
} meanings[] = {
    {QUALITY_GOOD, "", "normal"},
    {QUALITY_STALE, "stale", OUT_OF_SPECIFICATION},
    {QUALITY_BELOW_RANGE, "below range", OUT_OF_SPECIFICATION},
    {QUALITY_ABOVE_RANGE, "above range", OUT_OF_SPECIFICATION},
    {QUALITY_CLOCK_NOT_SET, "clock not set", OUT_OF_SPECIFICATION},
    {QUALITY_MAINTENANCE, "maintenance", FUNCTION_CHECK},
    {QUALITY_TIMEOUT, "timeout", FAILURE},
    {QUALITY_NOT_CONNECTED, "not connected", FAILURE},
    {QUALITY_EXCEPTION, "exception", FAILURE},
    {QUALITY_BAD_REPLY, "bad reply", FAILURE},
    {QUALITY_NOT_A_NUMBER, "not a number", FAILURE},
    {QUALITY_SENTINEL, "no value", FUNCTION_CHECK},
    {QUALITY_INSTRUMENT_FAULT, "instrument fault", FAILURE},
    {QUALITY_STALE_HEARTBEAT, "stale heartbeat", FAILURE},
    {QUALITY_NOT_RUNNING, "not running", FAILURE},
};

static const struct meaning *find(uint8_t quality) {
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (meanings[i].quality == quality)
            return &meanings[i];
    return NULL;
}

enum quality_class quality_class(uint8_t quality) {
    unsigned class = quality >> 6;
    return class > QUALITY_CLASS_BAD ? QUALITY_CLASS_BAD : (enum quality_class) class;
}

bool quality_known(uint8_t quality) {
    return find(quality) != NULL;
}

const char *quality_class_word(uint8_t quality) {
    static const char *const words[] = {"good", "uncertain", "bad"};
    return words[quality_class(quality)];
}

const char *quality_reason(uint8_t quality) {
    const struct meaning *meaning = find(quality);
    return meaning != NULL ? meaning->reason : "unknown reason";
}

const char *quality_ne107(uint8_t quality) {
    const struct meaning *meaning = find(quality);
    return meaning != NULL ? meaning->ne107 : FAILURE;
}
