#include "drivers/plan.h"

#include <stdbool.h>
#include <stdlib.h>

#define REGISTERS_MAX 125u /* Modbus application protocol V1.1b3, sections 6.3 and 6.4 */
#define BITS_MAX 2000u     /* sections 6.1 and 6.2 */

/* Bytes of a read request and of a reply beside its data: unit, function, address, count, CRC (serial line V1.02,
 * section 2.3) or the header of seven bytes in place of unit and CRC (messaging on TCP/IP V1.0b, section 3.1). */
struct overhead {
    unsigned request, reply;
};
static const struct overhead overheads[] = {
    [PLANT_MODBUS_TCP] = {12, 9},
    [PLANT_MODBUS_RTU] = {8, 5},
};

/* How long a controller usually thinks before it answers: assumed, manuals give 0 to 30 ms. */
#define DELAY_RTU_US 5000u
#define DELAY_TCP_US 1000u
/* The quiet time between frames: 3.5 characters, fixed above 19200 baud (serial line V1.02, section 2.5.1.1). */
#define QUIET_FAST_US 1750u
#define QUIET_FAST_BAUD 19200u
#define TCP_BYTES_PER_US 12u /* 100 Mbit/s */

/* One tag and where it belongs, so that sorting puts together what can be read together. */
struct wanted {
    const struct plant_instrument *instrument;
    const struct plant_tag *tag;
};

static bool is_bits(enum plant_table table) {
    return table == PLANT_COIL || table == PLANT_DISCRETE;
}

static unsigned tag_count(const struct plant_tag *tag) {
    return is_bits(tag->table) ? 1 : plant_type_registers(tag->type);
}

static int order(uint64_t left, uint64_t right) {
    return (left > right) - (left < right);
}

static int compare_wanted(const void *left_pointer, const void *right_pointer) {
    const struct wanted *left = left_pointer;
    const struct wanted *right = right_pointer;
    const int by[] = {
        order((uintptr_t)left->instrument, (uintptr_t)right->instrument),
        order(left->tag->interval_ms, right->tag->interval_ms),
        order(left->tag->table, right->tag->table),
        order(left->tag->address, right->tag->address),
        order((uintptr_t)left->tag, (uintptr_t)right->tag),
    };
    for (size_t i = 0; i < sizeof by / sizeof by[0]; i++)
        if (by[i] != 0)
            return by[i];
    return 0;
}

static size_t count_tags(const struct plant *plant, size_t bus) {
    size_t count = 0;
    for (size_t i = 0; i < plant->instrument_count; i++)
        if (plant->instruments[i].bus == bus)
            count += plant->instruments[i].tag_count;
    return count;
}

/* FB_INVALID when a tag would run past the end of its table: no request could read it. */
static enum fb_error collect(const struct plant *plant, size_t bus, struct wanted *ret_wanted) {
    size_t count = 0;
    for (size_t i = 0; i < plant->instrument_count; i++) {
        const struct plant_instrument *instrument = &plant->instruments[i];
        for (size_t j = 0; instrument->bus == bus && j < instrument->tag_count; j++) {
            const struct plant_tag *tag = &instrument->tags[j];
            if (tag->address + tag_count(tag) > 65536 || tag->interval_ms == 0)
                return FB_INVALID;
            ret_wanted[count++] = (struct wanted){instrument, tag};
        }
    }
    return FB_OK;
}

static unsigned count_most(const struct plan_request *request) {
    const unsigned registers = request->instrument->registers_most;
    if (is_bits(request->table))
        return registers * 16 < BITS_MAX ? registers * 16 : BITS_MAX;
    return registers < REGISTERS_MAX ? registers : REGISTERS_MAX;
}

static unsigned gap_most(enum plant_bus_kind kind, enum plant_table table) {
    const unsigned bytes = overheads[kind].request + overheads[kind].reply;
    return is_bits(table) ? bytes * 8 : (bytes + 1) / 2;
}

