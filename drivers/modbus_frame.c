#include "drivers/modbus_frame.h"

#include "drivers/checksum.h"
#include "drivers/decode.h"

#define EXCEPTION_BIT 0x80
#define REPLY_HEADER_BYTES 3 /* unit, function, byte count */
#define EXCEPTION_BYTES 3    /* unit, function, code */
#define WRITTEN_BYTES 6      /* unit, function, address, value or count */

static const uint8_t functions[] = {
    [PLANT_COIL] = 1,
    [PLANT_DISCRETE] = 2,
    [PLANT_INPUT] = 4,
    [PLANT_HOLDING] = 3,
};

static void put_word(uint8_t *bytes, uint16_t word) {
    bytes[0] = (uint8_t)(word >> 8);
    bytes[1] = (uint8_t)word;
}

static uint16_t get_word(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

void modbus_frame_request(const struct plan_request *request, uint8_t ret_frame[static MODBUS_FRAME_REQUEST_BYTES]) {
    ret_frame[0] = request->instrument->unit;
    ret_frame[1] = functions[request->table];
    put_word(ret_frame + 2, request->address);
    put_word(ret_frame + 4, request->count);
}

void modbus_frame_tcp_header(uint16_t transaction, uint16_t length,
                             uint8_t ret_header[static MODBUS_FRAME_TCP_HEADER_BYTES]) {
    put_word(ret_header, transaction);
    put_word(ret_header + 2, 0);
    put_word(ret_header + 4, length);
}

size_t modbus_frame_tcp_reply_bytes(const struct plan_request *request) {
    return MODBUS_FRAME_TCP_HEADER_BYTES + REPLY_HEADER_BYTES + decode_data_bytes(request->table, request->count);
}

size_t modbus_frame_tcp_length(const uint8_t *bytes, size_t length) {
    if (length < MODBUS_FRAME_TCP_HEADER_BYTES)
        return 0;
    const size_t whole = MODBUS_FRAME_TCP_HEADER_BYTES + (size_t)get_word(bytes + 4);
    const bool possible = get_word(bytes + 2) == 0 && whole >= MODBUS_FRAME_TCP_HEADER_BYTES + REPLY_HEADER_BYTES &&
                          whole <= MODBUS_FRAME_TCP_MAX_BYTES;
    return possible ? whole : SIZE_MAX;
}

void modbus_frame_rtu_request(const struct plan_request *request,
                              uint8_t ret_frame[static MODBUS_FRAME_REQUEST_BYTES + MODBUS_FRAME_CRC_BYTES]) {
    modbus_frame_request(request, ret_frame);
    const uint16_t crc = checksum_crc16(ret_frame, MODBUS_FRAME_REQUEST_BYTES);
    ret_frame[MODBUS_FRAME_REQUEST_BYTES] = (uint8_t)crc;
    ret_frame[MODBUS_FRAME_REQUEST_BYTES + 1] = (uint8_t)(crc >> 8);
}

/* Functions whose replies say nothing of their length. */
static bool is_write(uint8_t function) {
    return function == 5 || function == 6 || function == 16;
}

size_t modbus_frame_rtu_length(const uint8_t *bytes, size_t length) {
    if (length < REPLY_HEADER_BYTES)
        return 0;
    if ((bytes[1] & EXCEPTION_BIT) != 0)
        return EXCEPTION_BYTES + MODBUS_FRAME_CRC_BYTES;
    if (is_write(bytes[1]))
        return WRITTEN_BYTES + MODBUS_FRAME_CRC_BYTES;
    const size_t whole = REPLY_HEADER_BYTES + (size_t)bytes[2] + MODBUS_FRAME_CRC_BYTES;
    return whole <= MODBUS_FRAME_RTU_MAX_BYTES ? whole : SIZE_MAX;
}

static void unfit(struct driver_reply *ret_reply, const char *reason) {
    *ret_reply = (struct driver_reply){.outcome = DRIVER_UNFIT, .reason = reason};
}

/* Some instruments send what they have of the registers, and leave out the rest. Which they left out nobody can say. */
static void unfit_length(struct driver_reply *ret_reply, const uint8_t *frame, size_t length, size_t data_length) {
    const bool is_short = length == REPLY_HEADER_BYTES + (size_t)frame[2] && frame[2] < data_length;
    unfit(ret_reply, is_short ? "reply with less than was asked for" : "reply of another length");
    ret_reply->is_short = is_short;
}

void modbus_frame_judge(const struct plan_request *request, const uint8_t *frame, size_t length,
                        struct driver_reply *ret_reply) {
    const uint8_t function = functions[request->table];
    const size_t data_length = decode_data_bytes(request->table, request->count);
    if (length < REPLY_HEADER_BYTES)
        unfit(ret_reply, "reply too short");
    else if (frame[0] != request->instrument->unit)
        unfit(ret_reply, "reply of another unit");
    else if (frame[1] == (function | EXCEPTION_BIT) && length == REPLY_HEADER_BYTES)
        *ret_reply = (struct driver_reply){.outcome = DRIVER_REFUSED, .exception = frame[2]};
    else if (frame[1] != function)
        unfit(ret_reply, "reply to another function");
    else if (frame[2] != data_length || length != REPLY_HEADER_BYTES + data_length)
        unfit_length(ret_reply, frame, length, data_length);
    else
        *ret_reply = (struct driver_reply){
            .outcome = DRIVER_ANSWERED, .data = frame + REPLY_HEADER_BYTES, .data_length = data_length};
}

bool modbus_frame_rtu_whole(const uint8_t *frame, size_t length, struct driver_reply *ret_reply) {
    if (length <= MODBUS_FRAME_CRC_BYTES || modbus_frame_rtu_length(frame, length) != length) {
        unfit(ret_reply, "not a Modbus RTU frame");
        return false;
    }
    const size_t covered = length - MODBUS_FRAME_CRC_BYTES;
    const uint16_t crc = checksum_crc16(frame, covered);
    const bool good = frame[covered] == (uint8_t)crc && frame[covered + 1] == crc >> 8;
    if (!good)
        unfit(ret_reply, "wrong CRC");
    return good;
}

void modbus_frame_rtu_judge(const struct plan_request *request, const uint8_t *frame, size_t length,
                            struct driver_reply *ret_reply) {
    if (modbus_frame_rtu_whole(frame, length, ret_reply))
        modbus_frame_judge(request, frame, length - MODBUS_FRAME_CRC_BYTES, ret_reply);
}

bool modbus_frame_tcp_whole(uint16_t transaction, const uint8_t *frame, size_t length, struct driver_reply *ret_reply) {
    if (length < MODBUS_FRAME_TCP_HEADER_BYTES || modbus_frame_tcp_length(frame, length) != length)
        unfit(ret_reply, "not a Modbus TCP frame");
    else if (get_word(frame) != transaction)
        unfit(ret_reply, "reply to another transaction");
    else
        return true;
    return false;
}

void modbus_frame_tcp_judge(const struct plan_request *request, uint16_t transaction, const uint8_t *frame,
                            size_t length, struct driver_reply *ret_reply) {
    if (modbus_frame_tcp_whole(transaction, frame, length, ret_reply))
        modbus_frame_judge(request, frame + MODBUS_FRAME_TCP_HEADER_BYTES, length - MODBUS_FRAME_TCP_HEADER_BYTES,
                           ret_reply);
}
