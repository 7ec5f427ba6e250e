/* numbering.h - tags get their numbers, and the catalogue that names them becomes the current one. While the disk takes
 * nothing, tags that are new or renamed wait, and the others are polled: no reading ever bears a number that is not on
 * disk. */
#ifndef FB_CORE_NUMBERING_H
#define FB_CORE_NUMBERING_H

#include <stddef.h>

#include "gateway/common/error.h"
#include "gateway/common/plant.h"
#include "gateway/core/intake.h"
#include "store/store.h"

/* How long after a failure it is worth trying again. */
#define NUMBERING_RETRY_US 3000000

struct numbering {
    struct plant known;  /* while tags wait: the plant without them. Its tags are its own; end with numbering_done() */
    size_t waiting_tags; /* 0: the whole plant can be polled */
};

/* Number the plant, whose tail is sealed first when the catalogue changes. ret_numbering: empty before; untouched on
 * failure. FB_FULL is none: tags wait. */
enum fb_error numbering_give(struct store *store, struct intake *intake, struct plant *plant,
                             struct numbering *ret_numbering, struct fb_cause *cause) FB_MUST_USE;
void numbering_done(struct numbering *numbering);

#endif
