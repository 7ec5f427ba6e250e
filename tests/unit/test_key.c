// links: store/key.c gateway/common/error.c gateway/common/file.c
/* test_key.c - a key is made once, read back the same, and refused where others could read it; a systemd credential is
 * taken instead of the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/common/file.h"
#include "store/key.h"

#define DIGITS "00112233445566778899AABBCCDDEEFFffeeddccbbaa99887766554433221100"
#define OTHER_DIGITS "ff112233445566778899AABBCCDDEEFFffeeddccbbaa99887766554433221100"

static char folder[32];
static char path[64];
static char credentials[64]; /* the folder that systemd makes for the service */

static int setup(void **state) {
    (void)state;
    unsetenv("CREDENTIALS_DIRECTORY");
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

/* As key_open() gives it: out of the ring that is closed again. */
static enum fb_error load(const char *from, uint8_t *ret_key, bool *ret_created, struct fb_cause *cause) {
    struct key_ring *ring;
    const enum fb_error error = key_open(from, &ring, cause);
    if (error != FB_OK)
        return error;
    memcpy(ret_key, ring->key, sizeof ring->key);
    *ret_created = ring->created;
    key_close(ring);
    return FB_OK;
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
    assert_int_equal(load(path, key, &created, NULL), FB_OK);
    assert_true(created);
    assert_memory_not_equal(key, zeros, sizeof key);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(status.st_size, 65);
    assert_int_equal(load(path, again, &created, NULL), FB_OK);
    assert_false(created);
    assert_memory_equal(key, again, sizeof key);
}

static void digits_are_read_in_their_order(void **state) {
    (void)state;
    static const uint8_t start[] = {0x00, 0x11, 0x22}, end[] = {0x22, 0x11, 0x00};
    uint8_t key[STORE_KEY_BYTES];
    bool created;
    write_key(DIGITS "\n", 0400);
    assert_int_equal(load(path, key, &created, NULL), FB_OK);
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
        assert_int_equal(load(path, key, &created, &cause), FB_DENIED);
    }
    write_key(DIGITS "\n", 0644);
    assert_int_equal(load(path, key, &created, &cause), FB_DENIED);
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
        assert_int_equal(load(path, key, &created, &cause), FB_INVALID);
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
    assert_int_equal(load(missing, key, &created, &cause), FB_IO);
    assert_non_null(strstr(cause.text, missing));
}

static int setup_credentials(void **state) {
    if (setup(state) != 0)
        return -1;
    snprintf(credentials, sizeof credentials, "%s/credentials", folder);
    return mkdir(credentials, 0700) == 0 ? setenv("CREDENTIALS_DIRECTORY", credentials, 1) : -1;
}

static int teardown_credentials(void **state) {
    static const char *const names[] = {KEY_CREDENTIAL, KEY_CREDENTIAL_NEXT};
    char name[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(name, sizeof name, "%s/%s", credentials, names[i]);
        remove(name);
    }
    remove(credentials);
    unsetenv("CREDENTIALS_DIRECTORY");
    return teardown(state);
}

static void write_credential(const char *name, const char *text, mode_t mode) {
    char credential[128];
    snprintf(credential, sizeof credential, "%s/%s", credentials, name);
    assert_int_equal(file_write(credential, text, strlen(text), 0600, NULL), FB_OK);
    assert_int_equal(chmod(credential, mode), 0);
}

/* systemd makes them 0400, which an access list for the service's user turns into 0440; the folder
 * keeps others out. */
static void a_credential_is_taken_in_any_mode_and_no_file_is_made(void **state) {
    (void)state;
    static const mode_t modes[] = {0400, 0440, 0444, 0600, 0644};
    struct key_ring *ring;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        write_credential(KEY_CREDENTIAL, OTHER_DIGITS "\n", modes[i]);
        assert_int_equal(key_open(path, &ring, NULL), FB_OK);
        assert_true(ring->from_credential);
        assert_false(ring->created || ring->has_next);
        assert_int_equal(ring->key[0], 0xff);
        key_close(ring);
    }
    assert_int_equal(access(path, F_OK), -1);
}

static void a_credential_is_taken_before_the_file(void **state) {
    (void)state;
    struct key_ring *ring;
    write_key(DIGITS "\n", 0600);
    assert_int_equal(key_open(path, &ring, NULL), FB_OK);
    assert_false(ring->from_credential);
    assert_int_equal(ring->key[0], 0x00);
    key_close(ring);
    write_credential(KEY_CREDENTIAL, OTHER_DIGITS "\n", 0400);
    assert_int_equal(key_open(path, &ring, NULL), FB_OK);
    assert_true(ring->from_credential);
    assert_int_equal(ring->key[0], 0xff);
    key_close(ring);
}

