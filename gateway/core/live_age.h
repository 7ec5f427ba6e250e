/* live_age.h - how old live readings were when the peer accepted them. Pure. */
#ifndef FB_CORE_LIVE_AGE_H
#define FB_CORE_LIVE_AGE_H

#include <stddef.h>
#include <stdint.h>

#define LIVE_AGE_BATCHES 256 /* the last so many */

struct live_age {
    uint32_t ages_ms[LIVE_AGE_BATCHES]; /* a ring */
    uint64_t count;                     /* of this session */
};

/* A live batch was accepted whose oldest reading was so old. */
void live_age_note(struct live_age *age, int64_t age_ms);
/* The age that part (0..1) of them did not pass; 0 when there were none. */
uint32_t live_age_share(const struct live_age *age, double part);

#endif
