// links: store/key.c gateway/common/error.c gateway/common/file.c
/* test_key.c - a key is made once, read back the same, and refused where others could read it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "gateway/common/file.h"
#include "store/key.h"

#define DIGITS "00112233445566778899AABBCCDDEEFFffeeddccbbaa99887766554433221100"

static char folder[32];
static char path[64];

static int setup(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/forebay-key-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/store.key", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    remove(path);
    return remove(folder);
}

static void write_key(const char *text, mode_t mode) {
    assert_int_equal(file_write(path, text, strlen(text), 0600, NULL), FB_OK);
    assert_int_equal(chmod(path, mode), 0);
}

static void a_key_is_made_once_for_its_owner_alone(void **state) {
    (void)state;
    uint8_t key[STORE_KEY_BYTES] = {0}, again[STORE_KEY_BYTES], zeros[STORE_KEY_BYTES] = {0};
    bool created;
    struct stat status;
    assert_int_equal(key_load(path, key, &created, NULL), FB_OK);
    assert_true(created);
    assert_memory_not_equal(key, zeros, sizeof key);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(status.st_size, 65);
    assert_int_equal(key_load(path, again, &created, NULL), FB_OK);
    assert_false(created);
    assert_memory_equal(key, again, sizeof key);
}

static void digits_are_read_in_their_order(void **state) {
    (void)state;
    static const uint8_t start[] = {0x00, 0x11, 0x22}, end[] = {0x22, 0x11, 0x00};
    uint8_t key[STORE_KEY_BYTES];
    bool created;
    write_key(DIGITS "\n", 0400);
    assert_int_equal(key_load(path, key, &created, NULL), FB_OK);
    assert_memory_equal(key, start, sizeof start);
    assert_memory_equal(key + STORE_KEY_BYTES - sizeof end, end, sizeof end);
}

static void a_key_that_others_can_reach_is_refused(void **state) {
    (void)state;
    static const mode_t modes[] = {0640, 0604, 0660, 0620, 0777, 0700};
    uint8_t key[STORE_KEY_BYTES];
    bool created;
    struct fb_cause cause;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        write_key(DIGITS "\n", modes[i]);
        assert_int_equal(key_load(path, key, &created, &cause), FB_DENIED);
    }
    write_key(DIGITS "\n", 0644);
    assert_int_equal(key_load(path, key, &created, &cause), FB_DENIED);
    assert_non_null(strstr(cause.text, "mode 0644"));
    assert_non_null(strstr(cause.text, "chmod 600"));
}

static void what_is_no_key_is_refused_and_left_alone(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        "\n",
                                        DIGITS,
                                        DIGITS "\n\n",
                                        DIGITS "0\n",
                                        "x" DIGITS "\n",
                                        "0g112233445566778899aabbccddeeffffeeddccbbaa99887766554433221100\n"};
    uint8_t key[STORE_KEY_BYTES] = {7}, before[STORE_KEY_BYTES] = {7};
    bool created;
    struct fb_cause cause;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct stat status;
        write_key(texts[i], 0600);
        assert_int_equal(key_load(path, key, &created, &cause), FB_INVALID);
        assert_memory_equal(key, before, sizeof key);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_size, strlen(texts[i]));
    }
}

static void a_folder_that_is_not_there_is_an_error_with_its_name(void **state) {
    (void)state;
    uint8_t key[STORE_KEY_BYTES];
    bool created;
    struct fb_cause cause;
    char missing[96];
    snprintf(missing, sizeof missing, "%s/missing/store.key", folder);
    assert_int_equal(key_load(missing, key, &created, &cause), FB_IO);
    assert_non_null(strstr(cause.text, missing));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_is_made_once_for_its_owner_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(digits_are_read_in_their_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_that_others_can_reach_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_key_is_refused_and_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folder_that_is_not_there_is_an_error_with_its_name, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