/* The file beside it must not be taken in its place: the store would be set aside for it. */
static void a_credential_of_the_wrong_length_is_refused_with_its_name(void **state) {
    (void)state;
    static const char *const texts[] = {"", "\n", DIGITS, DIGITS "\n\n", DIGITS "0\n", "x" DIGITS "\n", "00\n"};
    struct key_ring *ring = NULL;
    struct fb_cause cause;
    write_key(DIGITS "\n", 0600);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        write_credential(KEY_CREDENTIAL, texts[i], 0400);
        assert_int_equal(key_open(path, &ring, &cause), FB_INVALID);
        assert_null(ring);
        assert_non_null(strstr(cause.text, "credentials/" KEY_CREDENTIAL));
        assert_non_null(strstr(cause.text, "64 hexadecimal digits"));
    }
}

static void a_credential_that_is_no_file_is_refused(void **state) {
    (void)state;
    struct key_ring *ring = NULL;
    struct fb_cause cause;
    char credential[128];
    snprintf(credential, sizeof credential, "%s/" KEY_CREDENTIAL, credentials);
    assert_int_equal(mkdir(credential, 0700), 0);
    assert_int_equal(key_open(path, &ring, &cause), FB_INVALID);
    assert_int_equal(remove(credential), 0);
    write_key(DIGITS "\n", 0600);
    assert_int_equal(symlink(path, credential), 0);
    assert_int_equal(key_open(path, &ring, &cause), FB_IO);
    assert_null(ring);
}

static void the_next_key_of_a_credential_is_a_credential(void **state) {
    (void)state;
    struct key_ring *ring;
    struct fb_cause cause;
    write_credential(KEY_CREDENTIAL, DIGITS "\n", 0400);
    assert_int_equal(key_open(path, &ring, NULL), FB_OK);
    assert_int_equal(key_make_next(ring, &cause), FB_NOT_FOUND);
    assert_non_null(strstr(cause.text, KEY_CREDENTIAL_NEXT));
    key_close(ring);
    write_credential(KEY_CREDENTIAL_NEXT, OTHER_DIGITS "\n", 0400);
    assert_int_equal(key_open(path, &ring, NULL), FB_OK);
    assert_true(ring->has_next);
    assert_int_equal(ring->next[0], 0xff);
    assert_int_equal(key_make_next(ring, NULL), FB_OK);
    assert_int_equal(key_confirm_next(ring, NULL), FB_OK);
    key_close(ring);
    assert_int_equal(access(path, F_OK), -1);
}

static void without_a_whole_path_or_a_credential_the_file_counts(void **state) {
    (void)state;
    uint8_t key[STORE_KEY_BYTES];
    bool created;
    write_key(DIGITS "\n", 0600);
    assert_int_equal(load(path, key, &created, NULL), FB_OK); /* systemd gave credentials, but not this one */
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "credentials", 1), 0);
    assert_int_equal(load(path, key, &created, NULL), FB_OK);
    assert_false(created);
}

/* For a store that was set aside: neither made nor looked for elsewhere. */
static void a_key_of_another_store_is_read_from_its_file_alone(void **state) {
    (void)state;
    struct key_ring *ring = NULL;
    struct fb_cause cause;
    write_credential(KEY_CREDENTIAL, OTHER_DIGITS "\n", 0400);
    assert_int_equal(key_open_file(path, &ring, &cause), FB_NOT_FOUND);
    assert_int_equal(access(path, F_OK), -1);
    write_key(DIGITS "\n", 0644);
    assert_int_equal(key_open_file(path, &ring, &cause), FB_DENIED);
    assert_null(ring);
    write_key(DIGITS "\n", 0600);
    assert_int_equal(key_open_file(path, &ring, &cause), FB_OK);
    assert_int_equal(ring->key[1], 0x11);
    assert_false(ring->from_credential || ring->created || ring->has_next);
    key_close(ring);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_is_made_once_for_its_owner_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(digits_are_read_in_their_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_that_others_can_reach_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_key_is_refused_and_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folder_that_is_not_there_is_an_error_with_its_name, setup, teardown),
        cmocka_unit_test_setup_teardown(a_credential_is_taken_in_any_mode_and_no_file_is_made, setup_credentials,
                                        teardown_credentials),
        cmocka_unit_test_setup_teardown(a_credential_is_taken_before_the_file, setup_credentials, teardown_credentials),
        cmocka_unit_test_setup_teardown(a_credential_of_the_wrong_length_is_refused_with_its_name, setup_credentials,
                                        teardown_credentials),
        cmocka_unit_test_setup_teardown(a_credential_that_is_no_file_is_refused, setup_credentials,
                                        teardown_credentials),
        cmocka_unit_test_setup_teardown(the_next_key_of_a_credential_is_a_credential, setup_credentials,
                                        teardown_credentials),
        cmocka_unit_test_setup_teardown(a_key_of_another_store_is_read_from_its_file_alone, setup_credentials,
                                        teardown_credentials),
        cmocka_unit_test_setup_teardown(without_a_whole_path_or_a_credential_the_file_counts, setup_credentials,
                                        teardown_credentials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
