#include "drivers/modbus_write.h"

#include <string.h>

#define WRITE_COIL 5
#define WRITE_REGISTER 6
#define WRITE_REGISTERS 16
#define EXCEPTION_BIT 0x80
#define COIL_ON 0xff00

static void put_word(struct modbus_write *frame, unsigned word) {
    frame->bytes[frame->length++] = (uint8_t)(word >> 8);
    frame->bytes[frame->length++] = (uint8_t)word;
}

/* The value's 16 or 32 bits. */
static uint32_t bits_of(enum plant_type type, double value) {
    const float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    return type == PLANT_FLOAT32 ? bits : (uint32_t)(int64_t)value;
}

/* The bytes of a word as the order has them. */
static unsigned ordered(unsigned word, enum plant_word_order order) {
    const bool swapped = order == PLANT_BADC || order == PLANT_DCBA;
    return swapped ? (word & 0xff) << 8 | (word >> 8 & 0xff) : word;
}

static void put_value(struct modbus_write *frame, const struct plant_write *write, uint32_t bits) {
    const enum plant_word_order order = write->word_order;
    const bool reversed = order == PLANT_CDAB || order == PLANT_DCBA;
    const bool pair = plant_type_registers(write->type) > 1;
    const unsigned high = bits >> 16, low = bits & 0xffff;
    if (pair)
        put_word(frame, ordered(reversed ? low : high, order));
    put_word(frame, ordered(pair && reversed ? high : low, order));
}

enum fb_error modbus_write_make(uint8_t unit, const struct plant_write *write, double value,
                                struct modbus_write *ret_write, struct fb_cause *cause) {
    const enum fb_error error = plant_write_check_value(write, value, cause);
    if (error != FB_OK)
        return error;
    const unsigned count = plant_type_registers(write->type);
    const uint8_t function = write->table == PLANT_COIL ? WRITE_COIL : count == 1 ? WRITE_REGISTER : WRITE_REGISTERS;
    struct modbus_write frame = {.bytes = {unit, function}, .length = 2};
    put_word(&frame, write->address);
    if (function == WRITE_COIL) {
        put_word(&frame, value != 0 ? COIL_ON : 0);
    } else {
        if (function == WRITE_REGISTERS) {
            put_word(&frame, count);
            frame.bytes[frame.length++] = (uint8_t)(2 * count);
        }
        put_value(&frame, write, bits_of(write->type, value));
    }
    *ret_write = frame;
    return FB_OK;
}

void modbus_write_judge(const struct modbus_write *write, const uint8_t *frame, size_t length,
                        struct driver_reply *ret_reply) {
    const uint8_t function = write->bytes[1];
    *ret_reply = (struct driver_reply){.outcome = DRIVER_UNFIT, .reason = "not the reply to this write"};
    if (length >= 3 && frame[0] == write->bytes[0] && frame[1] == (function | EXCEPTION_BIT) && length == 3)
        *ret_reply = (struct driver_reply){.outcome = DRIVER_REFUSED, .exception = frame[2]};
    else if (length == MODBUS_WRITE_REPLY_BYTES && memcmp(frame, write->bytes, MODBUS_WRITE_REPLY_BYTES) == 0)
        *ret_reply = (struct driver_reply){.outcome = DRIVER_ANSWERED};
}
