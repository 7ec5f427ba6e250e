// links: drivers/modbus_frame.c drivers/modbus_write.c drivers/decode.c drivers/text_value.c gateway/common/plant.c gateway/common/json.c gateway/common/error.c gateway/common/reading.c gateway/common/quality.c gateway/common/file.c drivers/checksum.c gateway/common/plant_lines.c gateway/common/plant_write.c
/* Bytes that pretend to be the reply to a request: whatever is taken for one gives valid readings of the tag's kind.
 * The first bytes choose the request and the tag, the rest is the frame. */
#include <assert.h>
#include <string.h>

#include "drivers/decode.h"
#include "drivers/modbus_frame.h"
#include "gateway/common/quality.h"

struct choice {
    uint8_t table, type, order, unit, transaction, count, at, clock;
    int8_t scale_exponent, offset_exponent;
    uint8_t framing, ranges, bits, status;
    int64_t scale, offset;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct plant_tag make_tag(const struct choice *choice) {
    struct plant_tag tag = {
        .number = 1,
        .table = (enum plant_table)(choice->table % 4),
        .type = (enum plant_type)(choice->type % (PLANT_TEXT + 1)),
        .word_order = (enum plant_word_order)(choice->order % 4),
        .scale = {choice->scale, (int8_t)(choice->scale_exponent % 13)},
        .offset = {choice->offset, (int8_t)(choice->offset_exponent % 13)},
        .has_min = choice->ranges & 1,
        .has_max = choice->ranges & 2,
        .min = -1,
        .max = 1000,
    };
    if (tag.table <= PLANT_DISCRETE)
        tag.type = PLANT_BIT;
    if (tag.type == PLANT_TEXT)
        tag.length = 1 + choice->bits % PLANT_TEXT_REGISTERS_MOST;
    tag.no_value_count = choice->ranges >> 2 & 1;
    tag.no_value[0] = (uint64_t)choice->scale;
    tag.bit_first = choice->bits & 31;
    tag.bit_count = choice->bits >> 5;
    tag.status = (struct plant_status){.fault = choice->status & 1, .maintenance = choice->status & 2};
    struct fb_cause cause;
    if (plant_tag_check(&tag, PLANT_REGISTERS_MOST, &cause) != FB_OK) {
        tag.bit_first = tag.bit_count = 0;
        tag.status = (struct plant_status){0};
    }
    return tag;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct choice choice;
    if (size < sizeof choice)
        return 0;
    memcpy(&choice, data, sizeof choice);
    const uint8_t *frame = data + sizeof choice;
    const size_t length = size - sizeof choice;
    struct plant_tag tag = make_tag(&choice);
    const struct plant_tag *tags[] = {&tag};
    const struct plant_instrument instrument = {
        .unit = choice.unit, .heartbeat = {.table = tag.table, .address = choice.at % 100, .mask = 0xffff}};
    const unsigned needed = plant_tag_registers(&tag);
    tag.address = choice.at % 100;
    tag.status.address = choice.unit % (tag.address + needed);
    const struct plan_request request = {.instrument = &instrument,
                                         .table = tag.table,
                                         .count = (uint16_t)(tag.address + needed + choice.count % 20),
                                         .tags = tags,
                                         .tag_count = 1};
    struct driver_reply reply;
    if (choice.framing % 3 == 1)
        modbus_frame_tcp_judge(&request, choice.transaction, frame, length, &reply);
    else if (choice.framing % 3 == 2)
        modbus_frame_rtu_judge(&request, frame, length, &reply);
    else
        modbus_frame_judge(&request, frame, length, &reply);
    assert(!reply.is_short || reply.outcome == DRIVER_UNFIT);
    if (reply.outcome != DRIVER_ANSWERED)
        return 0;
    assert(reply.data_length == decode_data_bytes(request.table, request.count));
    assert(reply.data >= frame && reply.data + reply.data_length <= frame + length);
    assert(decode_watch(&request, PLAN_HEARTBEAT, reply.data) <= instrument.heartbeat.mask);
    struct reading units[READING_UNITS_MAX];
    const enum clock_state clock = choice.clock & 1 ? CLOCK_NOT_SET : CLOCK_SYNCHRONISED;
    const size_t used = decode_reply(&request, reply.data, 0, clock, units);
    assert(used <= decode_units(&request) && readings_valid(units, used) && readings_count(units, used) == 1);
    assert(units[0].kind == plant_tag_kind(&tag));
    assert(!(choice.clock & 1) || units[0].quality != QUALITY_GOOD);
    return 0;
}
