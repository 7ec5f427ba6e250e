// links: gateway/cli/moment.c gateway/common/error.c
/* test_moment.c - times as people write them, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/cli/moment.h"

#define NOW INT64_C(1795293190000) /* 2026-11-21T18:33:10Z */

static const struct {
    const char *text;
    int64_t ms; /* -1: refused */
} cases[] = {
    {"now", NOW},
    {"0s", NOW},
    {"30s", NOW - 30000},
    {"15m", NOW - 15 * 60000},
    {"24h", NOW - INT64_C(86400000)},
    {"7d", NOW - 7 * INT64_C(86400000)},
    {"1970-01-01", 0},
    {"2026-11-21", INT64_C(1795219200000)},
    {"2026-11-21Z", INT64_C(1795219200000)},
    {"2026-11-21T20:33", INT64_C(1795293180000)},
    {"2026-11-21T20:33:10", NOW},
    {"2026-11-21T20:33:10Z", NOW},
    {"2028-02-29", INT64_C(1835395200000)},
    {"", -1},
    {"yesterday", -1},
    {"Now", -1},
    {"now ", -1},
    {"1h30m", -1},
    {"1.5h", -1},
    {"24H", -1},
    {"2026-11-21T10", -1},
    {"24", -1},
    {"24w", -1},
    {"-24h", -1},
    {"24h ", -1},
    {"99999999999999999999d", -1},
    {"2027-02-29", -1},
    {"2026-13-01", -1},
    {"2026-11-21T25:00", -1},
    {"2026-11-21 10:00", -1},
    {"2026-11-21T10:00+01:00", -1},
    {"1969-12-31", -1},
    {"9999-12-31", -1},
};

static void times_are_read_as_written_and_all_else_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ms = -2;
        const int good = moment_parse(cases[i].text, NOW, &ms);
        if (good != (cases[i].ms >= 0) || (good && ms != cases[i].ms))
            fail_msg("\"%s\": %d, %lld", cases[i].text, good, (long long)ms);
    }
}

static void the_error_of_an_option_names_it_and_what_it_takes(void **state) {
    (void)state;
    struct fb_cause cause;
    int64_t ms = -2;
    assert_int_equal(moment_option("--since", "yesterday", NOW, &ms, &cause), FB_INVALID);
    assert_int_equal(ms, -2);
    assert_string_equal(cause.text, "--since yesterday: a time is 2026-11-21, 2026-11-21T10:00 or 2026-11-21T10:00:30 "
                                    "(UTC), now, or so long ago: 30s, 15m, 24h, 7d");
    assert_int_equal(moment_option("--since", "now", NOW, &ms, &cause), FB_OK);
    assert_int_equal(ms, NOW);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read_as_written_and_all_else_is_refused),
        cmocka_unit_test(the_error_of_an_option_names_it_and_what_it_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
