#include "gateway/core/damage.h"

#include <stdlib.h>

#include "gateway/common/log.h"

void damage_check(sd_event *event, enum fb_error error, const struct fb_cause *cause) {
    if (error != FB_CORRUPT)
        return;
    log_event(LOG_LEVEL_ERROR, "store-damaged", "%s; starting again with the file set aside", cause->text);
    sd_event_exit(event, EXIT_FAILURE);
}
