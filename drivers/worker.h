/* worker.h - the process of one bus: asks its instruments on schedule, sends every reading to the parent. Blocks in its
 * driver whenever it likes, for it has nothing else to do. */
#ifndef FB_DRIVERS_WORKER_H
#define FB_DRIVERS_WORKER_H

#include <stddef.h>

#include "gateway/common/plant.h"

/* Serve the bus with the given index until SIGTERM ends the process. To be called in a forked child.
 * parent: SEQPACKET socket, see outbox.h. plant is borrowed. Returns only when it could not begin: the process's exit
 * status. */
int worker_run(const struct plant *plant, size_t bus, int parent);

#endif
