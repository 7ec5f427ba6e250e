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
    [PLANT_MODBUS_RTU_TCP] = {8, 5},
    /* Lines differ: a short question and a line of usual length, of which eight bytes are counted as data. */
    [PLANT_SERIAL] = {8, 40},
    [PLANT_SERIAL_TCP] = {8, 40},
};

/* How long a controller usually thinks before it answers: assumed, manuals give 0 to 30 ms. */
#define DELAY_RTU_US 5000u
#define DELAY_TCP_US 1000u
/* The quiet time between frames: 3.5 characters, fixed above 19200 baud (serial line V1.02, section 2.5.1.1). */
#define QUIET_FAST_US 1750u
#define QUIET_FAST_BAUD 19200u
#define TCP_BYTES_PER_US 12u /* 100 Mbit/s */
/* One character at 9600 baud: what a byte costs where a gateway passes Modbus TCP on to a line. */
#define BEHIND_TCP_BYTE_US 1042u
/* Serial line V1.02, section 2.5.1: a character has 11 bits; a serial server does not tell whether it keeps to that. */
#define RTU_CHARACTER_BITS 11u

/* A tag, or a watch of the instrument, and what must be read for it, so that sorting puts together what can be read
 * together. */
struct wanted {
    const struct plant_instrument *instrument;
    const struct plant_tag *tag; /* NULL for a watch */
    enum plan_watch watch;
    enum plant_table table;
    uint32_t address, count;
    uint32_t interval_ms;
    uint64_t cost_us; /* of the cheapest way to read its run from here on */
    size_t next;      /* the place in the run where that way's second request begins */
    bool begins;      /* a request */
};

static const struct plant_watch *watch_of(const struct plant_instrument *instrument, enum plan_watch watch) {
    return watch == PLAN_HEARTBEAT ? &instrument->heartbeat : &instrument->service;
}

static int order(uint64_t left, uint64_t right) {
    return (left > right) - (left < right);
}

static int compare_wanted(const void *left_pointer, const void *right_pointer) {
    const struct wanted *left = left_pointer;
    const struct wanted *right = right_pointer;
    const int by[] = {
        order((uintptr_t)left->instrument, (uintptr_t)right->instrument),
        order(left->interval_ms, right->interval_ms),
        order(left->table, right->table),
        order(left->address, right->address),
        order((uintptr_t)left->tag, (uintptr_t)right->tag),
        order(left->watch, right->watch),
    };
    for (size_t i = 0; i < sizeof by / sizeof by[0]; i++)
        if (by[i] != 0)
            return by[i];
    return 0;
}

static size_t count_wanted(const struct plant *plant, size_t bus) {
    size_t count = 0;
    for (size_t i = 0; i < plant->instrument_count; i++)
        if (plant->instruments[i].bus == bus)
            count += plant->instruments[i].tag_count + (plant->instruments[i].heartbeat.mask != 0) +
                     (plant->instruments[i].service.mask != 0);
    return count;
}

/* FB_INVALID when a tag would run past the end of its table: no request could read it. */
static enum fb_error want_tag(const struct plant_instrument *instrument, const struct plant_tag *tag,
                              struct wanted *ret_wanted) {
    *ret_wanted =
        (struct wanted){.instrument = instrument, .tag = tag, .table = tag->table, .interval_ms = tag->interval_ms};
    plant_tag_extent(tag, &ret_wanted->address, &ret_wanted->count);
    return ret_wanted->address + ret_wanted->count > 65536 || tag->interval_ms == 0 ? FB_INVALID : FB_OK;
}

static size_t want_watch(const struct plant_instrument *instrument, enum plan_watch which, struct wanted *ret_wanted) {
    const struct plant_watch *watch = watch_of(instrument, which);
    if (watch->mask == 0)
        return 0;
    *ret_wanted = (struct wanted){.instrument = instrument,
                                  .watch = which,
                                  .table = watch->table,
                                  .address = watch->address,
                                  .count = 1,
                                  .interval_ms = watch->interval_ms};
    return 1;
}

