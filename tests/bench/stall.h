/* stall.h - how long the store holds its program up: what core does once a second is done with 1000 readings a second,
 * and each time is taken. */
#ifndef FB_BENCH_STALL_H
#define FB_BENCH_STALL_H

#include <stdbool.h>
#include <stddef.h>

#include "data.h"
#include "moment.h"
#include "store/store.h"

struct stall_settings {
    size_t fill_seconds;   /* that come first and do not count: as fast as they go, sealed but not kept ahead */
    size_t seconds;        /* that count */
    size_t seal_seconds;   /* seal so often; 0: only when the tail is full, as in a long outage */
    bool never_keeps_room; /* sealing alone has to find room */
};

/* The worst seconds. */
struct stall {
    struct moment worst;
    struct moment worst_seal; /* of those with a seal */
    size_t seals;
};

/* data: of as many tags as the store's catalogue has. False: a call failed, ret_cause says why. */
bool stall_measure(struct store *store, struct data *data, const struct stall_settings *settings,
                   struct stall *ret_stall, struct fb_cause *ret_cause);

/* The tail as long as it can be, as after a full disk: the worst of the parts in which it is committed and sealed. */
bool stall_catch_up(struct store *store, struct data *data, struct stall *ret_stall, struct fb_cause *ret_cause);

#endif
