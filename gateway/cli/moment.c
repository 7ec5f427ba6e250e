#include "gateway/cli/moment.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/common/reading.h"

/* A number and one of these. */
static const struct {
    char letter;
    int64_t ms;
} units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};

static bool parse_ago(const char *text, int64_t now_ms, int64_t *ret_ms) {
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return false;
    const long count = strtol(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (end[0] == units[i].letter && end[1] == '\0' && count <= now_ms / units[i].ms) {
            *ret_ms = now_ms - count * units[i].ms;
            return true;
        }
    return false;
}

static bool parse_date(const char *text, int64_t *ret_ms) {
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct tm utc = {.tm_mday = 1};
        const char *end = strptime(text, forms[i], &utc);
        if (end == NULL || (end[0] != '\0' && strcmp(end, "Z") != 0))
            continue;
        const struct tm written = utc;
        const int64_t ms = (int64_t)timegm(&utc) * 1000;
        /* The 31st of June is no day. */
        if (utc.tm_mday != written.tm_mday || ms < READING_TIME_MIN_MS || ms > READING_TIME_MAX_MS)
            return false;
        *ret_ms = ms;
        return true;
    }
    return false;
}

bool moment_parse(const char *text, int64_t now_ms, int64_t *ret_ms) {
    if (strcmp(text, "now") == 0) {
        *ret_ms = now_ms;
        return true;
    }
    return parse_ago(text, now_ms, ret_ms) || parse_date(text, ret_ms);
}

enum fb_error moment_option(const char *option, const char *text, int64_t now_ms, int64_t *ret_ms,
                            struct fb_cause *cause) {
    if (moment_parse(text, now_ms, ret_ms))
        return FB_OK;
    return fb_fail(cause, FB_INVALID,
                   "%s %s: a time is 2026-11-21, 2026-11-21T10:00 or 2026-11-21T10:00:30 (UTC), now, or so long ago: "
                   "30s, 15m, 24h, 7d",
                   option, text);
}