static enum fb_error collect(const struct plant *plant, size_t bus, struct wanted *ret_wanted) {
    size_t count = 0;
    enum fb_error error = FB_OK;
    for (size_t i = 0; i < plant->instrument_count && error == FB_OK; i++) {
        const struct plant_instrument *instrument = &plant->instruments[i];
        if (instrument->bus != bus)
            continue;
        for (size_t j = 0; j < instrument->tag_count && error == FB_OK; j++)
            error = want_tag(instrument, &instrument->tags[j], &ret_wanted[count++]);
        count += want_watch(instrument, PLAN_HEARTBEAT, &ret_wanted[count]);
        count += want_watch(instrument, PLAN_SERVICE, &ret_wanted[count]);
    }
    return error;
}

static unsigned count_most(const struct plant_instrument *instrument, enum plant_table table) {
    const unsigned registers = instrument->registers_most;
    if (plant_table_is_bits(table))
        return registers * 16 < BITS_MAX ? registers * 16 : BITS_MAX;
    return registers < REGISTERS_MAX ? registers : REGISTERS_MAX;
}

static unsigned data_bytes(const struct plan_request *request) {
    return plant_table_is_bits(request->table) ? (request->count + 7u) / 8u : request->count * 2u;
}

uint32_t plan_character_us(const struct plant_bus *bus) {
    if (bus->baud == 0)
        return 0;
    const unsigned bits = bus->kind == PLANT_MODBUS_RTU ? 1u + 8u + (bus->parity != PLANT_PARITY_NONE) + bus->stop_bits
                                                        : RTU_CHARACTER_BITS;
    return (uint32_t)((bits * UINT64_C(1000000) + bus->baud - 1) / bus->baud);
}

/* Between two frames, without the pause. */
static uint32_t frame_gap_us(const struct plant_bus *bus) {
    return bus->baud > QUIET_FAST_BAUD ? QUIET_FAST_US : plan_character_us(bus) * 7 / 2;
}

uint32_t plan_quiet_us(const struct plant_bus *bus) {
    const uint32_t pause_us = bus->pause_ms * 1000, gap_us = frame_gap_us(bus);
    return pause_us > gap_us ? pause_us : gap_us;
}

uint64_t plan_request_cost_us(const struct plant_bus *bus, const struct plan_request *request) {
    const struct overhead *overhead = &overheads[bus->kind];
    const uint64_t bytes = overhead->request + overhead->reply + data_bytes(request);
    const uint64_t network_us = bus->kind == PLANT_MODBUS_RTU ? 0 : bytes / TCP_BYTES_PER_US + DELAY_TCP_US;
    const uint64_t line_us = bytes * plan_character_us(bus) + frame_gap_us(bus);
    const uint64_t delay_us = bus->kind == PLANT_MODBUS_TCP ? 0 : DELAY_RTU_US;
    return network_us + line_us + delay_us + plan_quiet_us(bus);
}

/* What reading so much at once costs the bus, for comparing ways to cut a run: its bytes and what must be quiet around
 * them, but not what the instrument thinks, which is only assumed. What a byte costs is known on lines alone: behind
 * Modbus TCP may be one, so a slow one is assumed. One byte more, so that of two ways that cost nearly the same the one
 * with fewer requests is taken. */
static uint64_t read_cost_us(const struct plant_bus *bus, enum plant_table table, unsigned count) {
    const struct plan_request request = {.table = table, .count = (uint16_t)count};
    const uint64_t bytes = overheads[bus->kind].request + overheads[bus->kind].reply + data_bytes(&request) + 1;
    const uint64_t byte_us = bus->kind == PLANT_MODBUS_TCP ? BEHIND_TCP_BYTE_US : plan_character_us(bus);
    return bytes * byte_us + frame_gap_us(bus) + plan_quiet_us(bus);
}

static void take(struct plan_request *request, const struct wanted *wanted) {
    request->tag_count += wanted->tag != NULL;
    request->watches |= wanted->watch;
}

static struct plan_request start(const struct wanted *wanted, const struct plant_tag **tags) {
    struct plan_request request = {
        .instrument = wanted->instrument,
        .table = wanted->table,
        .address = (uint16_t)wanted->address,
        .count = (uint16_t)wanted->count,
        .interval_ms = wanted->interval_ms,
        .tags = tags,
    };
    take(&request, wanted);
    return request;
}

/* May stand in one request. */
static bool is_alike(const struct wanted *left, const struct wanted *right) {
    return left->instrument == right->instrument && left->interval_ms == right->interval_ms &&
           left->table == right->table;
}

