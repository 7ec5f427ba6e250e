// links: gateway/cli/explain.c drivers/decode.c drivers/text_value.c gateway/common/plant.c gateway/common/json.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c gateway/common/plant_lines.c gateway/common/plant_write.c
/* Which type, order and offset explain the value on the display. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/cli/explain.h"

#define REGISTERS 8
#define ASKED 3

static uint8_t registers[2 * REGISTERS];
static struct explain_finding findings[EXPLAIN_FINDINGS_MAX];

/* Where byte i of the value (0: the highest) comes on the wire; size: its bytes. */
static unsigned place(enum plant_word_order order, unsigned i, unsigned size) {
    unsigned word = i / 2, byte = i % 2;
    if (order == PLANT_CDAB || order == PLANT_DCBA)
        word = size / 2 - 1 - word;
    if (order == PLANT_BADC || order == PLANT_DCBA)
        byte = 1 - byte;
    return 2 * word + byte;
}

static void put(unsigned at, uint64_t bits, unsigned size, enum plant_word_order order) {
    memset(registers, 0xa5, sizeof registers);
    for (unsigned i = 0; i < size; i++)
        registers[2 * at + place(order, i, size)] = (uint8_t)(bits >> 8 * (size - 1 - i));
}

static size_t explained(const char *text) {
    struct explain_display display;
    struct fb_cause cause;
    assert_int_equal(explain_display_read(text, &display, &cause), FB_OK);
    return explain(registers, REGISTERS, ASKED, &display, findings);
}

static void every_order_and_offset_of_a_float_is_found(void **state) {
    (void)state;
    const float value = 7.4231f;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (enum plant_word_order order = PLANT_ABCD; order <= PLANT_DCBA; order++)
        for (int offset = -1; offset <= 1; offset++) {
            put((unsigned)(ASKED + offset), bits, 4, order);
            assert_int_equal(explained("7.42"), 1);
            assert_int_equal(findings[0].offset, offset);
            assert_int_equal(findings[0].type, PLANT_FLOAT32);
            assert_int_equal(findings[0].word_order, order);
            assert_int_equal(findings[0].exponent, 0);
        }
}

static void every_order_of_64_bits_is_found(void **state) {
    (void)state;
    const double value = -1234.5;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (enum plant_word_order order = PLANT_ABCD; order <= PLANT_DCBA; order++) {
        put(ASKED, bits, 8, order);
        assert_int_equal(explained("-1234.5"), 1);
        assert_int_equal(findings[0].type, PLANT_FLOAT64);
        assert_int_equal(findings[0].word_order, order);
    }
}

static void a_scaled_integer_is_found_with_its_scale(void **state) {
    (void)state;
    put(ASKED, 742, 2, PLANT_ABCD);
    assert_int_equal(explained("7.42"), 1);
    assert_int_equal(findings[0].type, PLANT_INT16);
    assert_int_equal(findings[0].exponent, -2);
    put(ASKED, 1234567, 4, PLANT_CDAB);
    assert_int_equal(explained("1234567"), 1);
    assert_int_equal(findings[0].type, PLANT_INT32);
    assert_int_equal(findings[0].word_order, PLANT_CDAB);
}

static void a_negative_integer_is_signed(void **state) {
    (void)state;
    put(ASKED, (uint16_t)-42, 2, PLANT_ABCD);
    assert_int_equal(explained("-4.2"), 1);
    assert_int_equal(findings[0].type, PLANT_INT16);
    assert_int_equal(findings[0].exponent, -1);
}

static void the_place_asked_for_comes_first(void **state) {
    (void)state;
    memset(registers, 0, sizeof registers);
    for (unsigned i = 0; i < REGISTERS; i++)
        registers[2 * i + 1] = 77;
    assert_true(explained("77") >= 3);
    assert_int_equal(findings[0].offset, 0);
}

static void what_does_not_fit_is_not_explained(void **state) {
    (void)state;
    put(ASKED, 742, 2, PLANT_ABCD);
    assert_int_equal(explained("7.44"), 0);
    memset(registers, 0xff, sizeof registers); /* NaN everywhere */
    assert_int_equal(explained("3.3"), 0);
}

static void nothing_is_read_beyond_the_registers(void **state) {
    (void)state;
    struct explain_display display = {.value = 1, .slack = 0.5};
    uint8_t one[2] = {0, 1};
    assert_int_equal(explain(one, 1, 0, &display, findings), 1);
    assert_int_equal(findings[0].type, PLANT_INT16);
}

static void only_what_a_display_can_show_is_taken(void **state) {
    (void)state;
    static const char *const wrong[] = {"",  "-", "7.", ".5", "7,4", "1e3", "nan", "0", "0.00", "1234567890123456",
                                        "7 "};
    struct explain_display display;
    struct fb_cause cause;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(explain_display_read(wrong[i], &display, &cause), FB_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_and_offset_of_a_float_is_found),
        cmocka_unit_test(every_order_of_64_bits_is_found),
        cmocka_unit_test(a_scaled_integer_is_found_with_its_scale),
        cmocka_unit_test(a_negative_integer_is_signed),
        cmocka_unit_test(the_place_asked_for_comes_first),
        cmocka_unit_test(what_does_not_fit_is_not_explained),
        cmocka_unit_test(nothing_is_read_beyond_the_registers),
        cmocka_unit_test(only_what_a_display_can_show_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
