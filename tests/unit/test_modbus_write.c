// links: drivers/modbus_write.c gateway/common/plant_write.c gateway/common/plant.c gateway/common/plant_lines.c gateway/common/json.c gateway/common/error.c
/* Writes as bytes: every type and order, the range of the configuration, and which reply says that it was done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "drivers/modbus_write.h"

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static struct modbus_write frame;
static struct fb_cause cause;

static struct plant_write make_write(enum plant_type type) {
    struct plant_write write = {
        .name = "setpoint", .table = PLANT_HOLDING, .address = 0x1234, .type = type, .min = -1e9, .max = 1e9};
    if (type == PLANT_BIT)
        write = (struct plant_write){.name = "start", .table = PLANT_COIL, .address = 0x1234, .max = 1};
    return write;
}

static void assert_frame(const struct plant_write *write, double value, const uint8_t *bytes, size_t length) {
    assert_int_equal(modbus_write_make(7, write, value, &frame, &cause), FB_OK);
    assert_int_equal(frame.length, length);
    assert_memory_equal(frame.bytes, bytes, length);
}

static void every_type_has_its_function(void **state) {
    (void)state;
    struct plant_write write = make_write(PLANT_BIT);
    assert_frame(&write, 1, BYTES("\x07\x05\x12\x34\xff\x00"));
    assert_frame(&write, 0, BYTES("\x07\x05\x12\x34\x00\x00"));
    write = make_write(PLANT_UINT16);
    assert_frame(&write, 65535, BYTES("\x07\x06\x12\x34\xff\xff"));
    write.word_order = PLANT_BADC;
    assert_frame(&write, 0x1122, BYTES("\x07\x06\x12\x34\x22\x11"));
    write = make_write(PLANT_INT16);
    assert_frame(&write, -2, BYTES("\x07\x06\x12\x34\xff\xfe"));
    write = make_write(PLANT_INT32);
    assert_frame(&write, -2, BYTES("\x07\x10\x12\x34\x00\x02\x04\xff\xff\xff\xfe"));
}

static void pairs_of_registers_come_in_every_order(void **state) {
    (void)state;
    static const char *const orders[] = {"\x40\x49\x0f\xdb", "\x0f\xdb\x40\x49", "\x49\x40\xdb\x0f",
                                         "\xdb\x0f\x49\x40"};
    struct plant_write write = make_write(PLANT_FLOAT32);
    for (unsigned order = 0; order < 4; order++) {
        uint8_t bytes[] = "\x07\x10\x12\x34\x00\x02\x04....";
        memcpy(bytes + 7, orders[order], 4);
        write.word_order = (enum plant_word_order)order;
        assert_frame(&write, 0x1.921fb6p+1, bytes, sizeof bytes - 1);
    }
    write = make_write(PLANT_UINT32);
    write.word_order = PLANT_CDAB;
    write.max = UINT32_MAX;
    assert_frame(&write, 0xfedcba98, BYTES("\x07\x10\x12\x34\x00\x02\x04\xba\x98\xfe\xdc"));
}

static void values_beyond_the_range_are_refused(void **state) {
    (void)state;
    struct plant_write write = make_write(PLANT_UINT16);
    write.min = 10;
    write.max = 20;
    const double wrong[] = {9, 21, 10.5, (double)NAN, (double)INFINITY, -1};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_not_equal(modbus_write_make(7, &write, wrong[i], &frame, &cause), FB_OK);
    assert_int_equal(modbus_write_make(7, &write, 21, &frame, &cause), FB_DENIED);
    assert_string_equal(cause.text, "setpoint: 21 is not allowed; the configuration opens it for 10 to 20");
    assert_int_equal(modbus_write_make(7, &write, 20, &frame, &cause), FB_OK);
    const struct plant_write coil = make_write(PLANT_BIT);
    assert_int_not_equal(modbus_write_make(7, &coil, 0.5, &frame, &cause), FB_OK);
    assert_int_not_equal(modbus_write_make(7, &coil, 2, &frame, &cause), FB_OK);
}

static enum driver_outcome judge(const uint8_t *bytes, size_t length) {
    struct driver_reply reply;
    modbus_write_judge(&frame, bytes, length, &reply);
    return reply.outcome;
}

static void only_its_own_echo_says_that_it_was_done(void **state) {
    (void)state;
    const struct plant_write write = make_write(PLANT_UINT16);
    assert_frame(&write, 5, BYTES("\x07\x06\x12\x34\x00\x05"));
    assert_int_equal(judge(BYTES("\x07\x06\x12\x34\x00\x05")), DRIVER_ANSWERED);
    assert_int_equal(judge(BYTES("\x07\x06\x12\x34\x00\x06")), DRIVER_UNFIT);
    assert_int_equal(judge(BYTES("\x08\x06\x12\x34\x00\x05")), DRIVER_UNFIT);
    assert_int_equal(judge(BYTES("\x07\x06\x12\x34\x00")), DRIVER_UNFIT);
    assert_int_equal(judge(BYTES("\x07\x86\x02")), DRIVER_REFUSED);
    assert_int_equal(judge(BYTES("\x07\x90\x02")), DRIVER_UNFIT);
    assert_int_equal(judge(BYTES("")), DRIVER_UNFIT);
    const struct plant_write pair = make_write(PLANT_INT32);
    assert_int_equal(modbus_write_make(7, &pair, 5, &frame, &cause), FB_OK);
    assert_int_equal(judge(BYTES("\x07\x10\x12\x34\x00\x02")), DRIVER_ANSWERED);
    assert_int_equal(judge(BYTES("\x07\x10\x12\x34\x00\x01")), DRIVER_UNFIT);
}

static void what_cannot_be_written_is_no_write(void **state) {
    (void)state;
    static const struct plant_write wrong[] = {
        {.name = "a", .table = PLANT_INPUT, .type = PLANT_INT16, .max = 1},
        {.name = "a", .table = PLANT_DISCRETE, .type = PLANT_BIT, .max = 1},
        {.name = "a", .table = PLANT_HOLDING, .type = PLANT_BIT, .max = 1},
        {.name = "a", .table = PLANT_HOLDING, .type = PLANT_INT64, .max = 1},
        {.name = "a", .table = PLANT_HOLDING, .type = PLANT_TEXT, .max = 1},
        {.name = "a", .table = PLANT_HOLDING, .type = PLANT_UINT16, .min = -1, .max = 1},
        {.name = "a", .table = PLANT_HOLDING, .type = PLANT_UINT16, .max = 65536},
        {.name = "a", .table = PLANT_HOLDING, .type = PLANT_UINT16, .min = 2, .max = 1},
        {.name = "a", .table = PLANT_HOLDING, .type = PLANT_UINT32, .address = 65535, .max = 1},
        {.name = "a", .table = PLANT_COIL, .type = PLANT_BIT, .max = 2},
        {.name = "A", .table = PLANT_COIL, .type = PLANT_BIT, .max = 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(plant_write_check(&wrong[i], &cause), FB_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_has_its_function),
        cmocka_unit_test(pairs_of_registers_come_in_every_order),
        cmocka_unit_test(values_beyond_the_range_are_refused),
        cmocka_unit_test(only_its_own_echo_says_that_it_was_done),
        cmocka_unit_test(what_cannot_be_written_is_no_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
