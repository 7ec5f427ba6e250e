// links: gateway/common/quality.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "gateway/common/quality.h"

/* The numbers and words of docs/batch.md and docs/api.md: a change here breaks every receiver. */
static const struct {
    uint8_t quality;
    const char *class, *reason, *ne107;
} table[] = {
    {0, "good", "", "normal"},
    {64, "uncertain", "stale", "out of specification"},
    {65, "uncertain", "below range", "out of specification"},
    {66, "uncertain", "above range", "out of specification"},
    {67, "uncertain", "clock not set", "out of specification"},
    {68, "uncertain", "maintenance", "function check"},
    {128, "bad", "timeout", "failure"},
    {129, "bad", "not connected", "failure"},
    {130, "bad", "exception", "failure"},
    {131, "bad", "bad reply", "failure"},
    {132, "bad", "not a number", "failure"},
    {133, "bad", "no value", "function check"},
    {134, "bad", "instrument fault", "failure"},
    {135, "bad", "stale heartbeat", "failure"},
    {136, "bad", "not running", "failure"},
};

#define TABLE_ROWS (sizeof table / sizeof table[0])

static void numbers_and_words_never_change(void **state) {
    (void)state;
    for (size_t i = 0; i < TABLE_ROWS; i++) {
        assert_string_equal(quality_class_word(table[i].quality), table[i].class);
        assert_string_equal(quality_reason(table[i].quality), table[i].reason);
        assert_string_equal(quality_ne107(table[i].quality), table[i].ne107);
    }
}

static void only_listed_qualities_are_known(void **state) {
    (void)state;
    size_t known = 0;
    for (unsigned quality = 0; quality < 256; quality++)
        known += quality_known((uint8_t)quality);
    assert_int_equal(known, TABLE_ROWS);
    for (size_t i = 0; i < TABLE_ROWS; i++)
        assert_true(quality_known(table[i].quality));
}

static void qualities_of_later_versions_keep_their_class(void **state) {
    (void)state;
    assert_int_equal(quality_class(63), QUALITY_CLASS_GOOD);
    assert_int_equal(quality_class(127), QUALITY_CLASS_UNCERTAIN);
    assert_int_equal(quality_class(191), QUALITY_CLASS_BAD);
    assert_int_equal(quality_class(255), QUALITY_CLASS_BAD);
    assert_string_equal(quality_class_word(255), "bad");
    assert_string_equal(quality_reason(127), "unknown reason");
    assert_string_equal(quality_ne107(255), "failure");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_words_never_change),
        cmocka_unit_test(only_listed_qualities_are_known),
        cmocka_unit_test(qualities_of_later_versions_keep_their_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
