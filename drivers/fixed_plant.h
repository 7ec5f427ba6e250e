/* fixed_plant.h - a plant in one read-only mapping of its own. Workers inherit it by fork and share its pages for good:
 * on the heap, a page of it would become each worker's own as soon as something beside it is allocated or freed. */
#ifndef FB_DRIVERS_FIXED_PLANT_H
#define FB_DRIVERS_FIXED_PLANT_H

#include <stddef.h>

#include "gateway/common/error.h"
#include "gateway/common/plant.h"

struct fixed_plant {
    struct plant plant; /* points into the mapping: never to be given to plant_done() */
    void *mapping;      /* NULL: empty */
    size_t bytes;
};

/* Copy the plant. FB_MEMORY: ret_fixed is untouched. End it with fixed_plant_done(). */
enum fb_error fixed_plant_make(const struct plant *plant, struct fixed_plant *ret_fixed) FB_MUST_USE;
void fixed_plant_done(struct fixed_plant *fixed);

#endif
