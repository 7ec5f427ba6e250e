#include "gateway/common/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

static const char *log_program = "forebay";
static enum log_level log_level = LOG_LEVEL_NOTICE;
static int64_t log_until_ms; /* monotonic */

void log_open(const char *program) {
    log_program = program;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void log_set_level(enum log_level level, uint32_t time_ms) {
    log_level = level;
    log_until_ms = now_ms() + time_ms;
}

static bool is_wanted(enum log_level level) {
    return level <= LOG_LEVEL_NOTICE || (level <= log_level && now_ms() < log_until_ms);
}

static void replace_control_characters(char *text) {
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = ' ';
}

void log_event(enum log_level level, const char *event, const char *format, ...) {
    if (!is_wanted(level))
        return;
    char text[LINE_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    replace_control_characters(text);
    char line[LINE_MAX_BYTES + 128];
    /* journald takes the level from the "<N>" in front of a line on a unit's standard error. */
    static int under_journald = -1;
    if (under_journald < 0)
        under_journald = getenv("JOURNAL_STREAM") != NULL;
    const char *prefix = "";
    char level_prefix[8];
    if (under_journald) {
        snprintf(level_prefix, sizeof level_prefix, "<%d>", (int)level);
        prefix = level_prefix;
    }
    const int length =
        snprintf(line, sizeof line, "%s%s: %s%s%s\n", prefix, log_program, event, text[0] != '\0' ? " " : "", text);
    /* One write, so that lines of several programs do not mix; a full or closed standard error is no reason to stop. */
    if (length > 0 && write(STDERR_FILENO, line, (size_t)length) < 0)
        return;
}
