// links: store/catalogue.c store/batch*.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c gateway/common/file.c tests/unit/batch_json.c tests/unit/batch_vectors.c
/* test_batch_vectors.c - batches made once and kept: what they hold never changes, whatever the code becomes; and the
 * worked example of docs/batch.md is one of them.
 *
 * "test_batch_vectors write" makes those files of tests/data/batch that are missing. "test_batch_vectors show FILE ..."
 * prints what each file holds, or why it is refused, one line each: so the decoders are held against each other. */
#include <ctype.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "batch_json.h"
#include "batch_vectors.h"
#include "gateway/common/file.h"
#include "store/batch.h"
#include "store/batch_frame.h"

#define FOLDER "tests/data/batch/"

static size_t read_all(const char *path, uint8_t *ret_bytes, size_t size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fail_msg("%s: cannot be read; run this from the top folder", path);
        return 0;
    }
    const size_t length = fread(ret_bytes, 1, size, file);
    fclose(file);
    return length;
}

static size_t unpack(const uint8_t *bytes, size_t length, uint8_t *ret_plain) {
    uint8_t *plain;
    size_t plain_length;
    assert_int_equal(batch_frame_unpack(bytes, length, BATCH_PLAIN_BYTES_MAX, &plain, &plain_length, NULL), FB_OK);
    memcpy(ret_plain, plain, plain_length);
    free(plain);
    return plain_length;
}

static uint8_t kept[BATCH_BYTES_MAX], made[BATCH_BYTES_MAX];
static uint8_t kept_plain[BATCH_PLAIN_BYTES_MAX], made_plain[BATCH_PLAIN_BYTES_MAX];

/* The kept file says what its JSON says; and what is made today is the same before compression, which may differ from
 * one zstd to the next. */
static void assert_kept(const char *name, size_t made_length) {
    char path[64];
    struct fb_cause cause;
    snprintf(path, sizeof path, FOLDER "%s.bin", name);
    const size_t kept_length = read_all(path, kept, sizeof kept);
    snprintf(path, sizeof path, FOLDER "%s.json", name);
    const size_t plain_length = unpack(kept, kept_length, kept_plain);
    assert_int_equal(plain_length, unpack(made, made_length, made_plain));
    assert_memory_equal(kept_plain, made_plain, plain_length);
    json_t *expected = json_load_file(path, 0, NULL), *got = batch_json(kept, kept_length, &cause);
    assert_non_null(expected);
    if (got == NULL || !json_equal(expected, got))
        fail_msg("%s: not what the file holds", path);
    json_decref(expected);
    json_decref(got);
}

static void what_is_kept_holds_what_it_held(void **state) {
    (void)state;
    const char *name;
    size_t length;
    for (size_t i = 0; batch_vector(i, &name, made, &length); i++)
        assert_kept(name, length);
}

/* The hexadecimal bytes of the code block behind the marker; what follows a semicolon in a line is a remark. */
static size_t bytes_behind(char *page, const char *marker, uint8_t *ret_bytes, size_t size) {
    char *block = strstr(page, marker);
    assert_non_null(block);
    block = strchr(strstr(block, "```"), '\n') + 1;
    char *end = strstr(block, "```");
    size_t count = 0;
    for (char *at = block; at < end;) {
        if (*at == ';')
            at += strcspn(at, "\n");
        else if (isxdigit((unsigned char)*at) && count < size)
            ret_bytes[count++] = (uint8_t)strtoul(at, &at, 16);
        else
            at++;
    }
    return count;
}

/* Of an example that holds nothing behind its columns the page shows just these. */
static void assert_columns_shown(char *page, const char *marker, const char *path) {
    static uint8_t shown[4096];
    const size_t plain_length = unpack(kept, read_all(path, kept, sizeof kept), kept_plain);
    const size_t columns = bytes_behind(page, marker, shown, sizeof shown);
    assert_in_range(columns, 20, plain_length);
    assert_memory_equal(shown, kept_plain + plain_length - columns, columns);
}

static void the_worked_examples_of_the_page_are_true(void **state) {
    (void)state;
    static uint8_t page[262144], shown[4096];
    const size_t page_length = read_all("docs/batch.md", page, sizeof page - 1);
    page[page_length] = '\0';
    const size_t kept_length = read_all(FOLDER "example.bin", kept, sizeof kept);
    const size_t plain_length = unpack(kept, kept_length, kept_plain);
    assert_int_equal(bytes_behind((char *)page, "### The frame in hex", shown, sizeof shown), kept_length);
    assert_memory_equal(shown, kept, kept_length);
    assert_int_equal(bytes_behind((char *)page, "### The content in hex", shown, sizeof shown), plain_length);
    assert_memory_equal(shown, kept_plain, plain_length);
    assert_columns_shown((char *)page, "### The columns in hex", FOLDER "words.bin");
    assert_columns_shown((char *)page, "### The columns of noise in hex", FOLDER "noise.bin");
}

static void write_vector(const char *name, size_t length) {
    char path[128];
    snprintf(path, sizeof path, FOLDER "%s.bin", name);
    if (access(path, F_OK) == 0)
        return;
    assert_int_equal(file_write(path, made, length, 0644, NULL), FB_OK);
    struct fb_cause cause;
    json_t *json = batch_json(made, length, &cause);
    snprintf(path, sizeof path, FOLDER "%s.json", name);
    assert_int_equal(json_dump_file(json, path, JSON_INDENT(1) | JSON_REAL_PRECISION(17)), 0);
    json_decref(json);
}

static void write_all(void **state) {
    (void)state;
    const char *name;
    size_t length;
    for (size_t i = 0; batch_vector(i, &name, made, &length); i++)
        write_vector(name, length);
}

static int show(char **paths) {
    static uint8_t bytes[BATCH_BYTES_MAX + 1];
    for (; *paths != NULL; paths++) {
        struct fb_cause cause = {""};
        json_t *json = batch_json(bytes, read_all(*paths, bytes, sizeof bytes), &cause);
        if (json == NULL)
            json = json_pack("{s:s}", "refused", cause.text);
        json_dumpf(json, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(json);
    }
    return 0;
}

int main(int count, char **arguments) {
    const struct CMUnitTest writer[] = {cmocka_unit_test(write_all)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_holds_what_it_held),
        cmocka_unit_test(the_worked_examples_of_the_page_are_true),
    };
    if (count > 1 && strcmp(arguments[1], "show") == 0)
        return show(arguments + 2);
    if (count > 1 && strcmp(arguments[1], "write") == 0)
        return cmocka_run_group_tests(writer, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
