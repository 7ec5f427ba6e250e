/* log.h - one line an event, to journald when it is our standard error, else to standard error as text.
 * Called by the programs' own files only, once per change of state, never per reading. Blocks for one write. */
#ifndef FB_COMMON_LOG_H
#define FB_COMMON_LOG_H

#include <stdint.h>

#include "gateway/common/error.h"

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_NOTICE = 5, LOG_LEVEL_DEBUG = 7 };

/* program: the name in front of each line; borrowed for good. */
void log_open(const char *program);

/* event: a fixed id such as "bus-down"; format: "key=value ..." or plain words; one line, at most 1 KiB. Control
 * characters are replaced, so that nothing from outside can forge a line. */
void log_event(enum log_level level, const char *event, const char *format, ...) FB_PRINTF(3, 4);

/* For the next time_ms write events up to this level, instead of up to LOG_LEVEL_NOTICE; 0: no longer. */
void log_set_level(enum log_level level, uint32_t time_ms);

#endif
