// links: gateway/common/error.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "gateway/common/error.h"

static void every_error_has_a_word_of_its_own(void **state) {
    (void)state;
    for (int a = FB_OK; a <= FB_MEMORY; a++) {
        assert_non_null(fb_error_word((enum fb_error)a));
        for (int b = FB_OK; b < a; b++)
            assert_string_not_equal(fb_error_word((enum fb_error)a), fb_error_word((enum fb_error)b));
    }
    assert_string_equal(fb_error_word((enum fb_error)99), "unknown");
    assert_string_equal(fb_error_word((enum fb_error) - 1), "unknown");
}

static void a_failure_is_its_error_and_its_text(void **state) {
    (void)state;
    struct fb_cause cause;
    assert_int_equal(fb_fail(&cause, FB_TIMEOUT, "no reply in %d ms", 500), FB_TIMEOUT);
    assert_string_equal(cause.text, "no reply in 500 ms");
    assert_int_equal(fb_fail_errno(&cause, FB_IO, ENOENT, "%s", "file"), FB_IO);
    assert_string_equal(cause.text, "file: No such file or directory");
}

static void context_comes_in_front_level_by_level(void **state) {
    (void)state;
    struct fb_cause cause;
    enum fb_error error = fb_fail(&cause, FB_TIMEOUT, "no reply");
    error = fb_context(&cause, error, "unit %d", 7);
    error = fb_context(&cause, error, "bus %s", "line-1");
    assert_int_equal(error, FB_TIMEOUT);
    assert_string_equal(cause.text, "bus line-1: unit 7: no reply");
}

static void without_a_cause_only_the_error_is_given(void **state) {
    (void)state;
    assert_int_equal(fb_fail(NULL, FB_LIMIT, "x"), FB_LIMIT);
    assert_int_equal(fb_fail_errno(NULL, FB_IO, EIO, "x"), FB_IO);
    assert_int_equal(fb_context(NULL, FB_FULL, "x"), FB_FULL);
}

static void a_text_that_just_fits_is_whole(void **state) {
    (void)state;
    char exact[FB_CAUSE_MAX];
    memset(exact, 'x', sizeof exact - 1);
    exact[sizeof exact - 1] = '\0';
    struct fb_cause cause;
    (void)fb_fail(&cause, FB_LIMIT, "%s", exact);
    assert_string_equal(cause.text, exact);
}

static void a_text_too_long_ends_with_dots(void **state) {
    (void)state;
    char far[2 * FB_CAUSE_MAX];
    memset(far, 'x', sizeof far - 1);
    far[sizeof far - 1] = '\0';
    struct fb_cause cause;
    (void)fb_fail(&cause, FB_LIMIT, "%s", far);
    assert_int_equal(strlen(cause.text), FB_CAUSE_MAX - 1);
    assert_string_equal(cause.text + FB_CAUSE_MAX - 4, "...");
    (void)fb_context(&cause, FB_LIMIT, "bus");
    assert_int_equal(strncmp(cause.text, "bus: xxx", 8), 0);
    assert_string_equal(cause.text + FB_CAUSE_MAX - 4, "...");
    (void)fb_fail_errno(&cause, FB_IO, EIO, "%s", far);
    assert_string_equal(cause.text + FB_CAUSE_MAX - 4, "...");
}

/* JSON takes no half characters, and a status that cannot be built shows nothing at all. */
static void a_text_is_never_cut_inside_a_character(void **state) {
    (void)state;
    for (size_t before = 0; before < 4; before++) {
        char far[2 * FB_CAUSE_MAX];
        size_t used = before;
        memset(far, 'x', before);
        for (; used + 4 < sizeof far; used += 3)
            memcpy(far + used, "\xe2\x82\xac", 3);
        far[used] = '\0';
        struct fb_cause cause;
        (void)fb_fail(&cause, FB_LIMIT, "%s", far);
        const size_t length = strlen(cause.text);
        assert_string_equal(cause.text + length - 3, "...");
        assert_int_equal((length - 3 - before) % 3, 0);
        assert_true(length > FB_CAUSE_MAX - 8);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_a_word_of_its_own),
        cmocka_unit_test(a_failure_is_its_error_and_its_text),
        cmocka_unit_test(context_comes_in_front_level_by_level),
        cmocka_unit_test(without_a_cause_only_the_error_is_given),
        cmocka_unit_test(a_text_that_just_fits_is_whole),
        cmocka_unit_test(a_text_too_long_ends_with_dots),
        cmocka_unit_test(a_text_is_never_cut_inside_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
