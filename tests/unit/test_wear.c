// links: gateway/core/wear.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "gateway/core/wear.h"

#define HOUR_MS (INT64_C(60) * 60 * 1000)
#define BEGIN_MS INT64_C(123456)
#define PAGE_BYTES 4096
#define PAGES 64
#define FILE_SYSTEM_PAGES 16 /* at most of the file system's own, where it makes such dirty at once */
#define TMPFS 0x01021994

static void a_rate_is_told_once_there_is_enough_to_tell_it_from(void **state) {
    (void)state;
    struct wear wear = {.count = 0};
    uint64_t day = 7;
    assert_false(wear_per_day(&wear, BEGIN_MS, 0, &day));
    wear_note(&wear, BEGIN_MS, 5000);
    assert_false(wear_per_day(&wear, BEGIN_MS + WEAR_LEAST_MS - 1, 6000, &day));
    assert_int_equal(day, 7);
    assert_true(wear_per_day(&wear, BEGIN_MS + WEAR_LEAST_MS, 6000, &day));
    assert_int_equal(day, 1000 * 6 * 24);
}

/* 1000 bytes a second for two days, noted each second; then nothing. */
static void what_is_more_than_a_day_ago_counts_no_more(void **state) {
    (void)state;
    struct wear wear = {.count = 0};
    uint64_t day, bytes = 0;
    int64_t now_ms = BEGIN_MS;
    for (; now_ms <= BEGIN_MS + 48 * HOUR_MS; now_ms += 1000, bytes += 1000)
        wear_note(&wear, now_ms, bytes);
    assert_true(wear_per_day(&wear, now_ms, bytes, &day));
    assert_int_equal(day, 86400000);
    for (; now_ms <= BEGIN_MS + 60 * HOUR_MS; now_ms += 1000)
        wear_note(&wear, now_ms, bytes);
    assert_true(wear_per_day(&wear, now_ms, bytes, &day));
    assert_in_range(day, 86400000 / 2 * 0.95, 86400000 / 2 * 1.05);
    for (; now_ms <= BEGIN_MS + 75 * HOUR_MS; now_ms += 1000)
        wear_note(&wear, now_ms, bytes);
    assert_true(wear_per_day(&wear, now_ms, bytes, &day));
    assert_int_equal(day, 0);
}

static void what_this_process_has_written_is_counted_though_it_cannot_be_dumped(void **state) {
    (void)state;
    char path[] = "/tmp/forebay-wear-XXXXXX";
    static uint8_t page[PAGE_BYTES];
    struct statfs disk;
    const int file = mkstemp(path);
    assert_true(file >= 0);
    unlink(path);
    if (fstatfs(file, &disk) != 0 || disk.f_type == TMPFS) {
        close(file);
        skip();
    }
    assert_int_equal(prctl(PR_SET_DUMPABLE, 0), 0);
    const uint64_t before = wear_process_bytes();
    for (size_t round = 0; round < 2; round++) { /* what is written twice counts twice */
        for (size_t i = 0; i < PAGES; i++)
            assert_int_equal(pwrite(file, page, sizeof page, (off_t)(i * sizeof page)), sizeof page);
        assert_int_equal(fdatasync(file), 0);
    }
    const uint64_t least = 2 * sizeof page * PAGES;
    assert_in_range(wear_process_bytes() - before, least, least + FILE_SYSTEM_PAGES * sizeof page);
    close(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rate_is_told_once_there_is_enough_to_tell_it_from),
        cmocka_unit_test(what_is_more_than_a_day_ago_counts_no_more),
        cmocka_unit_test(what_this_process_has_written_is_counted_though_it_cannot_be_dumped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
