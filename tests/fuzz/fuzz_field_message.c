// links: drivers/instructions.c drivers/plan.c drivers/plan_split.c drivers/schedule.c drivers/figures.c drivers/ring.c gateway/common/plant.c gateway/common/json.c gateway/common/error.c gateway/common/message.c gateway/common/quality.c gateway/common/file.c gateway/common/plant_lines.c gateway/common/plant_write.c gateway/common/reading.c gateway/common/quality.c drivers/json_memory.c
/* What core may say to forebay-field: messages one after the other, each behind its type and length (16 bits). A plant
 * that is taken must be one that the workers can plan. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/figures.h"
#include "drivers/instructions.h"
#include "drivers/plan.h"
#include "drivers/ring.h"
#include "drivers/schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As after refusals of everything, until nothing can be cut any more. */
static void split_all(struct plan *plan, struct schedule *schedule, struct figures *figures) {
    for (size_t i = 0; i < plan->request_count;) {
        const struct plan_request light = plan_light_request(&plan->requests[i]);
        assert(light.count > 0 && light.count <= plan->requests[i].count);
        if (plan_split(plan, i)) {
            schedule_split(schedule, i);
            figures_split(figures, i);
        } else {
            i++;
        }
    }
    assert(schedule->count == plan->request_count && figures->request_count == plan->request_count);
}

static void use_bus(const struct plant *plant, size_t bus) {
    struct plan plan;
    struct schedule schedule;
    struct figures figures;
    assert(plan_bus(plant, bus, &plan) == FB_OK);
    assert(schedule_make(&plan, 0, &schedule) == FB_OK);
    assert(figures_make(plant, bus, &plan, 0, 0, &figures) == FB_OK);
    split_all(&plan, &schedule, &figures);
    for (size_t i = 0; i < plan.request_count; i++) {
        assert(plan.requests[i].count > 0 && plan.requests[i].address + plan.requests[i].count <= 65536);
        figures_note(&figures, i, (uint8_t)(i % 2 ? 0 : 128), true, "", 1);
        schedule_served(&schedule, schedule_first(&schedule), i * 1000);
    }
    assert(plan_load(&plant->buses[bus], &plan) >= 0.0);
    assert(plan_cycle_us(&plant->buses[bus], &plan, 1) >= plan_cycle_us(&plant->buses[bus], &plan, 0));
    free(figures_json(&figures, schedule.overruns, 1));
    figures_done(&figures);
    schedule_done(&schedule);
    plan_done(&plan);
}

static void follow(struct ring *ring, struct instruction *instruction) {
    if (instruction->kind == INSTRUCTION_RESUME)
        ring_resume(ring, instruction->sequence);
    if (instruction->kind == INSTRUCTION_COMMITTED)
        (void)ring_commit(ring, instruction->sequence);
    for (size_t i = 0; i < instruction->plant.bus_count; i++)
        use_bus(&instruction->plant, i);
    plant_done(&instruction->plant);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct instructions instructions = {0};
    struct ring ring;
    ring_init(&ring, 2);
    ring_add_loss(&ring, 1, 0, 0);
    while (size >= 3) {
        const size_t wanted = data[1] | (size_t)data[2] << 8;
        const size_t length = wanted < size - 3 ? wanted : size - 3;
        struct message_reader reader = {.data = data + 3, .left = length, .type = data[0]};
        struct instruction instruction;
        struct fb_cause cause;
        if (instructions_take(&instructions, &reader, &instruction, &cause) != FB_OK)
            break;
        follow(&ring, &instruction);
        data += 3 + length;
        size -= 3 + length;
    }
    instructions_reset(&instructions);
    ring_done(&ring);
    return 0;
}
