#include "drivers/instructions.h"

#include "gateway/common/protocol.h"

typedef enum fb_error (*taker)(struct instructions *instructions, struct message_reader *reader,
                               struct instruction *instruction, struct fb_cause *cause);

static enum fb_error take_sequence(struct message_reader *reader, enum instruction_kind kind,
                                   struct instruction *instruction, struct fb_cause *cause) {
    instruction->sequence = message_get_u64(reader);
    instruction->kind = kind;
    return message_done(reader) ? FB_OK : fb_fail(cause, FB_INVALID, "not one sequence");
}

static enum fb_error take_resume(struct instructions *instructions, struct message_reader *reader,
                                 struct instruction *instruction, struct fb_cause *cause) {
    (void)instructions;
    return take_sequence(reader, INSTRUCTION_RESUME, instruction, cause);
}

static enum fb_error take_committed(struct instructions *instructions, struct message_reader *reader,
                                    struct instruction *instruction, struct fb_cause *cause) {
    (void)instructions;
    return take_sequence(reader, INSTRUCTION_COMMITTED, instruction, cause);
}

static enum fb_error take_begin(struct instructions *instructions, struct message_reader *reader,
                                struct instruction *instruction, struct fb_cause *cause) {
    (void)instruction;
    if (!message_done(reader))
        return fb_fail(cause, FB_INVALID, "not empty");
    instructions_reset(instructions);
    instructions->building = true;
    return FB_OK;
}

static enum fb_error take_json(struct instructions *instructions, struct message_reader *reader,
                               enum fb_error (*add)(struct plant *plant, const json_t *json, struct fb_cause *cause),
                               struct fb_cause *cause) {
    size_t length;
    const uint8_t *bytes = message_get_rest(reader, &length);
    if (!instructions->building || !message_done(reader))
        return fb_fail(cause, FB_INVALID, "outside of a plant");
    json_error_t why;
    json_t *json = json_loadb((const char *)bytes, length, JSON_REJECT_DUPLICATES, &why);
    if (json == NULL)
        return fb_fail(cause, FB_INVALID, "JSON: %s", why.text);
    const enum fb_error error = add(&instructions->plant, json, cause);
    json_decref(json);
    return error;
}

static enum fb_error take_bus(struct instructions *instructions, struct message_reader *reader,
                              struct instruction *instruction, struct fb_cause *cause) {
    (void)instruction;
    return take_json(instructions, reader, plant_add_bus_json, cause);
}

static enum fb_error take_instrument(struct instructions *instructions, struct message_reader *reader,
                                     struct instruction *instruction, struct fb_cause *cause) {
    (void)instruction;
    return take_json(instructions, reader, plant_add_instrument_json, cause);
}

static enum fb_error take_end(struct instructions *instructions, struct message_reader *reader,
                              struct instruction *instruction, struct fb_cause *cause) {
    if (!instructions->building || !message_done(reader))
        return fb_fail(cause, FB_INVALID, "outside of a plant");
    instruction->kind = INSTRUCTION_PLANT;
    instruction->plant = instructions->plant;
    *instructions = (struct instructions){0};
    return FB_OK;
}

static enum fb_error take_ask(struct instructions *instructions, struct message_reader *reader,
                              struct instruction *instruction, struct fb_cause *cause) {
    (void)instructions;
    instruction->kind = INSTRUCTION_ASK;
    instruction->id = message_get_u64(reader);
    instruction->text = (const char *)message_get_rest(reader, &instruction->length);
    return message_done(reader) ? FB_OK : fb_fail(cause, FB_INVALID, "not one question");
}

static const struct {
    uint8_t type;
    taker take;
} takers[] = {
    {PROTOCOL_FIELD_RESUME, take_resume},
    {PROTOCOL_COMMITTED, take_committed},
    {PROTOCOL_PLANT_BEGIN, take_begin},
    {PROTOCOL_PLANT_BUS, take_bus},
    {PROTOCOL_PLANT_INSTRUMENT, take_instrument},
    {PROTOCOL_PLANT_END, take_end},
    {PROTOCOL_ASK, take_ask},
};

enum fb_error instructions_take(struct instructions *instructions, struct message_reader *reader,
                                struct instruction *ret_instruction, struct fb_cause *cause) {
    for (size_t i = 0; i < sizeof takers / sizeof takers[0]; i++) {
        if (takers[i].type != reader->type)
            continue;
        *ret_instruction = (struct instruction){.kind = INSTRUCTION_NONE};
        return takers[i].take(instructions, reader, ret_instruction, cause);
    }
    return fb_fail(cause, FB_INVALID, "a message of type %u is not for forebay-field", reader->type);
}

void instructions_reset(struct instructions *instructions) {
    plant_done(&instructions->plant);
    instructions->building = false;
}
