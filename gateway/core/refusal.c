#include "gateway/core/refusal.h"

const char *refusal_word(enum refusal refusal) {
    static const char *const words[] = {
        [REFUSAL_NONE] = "",
        [REFUSAL_UNKNOWN] = "unknown",
        [REFUSAL_CLOCK] = "clock-not-set",
        [REFUSAL_MALFORMED] = "malformed",
        [REFUSAL_FOREIGN] = "foreign",
        [REFUSAL_EARLY] = "early",
        [REFUSAL_LATE] = "late",
        [REFUSAL_REPLAYED] = "replayed",
        [REFUSAL_NOT_PERMITTED] = "not-permitted",
        [REFUSAL_TOO_MANY] = "too-many",
        [REFUSAL_FAILED] = "failed",
    };
    return words[refusal];
}
