// links: drivers/modbus_frame.c drivers/modbus_write.c drivers/decode.c drivers/text_value.c gateway/common/plant.c gateway/common/json.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c drivers/checksum.c gateway/common/plant_lines.c gateway/common/plant_write.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "drivers/modbus_frame.h"

static const struct plant_instrument instrument = {.unit = 7};

static struct plan_request two_registers(void) {
    return (struct plan_request){.instrument = &instrument, .table = PLANT_HOLDING, .address = 0x1234, .count = 2};
}

static void requests_only_ever_read(void **state) {
    (void)state;
    static const uint8_t functions[] = {[PLANT_COIL] = 1, [PLANT_DISCRETE] = 2, [PLANT_INPUT] = 4, [PLANT_HOLDING] = 3};
    for (unsigned table = 0; table < 4; table++) {
        struct plan_request request = two_registers();
        request.table = (enum plant_table)table;
        uint8_t frame[MODBUS_FRAME_REQUEST_BYTES];
        modbus_frame_request(&request, frame);
        const uint8_t wanted[] = {7, functions[table], 0x12, 0x34, 0, 2};
        assert_memory_equal(frame, wanted, sizeof wanted);
    }
}

static void only_the_reply_itself_is_taken(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        enum driver_outcome outcome;
        uint8_t exception;
    } rows[] = {
        {"\x07\x03\x04\x00\x01\x00\x02", 7, DRIVER_ANSWERED, 0},
        {"\x08\x03\x04\x00\x01\x00\x02", 7, DRIVER_UNFIT, 0},
        {"\x07\x04\x04\x00\x01\x00\x02", 7, DRIVER_UNFIT, 0},
        {"\x07\x03\x02\x00\x01\x00\x02", 7, DRIVER_UNFIT, 0},
        {"\x07\x03\x04\x00\x01\x00", 6, DRIVER_UNFIT, 0},
        {"\x07\x03\x04\x00\x01\x00\x02\x00", 8, DRIVER_UNFIT, 0},
        {"\x07\x83\x02", 3, DRIVER_REFUSED, 2},
        {"\x07\x84\x02", 3, DRIVER_UNFIT, 0},
        {"\x08\x83\x02", 3, DRIVER_UNFIT, 0},
        {"\x07\x83\x02\x00", 4, DRIVER_UNFIT, 0},
        {"\x07\x03", 2, DRIVER_UNFIT, 0},
        {"", 0, DRIVER_UNFIT, 0},
    };
    const struct plan_request request = two_registers();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct driver_reply reply;
        modbus_frame_judge(&request, (const uint8_t *)rows[i].bytes, rows[i].length, &reply);
        assert_int_equal(reply.outcome, rows[i].outcome);
        assert_int_equal(reply.exception, rows[i].exception);
        assert_true((reply.data != NULL) == (rows[i].outcome == DRIVER_ANSWERED));
        assert_true((reply.reason != NULL) == (rows[i].outcome == DRIVER_UNFIT));
    }
}

/* What is whole but short is told apart: not from bytes that were lost on the way. */
static void a_reply_with_less_than_was_asked_for_is_known_as_such(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        bool is_short;
    } rows[] = {
        {"\x07\x03\x02\x00\x01", 5, true},
        {"\x07\x03\x00", 3, true},
        {"\x07\x03\x02\x00", 4, false},
        {"\x07\x03\x02\x00\x01\x00\x02", 7, false},
        {"\x07\x03\x04\x00\x01\x00\x02", 7, false},
        {"\x07\x03\x06\x00\x01\x00\x02\x00\x03", 9, false},
        {"\x08\x03\x02\x00\x01", 5, false},
        {"\x07\x04\x02\x00\x01", 5, false},
        {"\x07\x83\x02", 3, false},
    };
    const struct plan_request request = two_registers();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct driver_reply reply;
        modbus_frame_judge(&request, (const uint8_t *)rows[i].bytes, rows[i].length, &reply);
        assert_true(reply.is_short == rows[i].is_short);
        assert_true(!reply.is_short || (reply.outcome == DRIVER_UNFIT && reply.data == NULL));
    }
}

static void a_tcp_frame_must_carry_the_transaction(void **state) {
    (void)state;
    const uint8_t frame[] = {0xab, 0xcd, 0, 0, 0, 7, 7, 3, 4, 0, 1, 0, 2};
    const struct plan_request request = two_registers();
    struct driver_reply reply;
    modbus_frame_tcp_judge(&request, 0xabcd, frame, sizeof frame, &reply);
    assert_int_equal(reply.outcome, DRIVER_ANSWERED);
    assert_ptr_equal(reply.data, frame + 9);
    assert_int_equal(reply.data_length, 4);
    modbus_frame_tcp_judge(&request, 0xabce, frame, sizeof frame, &reply);
    assert_int_equal(reply.outcome, DRIVER_UNFIT);
    modbus_frame_tcp_judge(&request, 0xabcd, frame, sizeof frame - 1, &reply);
    assert_int_equal(reply.outcome, DRIVER_UNFIT);
    modbus_frame_tcp_judge(&request, 0xabcd, frame, 0, &reply);
    assert_int_equal(reply.outcome, DRIVER_UNFIT);
    assert_int_equal(modbus_frame_tcp_reply_bytes(&request), sizeof frame);
}

static void the_length_of_a_tcp_frame_is_known_from_its_header(void **state) {
    (void)state;
    static const struct {
        uint8_t header[6];
        size_t have, length;
    } rows[] = {
        {{0, 1, 0, 0, 0, 7}, 6, 13},       {{0, 1, 0, 0, 0, 7}, 5, 0},        {{0, 1, 0, 0, 0, 3}, 6, 9},
        {{0, 1, 0, 0, 0, 254}, 6, 260},    {{0, 1, 0, 0, 0, 2}, 6, SIZE_MAX}, {{0, 1, 0, 0, 0, 255}, 6, SIZE_MAX},
        {{0, 1, 0, 0, 1, 7}, 6, SIZE_MAX}, {{0, 1, 0, 1, 0, 7}, 6, SIZE_MAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_true(modbus_frame_tcp_length(rows[i].header, rows[i].have) == rows[i].length);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_only_ever_read),
        cmocka_unit_test(only_the_reply_itself_is_taken),
        cmocka_unit_test(a_reply_with_less_than_was_asked_for_is_known_as_such),
        cmocka_unit_test(a_tcp_frame_must_carry_the_transaction),
        cmocka_unit_test(the_length_of_a_tcp_frame_is_known_from_its_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
