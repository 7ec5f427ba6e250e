#include "drivers/fixed_plant.h"

#include <string.h>
#include <sys/mman.h>

#define ALIGNMENT 16u

static size_t aligned(size_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t bytes_of(const struct plant *plant) {
    size_t bytes = aligned(plant->bus_count * sizeof *plant->buses) +
                   aligned(plant->instrument_count * sizeof *plant->instruments);
    for (size_t i = 0; i < plant->instrument_count; i++)
        bytes += aligned(plant->instruments[i].tag_count * sizeof *plant->instruments[i].tags) +
                 aligned(plant->instruments[i].write_count * sizeof *plant->instruments[i].writes);
    return bytes;
}

/* Copy to *at and move it behind the copy. */
static void *place(unsigned char **at, const void *source, size_t bytes) {
    void *target = *at;
    if (bytes > 0)
        memcpy(target, source, bytes);
    *at += aligned(bytes);
    return target;
}

enum fb_error fixed_plant_make(const struct plant *plant, struct fixed_plant *ret_fixed) {
    struct fixed_plant fixed = {.plant = *plant, .bytes = bytes_of(plant)};
    if (fixed.bytes > 0) {
        fixed.mapping = mmap(NULL, fixed.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (fixed.mapping == MAP_FAILED)
            return FB_MEMORY;
        unsigned char *at = fixed.mapping;
        fixed.plant.buses = place(&at, plant->buses, plant->bus_count * sizeof *plant->buses);
        fixed.plant.instruments = place(&at, plant->instruments, plant->instrument_count * sizeof *plant->instruments);
        for (size_t i = 0; i < plant->instrument_count; i++) {
            const struct plant_instrument *instrument = &plant->instruments[i];
            fixed.plant.instruments[i].tags =
                place(&at, instrument->tags, instrument->tag_count * sizeof *instrument->tags);
            fixed.plant.instruments[i].writes =
                place(&at, instrument->writes, instrument->write_count * sizeof *instrument->writes);
        }
        mprotect(fixed.mapping, fixed.bytes, PROT_READ);
    }
    *ret_fixed = fixed;
    return FB_OK;
}

void fixed_plant_done(struct fixed_plant *fixed) {
    if (fixed->mapping != NULL)
        munmap(fixed->mapping, fixed->bytes);
    *fixed = (struct fixed_plant){0};
}
