// links: drivers/text_value.c gateway/common/reading.c gateway/common/quality.c
/* Bytes that instruments send as text: each gives a valid reading, whatever they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "drivers/text_value.h"
#include "gateway/common/quality.h"

static struct reading units[READING_UNITS_MAX];

static size_t make(const void *bytes, size_t length) {
    const size_t used = text_value_make(7, bytes, length, 1000, units);
    assert_true(used >= 1 && used <= READING_UNITS_MAX);
    assert_int_equal(used, reading_units(units));
    assert_true(readings_valid(units, used));
    assert_int_equal(units[0].kind, READING_TEXT);
    assert_int_equal(units[0].tag, 7);
    return used;
}

static void assert_text(const char *bytes, size_t length, const char *text) {
    make(bytes, length);
    assert_int_equal(units[0].quality, QUALITY_GOOD);
    assert_int_equal(units[0].value.text_length, strlen(text));
    assert_memory_equal(reading_text(units), text, strlen(text));
}

static void assert_bad(const char *bytes, size_t length, uint8_t quality) {
    assert_int_equal(make(bytes, length), 1);
    assert_int_equal(units[0].quality, quality);
}

static void padding_is_taken_off(void **state) {
    (void)state;
    assert_text("RUN", 3, "RUN");
    assert_text("RUN\0\0\0", 6, "RUN");
    assert_text("RUN   ", 6, "RUN");
    assert_text("  RUN 2 \0", 9, "RUN 2");
    assert_text("RUN\0\x01\xff", 6, "RUN");
    assert_text("\0\0", 2, "");
    assert_text("    ", 4, "");
    assert_text("", 0, "");
}

static void bytes_beyond_ascii_are_utf8_or_latin1(void **state) {
    (void)state;
    assert_text("20 \xc2\xb0\x43", 6, "20 °C");
    assert_text("20 \xb0\x43", 5, "20 °C");
    assert_text("\xe4\xf6\xfc\xff", 4, "äöüÿ");
    /* One byte that is no UTF-8 makes all of it Latin-1: both at once is what nobody sends. */
    assert_text("\xc2\xb0\xb0", 3, "Â°°");
}

static void control_characters_are_no_text(void **state) {
    (void)state;
    for (unsigned byte = 1; byte < 256; byte++) {
        const char text[] = {'A', (char)byte, 'B'};
        if (byte < ' ' || (byte >= 0x7f && byte <= 0x9f))
            assert_bad(text, sizeof text, QUALITY_BAD_REPLY);
        else if (make(text, sizeof text) > 0)
            assert_int_equal(units[0].quality, QUALITY_GOOD);
    }
    /* U+0085 as UTF-8: its bytes are none of Latin-1 either. */
    assert_bad("\xc2\x85", 2, QUALITY_BAD_REPLY);
}

static void empty_memory_has_no_value(void **state) {
    (void)state;
    assert_bad("\xff\xff\xff\xff", 4, QUALITY_SENTINEL);
    assert_text("\xff\xff\xff\0", 4, "ÿÿÿ");
}

static void what_is_too_long_is_cut_between_characters_and_shows_it(void **state) {
    (void)state;
    char text[TEXT_VALUE_BYTES_MAX];
    memset(text, 'x', sizeof text);
    make(text, READING_TEXT_MAX);
    assert_int_equal(units[0].value.text_length, READING_TEXT_MAX);
    assert_memory_equal(reading_text(units), text, READING_TEXT_MAX);
    make(text, READING_TEXT_MAX + 1);
    assert_int_equal(units[0].value.text_length, READING_TEXT_MAX);
    assert_memory_equal(reading_text(units) + READING_TEXT_MAX - 4, "x…", 4);
    /* The sixtieth byte is the second of a character. */
    text[59] = (char)0xb0;
    make(text, sizeof text);
    assert_int_equal(units[0].value.text_length, READING_TEXT_MAX - 1);
    assert_memory_equal(reading_text(units) + 58, "x…", 4);
    memset(text, 0xb0, sizeof text);
    make(text, sizeof text);
    assert_int_equal(units[0].quality, QUALITY_GOOD);
}

static void any_bytes_give_a_valid_reading(void **state) {
    (void)state;
    uint32_t random = 1;
    for (unsigned round = 0; round < 200000; round++) {
        uint8_t bytes[TEXT_VALUE_BYTES_MAX];
        const size_t length = round % (TEXT_VALUE_BYTES_MAX + 1);
        for (size_t i = 0; i < length; i++) {
            random = random * 1664525 + 1013904223;
            /* Mostly printable, so that more than the first byte is looked at. */
            bytes[i] = (uint8_t)(random >> 24 < 0x20 && round % 2 == 0 ? 0xc3 : random >> 24);
        }
        make(bytes, length);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(padding_is_taken_off),
        cmocka_unit_test(bytes_beyond_ascii_are_utf8_or_latin1),
        cmocka_unit_test(control_characters_are_no_text),
        cmocka_unit_test(empty_memory_has_no_value),
        cmocka_unit_test(what_is_too_long_is_cut_between_characters_and_shows_it),
        cmocka_unit_test(any_bytes_give_a_valid_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
