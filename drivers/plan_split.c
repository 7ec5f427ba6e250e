#include <stdlib.h>
#include <string.h>

#include "drivers/plan.h"

/* Goes through what a request reads in order of address: tags, and watches between them. */
struct walk {
    const struct plan_request *request;
    size_t tag;       /* the next */
    unsigned watches; /* that are still to come */
};

struct extent {
    uint32_t address, count;
    bool is_tag;
    unsigned watch;
};

static const struct plant_watch *watch_of(const struct plan_request *request, unsigned watch) {
    return watch == PLAN_HEARTBEAT ? &request->instrument->heartbeat : &request->instrument->service;
}

static bool walk_next(struct walk *walk, struct extent *ret_extent) {
    struct extent next = {.address = UINT32_MAX};
    if (walk->tag < walk->request->tag_count) {
        plant_tag_extent(walk->request->tags[walk->tag], &next.address, &next.count);
        next.is_tag = true;
    }
    for (unsigned watch = PLAN_HEARTBEAT; watch <= PLAN_SERVICE; watch <<= 1) {
        const uint32_t address = watch_of(walk->request, watch)->address;
        if ((walk->watches & watch) != 0 && address < next.address)
            next = (struct extent){.address = address, .count = 1, .watch = watch};
    }
    walk->tag += next.is_tag;
    walk->watches &= ~next.watch;
    *ret_extent = next;
    return next.count > 0;
}

/* Where to cut: behind so many tags and these watches; the first part ends at end, the second begins at begin. */
struct cut {
    uint32_t end, begin;
    size_t tags;
    unsigned watches;
};

static uint32_t distance_from_middle(const struct plan_request *request, uint32_t begin) {
    return (uint32_t)abs((int)(2 * (begin - request->address)) - (int)request->count);
}

static bool is_better(const struct plan_request *request, const struct cut *cut, const struct cut *best) {
    const uint32_t gap = cut->begin - cut->end, best_gap = best->begin - best->end;
    if (gap != best_gap)
        return gap > best_gap;
    return distance_from_middle(request, cut->begin) < distance_from_middle(request, best->begin);
}

static bool find_cut(const struct plan_request *request, struct cut *ret_cut) {
    struct walk walk = {.request = request, .watches = request->watches};
    struct extent extent;
    bool found = false;
    uint32_t end = UINT32_MAX;
    for (;;) {
        const struct cut before = {.end = end, .tags = walk.tag, .watches = request->watches & ~walk.watches};
        if (!walk_next(&walk, &extent))
            return found;
        struct cut cut = before;
        cut.begin = extent.address;
        const bool possible = end != UINT32_MAX && extent.address >= end;
        if (possible && (!found || is_better(request, &cut, ret_cut))) {
            *ret_cut = cut;
            found = true;
        }
        const uint32_t extent_end = extent.address + extent.count;
        end = end == UINT32_MAX || extent_end > end ? extent_end : end;
    }
}

bool plan_split(struct plan *plan, size_t index) {
    struct cut cut = {0};
    struct plan_request *first = &plan->requests[index];
    if (plan->request_count == plan->request_most || !find_cut(first, &cut))
        return false;
    memmove(first + 1, first, (plan->request_count - index) * sizeof *first);
    plan->request_count++;
    struct plan_request *second = first + 1;
    second->count = (uint16_t)(first->address + first->count - cut.begin);
    second->address = (uint16_t)cut.begin;
    second->tags = first->tags + cut.tags;
    second->tag_count = first->tag_count - cut.tags;
    second->watches = first->watches & ~cut.watches;
    first->count = (uint16_t)(cut.end - first->address);
    first->tag_count = cut.tags;
    first->watches = cut.watches;
    return true;
}

struct plan_request plan_light_request(const struct plan_request *request) {
    struct walk walk = {.request = request, .watches = request->watches};
    struct extent extent;
    struct plan_request light = *request;
    if (walk_next(&walk, &extent)) {
        light.address = (uint16_t)extent.address;
        light.count = (uint16_t)extent.count;
    }
    return light;
}