/* The cheapest way to read the run from this on, by those behind it: where the request that begins here ends. */
static void find_cheapest(const struct plant_bus *bus, struct wanted *run, size_t first, size_t count) {
    const unsigned most = count_most(run[first].instrument, run[first].table);
    uint32_t end = 0;
    run[first].cost_us = UINT64_MAX;
    for (size_t last = first; last < count; last++) {
        const uint32_t own_end = run[last].address + run[last].count;
        end = own_end > end ? own_end : end;
        if (last > first && end - run[first].address > most)
            return;
        const uint64_t behind_us = last + 1 < count ? run[last + 1].cost_us : 0;
        const uint64_t cost_us = read_cost_us(bus, run[first].table, end - run[first].address) + behind_us;
        if (cost_us <= run[first].cost_us) {
            run[first].cost_us = cost_us;
            run[first].next = last + 1;
        }
    }
}

/* Mark where requests begin so that the run costs the bus the least time. */
static void cut_run(const struct plant_bus *bus, struct wanted *run, size_t count) {
    for (size_t i = count; i-- > 0;)
        find_cheapest(bus, run, i, count);
    for (size_t i = 0; i < count; i = run[i].next)
        run[i].begins = true;
}

static void extend(struct plan_request *request, const struct wanted *wanted) {
    const uint32_t count = wanted->address + wanted->count - request->address;
    if (count > request->count)
        request->count = (uint16_t)count;
    take(request, wanted);
}

static void coalesce(const struct plant_bus *bus, struct wanted *wanted, size_t count, struct plan *plan) {
    size_t tags = 0;
    for (size_t first = 0, end = 0; first < count; first = end) {
        while (end < count && is_alike(&wanted[first], &wanted[end]))
            end++;
        cut_run(bus, &wanted[first], end - first);
    }
    for (size_t i = 0; i < count; i++) {
        if (wanted[i].begins)
            plan->requests[plan->request_count++] = start(&wanted[i], &plan->tags[tags]);
        else
            extend(&plan->requests[plan->request_count - 1], &wanted[i]);
        if (wanted[i].tag != NULL)
            plan->tags[tags++] = wanted[i].tag;
    }
    const size_t split = plan->request_count + PLAN_SPLITS_MOST;
    plan->request_most = split < count ? split : count;
}

enum fb_error plan_bus(const struct plant *plant, size_t bus, struct plan *ret_plan) {
    const size_t count = count_wanted(plant, bus);
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
        coalesce(&plant->buses[bus], wanted, count, &plan);
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

double plan_load(const struct plant_bus *bus, const struct plan *plan) {
    double load = 0.0;
    for (size_t i = 0; i < plan->request_count; i++)
        load += (double)plan_request_cost_us(bus, &plan->requests[i]) / (plan->requests[i].interval_ms * 1000.0);
    return load;
}

/* What an instrument's silence adds to a cycle: one time-out, for it is then left alone, in place of its replies. */
static uint64_t silence_costs_us(const struct plant_bus *bus, const struct plan *plan, size_t *request) {
    const struct plant_instrument *instrument = plan->requests[*request].instrument;
    const uint64_t timeout_us = bus->timeout_ms * UINT64_C(1000);
    uint64_t replies_us = 0;
    for (; *request < plan->request_count && plan->requests[*request].instrument == instrument; ++*request)
        replies_us += plan_request_cost_us(bus, &plan->requests[*request]);
    return timeout_us > replies_us ? timeout_us - replies_us : 0;
}

static int compare_costs(const void *left, const void *right) {
    return order(*(const uint64_t *)right, *(const uint64_t *)left);
}

uint64_t plan_cycle_us(const struct plant_bus *bus, const struct plan *plan, size_t dead) {
    uint64_t cycle_us = 0;
    for (size_t i = 0; i < plan->request_count; i++)
        cycle_us += plan_request_cost_us(bus, &plan->requests[i]);
    uint64_t costs_us[PLANT_INSTRUMENTS_MAX] = {0};
    size_t count = 0;
    for (size_t i = 0; i < plan->request_count && count < PLANT_INSTRUMENTS_MAX;)
        costs_us[count++] = silence_costs_us(bus, plan, &i);
    qsort(costs_us, count, sizeof costs_us[0], compare_costs);
    for (size_t i = 0; i < count && i < dead; i++)
        cycle_us += costs_us[i];
    return cycle_us;
}
