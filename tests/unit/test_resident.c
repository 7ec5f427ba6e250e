// links: gateway/common/resident.c
/* What the start touched is given back, and everything still works afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <systemd/sd-event.h>

#include "gateway/common/resident.h"

#define TABLE_BYTES (1024 * 1024)

/* As large tables of a library: read-only, never all needed again. The values defeat merging into zero pages. */
static const uint8_t table[TABLE_BYTES] = {[0] = 1, [TABLE_BYTES / 2] = 2, [TABLE_BYTES - 1] = 3};

static unsigned sum_of_table(void) {
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof table; i += 512)
        sum += ((const volatile uint8_t *)table)[i];
    return sum;
}

/* kB of this process that a file on disk could give again. */
static unsigned long resident_file_kb(void) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[128];
    unsigned long kb = 0;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "RssFile: %lu", &kb) == 1)
            break;
    fclose(file);
    return kb;
}

static void clean_pages_are_given_back_and_come_again(void **state) {
    (void)state;
    const unsigned sum = sum_of_table();
    const unsigned long before = resident_file_kb();
    resident_release();
    const unsigned long after = resident_file_kb();
    assert_true(after + TABLE_BYTES / 1024 / 2 < before);
    assert_int_equal(sum_of_table(), sum);
}

static void the_loop_goes_on_after_a_release(void **state) {
    (void)state;
    sd_event *event;
    assert_true(sd_event_new(&event) >= 0);
    assert_true(resident_release_later(event) >= 0);
    assert_true(sd_event_run(event, 0) >= 0);
    resident_release();
    assert_true(sd_event_run(event, 0) >= 0);
    sd_event_unref(event);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_pages_are_given_back_and_come_again),
        cmocka_unit_test(the_loop_goes_on_after_a_release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