/* Make the request one tag longer, if the tag belongs to it and is near enough. */
static bool extend(struct plan_request *request, enum plant_bus_kind kind, const struct wanted *wanted) {
    const struct plant_tag *tag = wanted->tag;
    if (request->instrument != wanted->instrument || request->interval_ms != tag->interval_ms ||
        request->table != tag->table)
        return false;
    const unsigned end = request->address + request->count;
    const unsigned tag_end = tag->address + tag_count(tag);
    if (tag->address > end + gap_most(kind, request->table))
        return false;
    const unsigned count = (tag_end > end ? tag_end : end) - request->address;
    if (count > count_most(request))
        return false;
    request->count = (uint16_t)count;
    request->tag_count++;
    return true;
}

static struct plan_request start(const struct wanted *wanted, const struct plant_tag **tags) {
    return (struct plan_request){
        .instrument = wanted->instrument,
        .table = wanted->tag->table,
        .address = wanted->tag->address,
        .count = (uint16_t)tag_count(wanted->tag),
        .interval_ms = wanted->tag->interval_ms,
        .tags = tags,
        .tag_count = 1,
    };
}

static void coalesce(enum plant_bus_kind kind, const struct wanted *wanted, size_t count, struct plan *plan) {
    for (size_t i = 0; i < count; i++) {
        plan->tags[i] = wanted[i].tag;
        if (plan->request_count == 0 || !extend(&plan->requests[plan->request_count - 1], kind, &wanted[i]))
            plan->requests[plan->request_count++] = start(&wanted[i], &plan->tags[i]);
    }
}

enum fb_error plan_bus(const struct plant *plant, size_t bus, struct plan *ret_plan) {
    const size_t count = count_tags(plant, bus);
    if (count == 0) {
        *ret_plan = (struct plan){0};
        return FB_OK;
    }
    struct wanted *wanted = calloc(count, sizeof *wanted);
    struct plan plan = {.requests = calloc(count, sizeof *plan.requests), .tags = calloc(count, sizeof *plan.tags)};
    enum fb_error error = FB_MEMORY;
    if (wanted != NULL && plan.requests != NULL && plan.tags != NULL)
        error = collect(plant, bus, wanted);
    if (error == FB_OK) {
        qsort(wanted, count, sizeof *wanted, compare_wanted);
        coalesce(plant->buses[bus].kind, wanted, count, &plan);
        *ret_plan = plan;
    } else {
        plan_done(&plan);
    }
    free(wanted);
    return error;
}

void plan_done(struct plan *plan) {
    free(plan->requests);
    free(plan->tags);
    *plan = (struct plan){0};
}

static unsigned data_bytes(const struct plan_request *request) {
    return is_bits(request->table) ? (request->count + 7u) / 8u : request->count * 2u;
}

uint64_t plan_request_cost_us(const struct plant_bus *bus, const struct plan_request *request) {
    const struct overhead *overhead = &overheads[bus->kind];
    const uint64_t bytes = overhead->request + overhead->reply + data_bytes(request);
    const uint64_t pause_us = (uint64_t)bus->pause_ms * 1000;
    if (bus->kind == PLANT_MODBUS_TCP)
        return bytes / TCP_BYTES_PER_US + DELAY_TCP_US + pause_us;
    const unsigned bits = 1 + 8 + (bus->parity != PLANT_PARITY_NONE) + bus->stop_bits;
    const uint64_t character_us = (bits * UINT64_C(1000000) + bus->baud - 1) / bus->baud;
    const uint64_t quiet_us = bus->baud > QUIET_FAST_BAUD ? QUIET_FAST_US : character_us * 7 / 2;
    return bytes * character_us + DELAY_RTU_US + quiet_us + (pause_us > quiet_us ? pause_us : quiet_us);
}

double plan_load(const struct plant_bus *bus, const struct plan *plan) {
    double load = 0.0;
    for (size_t i = 0; i < plan->request_count; i++)
        load += (double)plan_request_cost_us(bus, &plan->requests[i]) / (plan->requests[i].interval_ms * 1000.0);
    return load;
}
