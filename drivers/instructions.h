/* instructions.h - what core tells forebay-field, message by message, checked: RESUME, COMMITTED, ASK and the plant,
 * which is put together from its parts and handed out whole. Memory only. */
#ifndef FB_DRIVERS_INSTRUCTIONS_H
#define FB_DRIVERS_INSTRUCTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/common/message.h"
#include "gateway/common/plant.h"

struct instructions {
    struct plant plant; /* what has come of it so far */
    bool building;
};

enum instruction_kind {
    INSTRUCTION_NONE, /* a part of a plant */
    INSTRUCTION_RESUME,
    INSTRUCTION_COMMITTED,
    INSTRUCTION_PLANT,
    INSTRUCTION_ASK,
};

struct instruction {
    enum instruction_kind kind;
    uint64_t sequence;  /* of RESUME and COMMITTED */
    uint64_t id;        /* of ASK */
    const char *text;   /* of ASK: JSON that was not looked at yet, borrowed from the message */
    size_t length;      /* of text, bytes */
    struct plant plant; /* of PLANT: the caller's, end it with plant_done() */
};

/* Take one message. FB_INVALID: core said something that it must not; the cause says what. */
enum fb_error instructions_take(struct instructions *instructions, struct message_reader *reader,
                                struct instruction *ret_instruction, struct fb_cause *cause) FB_MUST_USE;

/* Forget what has come so far, as when core has left. */
void instructions_reset(struct instructions *instructions);

#endif
