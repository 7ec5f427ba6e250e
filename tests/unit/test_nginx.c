// links: gateway/cli/nginx.c gateway/common/file.c gateway/common/error.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/cli/nginx.h"
#include "gateway/common/file.h"

#define TEMPLATE_MOST 65536

static char folder[] = "/tmp/forebay-nginx-XXXXXX";
static struct fb_cause cause;

static const char *in_folder(const char *name) {
    static char paths[4][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];
    assert_int_equal(file_join(folder, name, path, PATH_MAX, &cause), FB_OK);
    return path;
}

static void write_template(const char *text, size_t length) {
    assert_int_equal(file_make_folder(in_folder("web"), &cause), FB_OK);
    assert_int_equal(file_write(in_folder("web/nginx.conf.in"), text, length, 0600, &cause), FB_OK);
}

static struct config make_config(void) {
    struct config config = {.page = {.listen = "127.0.0.1", .port = 8443}};
    snprintf(config.run, sizeof config.run, "%s", in_folder("run"));
    snprintf(config.page.certificate, sizeof config.page.certificate, "/pki/page.pem");
    snprintf(config.page.key, sizeof config.page.key, "/pki/page.key");
    assert_int_equal(file_make_folder(config.run, &cause), FB_OK);
    return config;
}

static enum fb_error fill(const struct config *config, char *ret_text, size_t size) {
    char file[PATH_MAX];
    const enum fb_error error = nginx_write(config, in_folder("web"), file, sizeof file, &cause);
    if (error != FB_OK)
        return error;
    FB_CLEANUP(file_free) char *data = NULL;
    size_t length;
    assert_string_equal(file, in_folder("run/nginx.conf"));
    assert_int_equal(file_read(file, 2 * TEMPLATE_MOST, &data, &length, &cause), FB_OK);
    snprintf(ret_text, size, "%s", data);
    return FB_OK;
}

static void every_placeholder_is_filled(void **state) {
    (void)state;
    static const char template[] = "@RUN@|@SOCKET@|@PAGES@|@LISTEN@:@PORT@|@CERTIFICATE@|@KEY@|@OTHER@ @|@RUN@";
    write_template(template, sizeof template - 1);
    const struct config config = make_config();
    char text[5 * PATH_MAX], expected[5 * PATH_MAX], run[PATH_MAX];
    snprintf(run, sizeof run, "%s", in_folder("run"));
    assert_int_equal(fill(&config, text, sizeof text), FB_OK);
    snprintf(expected, sizeof expected, "%s|%s/web.sock|%s|127.0.0.1:8443|/pki/page.pem|/pki/page.key|@OTHER@ @|%s",
             run, run, in_folder("web"), run);
    assert_string_equal(text, expected);
}

static void an_ipv6_address_gets_its_brackets(void **state) {
    (void)state;
    write_template("@LISTEN@:@PORT@", 15);
    struct config config = make_config();
    snprintf(config.page.listen, sizeof config.page.listen, "::1");
    config.page.port = 65535;
    char text[64];
    assert_int_equal(fill(&config, text, sizeof text), FB_OK);
    assert_string_equal(text, "[::1]:65535");
}

static void root_names_its_user_and_others_do_not(void **state) {
    (void)state;
    write_template("@USER@", 6);
    const struct config config = make_config();
    char text[64];
    assert_int_equal(fill(&config, text, sizeof text), FB_OK);
    assert_string_equal(text, geteuid() == 0 ? "user root;" : "");
}

static void values_are_not_filled_in_again(void **state) {
    (void)state;
    write_template("@KEY@", 5);
    struct config config = make_config();
    snprintf(config.page.key, sizeof config.page.key, "/pki/@PORT@");
    char text[64];
    assert_int_equal(fill(&config, text, sizeof text), FB_OK);
    assert_string_equal(text, "/pki/@PORT@");
}

static void characters_that_nginx_would_take_for_its_own_are_refused(void **state) {
    (void)state;
    write_template("@KEY@", 5);
    static const char *const wrong[] = {"/pki/\"; evil \"", "/pki/$host", "/pki/a\\b", "/pki/a\nb", "/pki/{", "/pki/}"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct config config = make_config();
        snprintf(config.page.key, sizeof config.page.key, "%s", wrong[i]);
        char text[64];
        assert_int_equal(fill(&config, text, sizeof text), FB_INVALID);
        assert_non_null(strstr(cause.text, "must not hold"));
    }
}

static void a_configuration_too_large_is_refused(void **state) {
    (void)state;
    static char template[TEMPLATE_MOST];
    for (size_t i = 0; i + 5 < sizeof template; i += 5)
        memcpy(template + i, "@KEY@", 5);
    write_template(template, sizeof template - 1);
    const struct config config = make_config();
    char text[64];
    assert_int_equal(fill(&config, text, sizeof text), FB_LIMIT);
}

static void what_is_missing_is_named(void **state) {
    (void)state;
    write_template("", 0);
    struct config config = make_config();
    char text[64], found[PATH_MAX];
    snprintf(config.run, sizeof config.run, "%s", in_folder("absent"));
    assert_int_equal(fill(&config, text, sizeof text), FB_IO);
    assert_non_null(strstr(cause.text, "absent"));
    assert_int_equal(nginx_find_pages(in_folder("absent"), found, sizeof found, &cause), FB_NOT_FOUND);
    assert_non_null(strstr(cause.text, "absent/web"));
}

static void the_pages_are_found_beside_the_program_or_installed(void **state) {
    (void)state;
    write_template("", 0);
    char found[PATH_MAX];
    assert_int_equal(nginx_find_pages(folder, found, sizeof found, &cause), FB_OK);
    assert_string_equal(found, in_folder("web"));
    assert_int_equal(file_make_folder(in_folder("usr/bin"), &cause), FB_OK);
    assert_int_equal(file_make_folder(in_folder("usr/share/forebay/web"), &cause), FB_OK);
    assert_int_equal(file_write(in_folder("usr/share/forebay/web/nginx.conf.in"), "", 0, 0600, &cause), FB_OK);
    assert_int_equal(nginx_find_pages(in_folder("usr/bin"), found, sizeof found, &cause), FB_OK);
    assert_string_equal(found, in_folder("usr/bin/../share/forebay/web"));
    assert_int_equal(nginx_find_pages(folder, found, 8, &cause), FB_LIMIT);
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
        cmocka_unit_test(every_placeholder_is_filled),
        cmocka_unit_test(an_ipv6_address_gets_its_brackets),
        cmocka_unit_test(root_names_its_user_and_others_do_not),
        cmocka_unit_test(values_are_not_filled_in_again),
        cmocka_unit_test(characters_that_nginx_would_take_for_its_own_are_refused),
        cmocka_unit_test(a_configuration_too_large_is_refused),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(the_pages_are_found_beside_the_program_or_installed),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
