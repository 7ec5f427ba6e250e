// links: gateway/common/file.c gateway/common/error.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "gateway/common/file.h"

static char folder[] = "/tmp/forebay-file-XXXXXX";
static struct fb_cause cause;

static const char *in_folder(const char *name) {
    static char path[PATH_MAX];
    assert_int_equal(file_join(folder, name, path, sizeof path, &cause), FB_OK);
    return path;
}

static unsigned mode_of(const char *path) {
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 0777;
}

static void what_is_written_is_read(void **state) {
    (void)state;
    const char *path = in_folder("a");
    assert_int_equal(file_write(path, "one\0two", 7, 0600, &cause), FB_OK);
    assert_int_equal(mode_of(path), 0600);
    char *data;
    size_t length;
    assert_int_equal(file_read(path, 7, &data, &length, &cause), FB_OK);
    assert_int_equal(length, 7);
    assert_memory_equal(data, "one\0two", 8);
    free(data);
    assert_int_equal(file_write(path, "", 0, 0600, &cause), FB_OK);
    assert_int_equal(file_read(path, 7, &data, &length, &cause), FB_OK);
    assert_int_equal(length, 0);
    free(data);
}

static void a_file_over_the_limit_is_refused(void **state) {
    (void)state;
    const char *path = in_folder("large");
    assert_int_equal(file_write(path, "12345678", 8, 0600, &cause), FB_OK);
    char *data = NULL;
    size_t length;
    assert_int_equal(file_read(path, 7, &data, &length, &cause), FB_LIMIT);
    assert_non_null(strstr(cause.text, "larger than 7 bytes"));
    assert_null(data);
}

static void what_cannot_be_read_says_why(void **state) {
    (void)state;
    char *data = NULL;
    size_t length;
    assert_int_equal(file_read(in_folder("absent"), 7, &data, &length, &cause), FB_NOT_FOUND);
    assert_non_null(strstr(cause.text, "No such file"));
    assert_int_equal(file_read(folder, 7, &data, &length, &cause), FB_IO);
    assert_null(data);
}

static void writing_replaces_even_what_a_crash_left(void **state) {
    (void)state;
    char fresh[PATH_MAX];
    snprintf(fresh, sizeof fresh, "%s", in_folder("b.new"));
    assert_int_equal(file_write(fresh, "half", 4, 0666, &cause), FB_OK);
    const char *path = in_folder("b");
    assert_int_equal(file_write(path, "whole", 5, 0600, &cause), FB_OK);
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(access(fresh, F_OK), -1);
}

static void writing_that_fails_leaves_nothing_behind(void **state) {
    (void)state;
    char taken[PATH_MAX];
    snprintf(taken, sizeof taken, "%s", in_folder("taken/inside"));
    assert_int_equal(file_make_folder(taken, &cause), FB_OK);
    assert_int_equal(file_write(in_folder("taken"), "x", 1, 0600, &cause), FB_IO);
    assert_int_equal(access(in_folder("taken.new"), F_OK), -1);
    assert_int_equal(file_write(in_folder("no/such/folder"), "x", 1, 0600, &cause), FB_IO);
}

static void folders_are_made_with_their_parents(void **state) {
    (void)state;
    const char *path = in_folder("p/q//r/");
    assert_int_equal(file_make_folder(path, &cause), FB_OK);
    assert_int_equal(file_make_folder(path, &cause), FB_OK);
    assert_int_equal(mode_of(path) & 07, 0);
    assert_int_equal(file_make_folder("/", &cause), FB_OK);
}

static void what_is_no_folder_says_so(void **state) {
    (void)state;
    assert_int_equal(file_write(in_folder("plain"), "x", 1, 0600, &cause), FB_OK);
    assert_int_equal(file_make_folder(in_folder("plain"), &cause), FB_IO);
    assert_int_equal(file_make_folder(in_folder("plain/below"), &cause), FB_IO);
    assert_int_equal(file_make_folder("", &cause), FB_IO);
    char far[PATH_MAX + 8];
    memset(far, 'x', sizeof far - 1);
    far[sizeof far - 1] = '\0';
    assert_int_equal(file_make_folder(far, &cause), FB_LIMIT);
    assert_int_equal(file_write(far, "x", 1, 0600, &cause), FB_LIMIT);
}

static void names_are_joined_unless_absolute(void **state) {
    (void)state;
    char path[8];
    assert_int_equal(file_join("/run", "abc", path, sizeof path, &cause), FB_LIMIT);
    assert_int_equal(file_join("/run", "ab", path, sizeof path, &cause), FB_OK);
    assert_string_equal(path, "/run/ab");
    assert_int_equal(file_join("/run/far/away", "/dev/x", path, sizeof path, &cause), FB_OK);
    assert_string_equal(path, "/dev/x");
}

static int make(void **state) {
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int clean(void **state) {
    (void)state;
    char command[PATH_MAX];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_file_over_the_limit_is_refused),
        cmocka_unit_test(what_cannot_be_read_says_why),
        cmocka_unit_test(writing_replaces_even_what_a_crash_left),
        cmocka_unit_test(writing_that_fails_leaves_nothing_behind),
        cmocka_unit_test(folders_are_made_with_their_parents),
        cmocka_unit_test(what_is_no_folder_says_so),
        cmocka_unit_test(names_are_joined_unless_absolute),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
